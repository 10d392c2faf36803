//! Errors in 22 languages, in every encoding (contract 6.4, departures D4 and D19).

use domain::{Error, Language, Refusal};
use serde_json::json;

use crate::{
    dialect::{Call, GET, dialects},
    server::Server,
};

const DELETE_V2: &str = "zitadel.org.v2.OrganizationService/DeleteOrganizationMetadata";

#[tokio::test]
async fn every_language_in_every_encoding() {
    let server = Server::start();
    for dialect in dialects() {
        let mut client = dialect.connect(server.address).await;
        for &language in Language::ALL {
            let headers = [("authorization", "Bearer owner"), ("accept-language", language.tag())];
            for (rpc, message, refusal) in [
                (GET, json!({"key": "absent"}), Refusal::GetAbsent),
                (DELETE_V2, json!({"organizationId": "org-0"}), Refusal::BulkRemoveEmpty),
            ] {
                if dialect.speaks(rpc) {
                    let failure = dialect
                        .call(&mut client, &Call { rpc, headers: &headers, message })
                        .await
                        .unwrap_err();
                    let want = Error::from(refusal).to_status(language);
                    assert_eq!(failure.message, want.message, "{dialect:?} {language:?}");
                    let detail = want.details.first().map(|detail| match detail {
                        domain::Detail::Error { id, message } => ((*id).to_owned(), (*message).to_owned()),
                        other => panic!("{other:?}"),
                    });
                    assert_eq!(failure.detail, detail, "{dialect:?} {language:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn which_language() {
    let server = Server::start();
    let german = "Die Metadaten wurden nicht gefunden (QUERY-Rph32)";
    let english = "Metadata not found (QUERY-Rph32)";
    for dialect in dialects().into_iter().filter(|dialect| dialect.speaks(GET)) {
        let mut client = dialect.connect(server.address).await;
        for (token, accept, want) in [
            ("owner", "de-CH,de;q=0.9,en;q=0.5", german),
            ("owner", "xx,de;q=0.5", english),
            ("owner", "", english),
            // Who has set a language has said it once and for all.
            ("german", "", german),
            ("german", "fr", german),
        ] {
            let authorization = format!("Bearer {token}");
            let headers = [("authorization", &*authorization), ("accept-language", accept)];
            let call = Call { rpc: GET, headers: &headers, message: json!({"key": "absent"}) };
            let failure = dialect.call(&mut client, &call).await.unwrap_err();
            assert_eq!(failure.message, want, "{dialect:?} {token} {accept:?}");
        }
        // What comes before the call is in English for everybody.
        let headers = [("authorization", "Bearer unknown"), ("accept-language", "de")];
        let call = Call { rpc: GET, headers: &headers, message: json!({"key": "absent"}) };
        assert_eq!(
            dialect.call(&mut client, &call).await.unwrap_err().message,
            "Errors.Token.Invalid (AUTH-7fs1e)"
        );
    }
}

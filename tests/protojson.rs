//! proto3 JSON, held against what protobuf-go does with the same documents: `protojson/golden.jsonl`, written by the
//! Go program beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::{Engine, engine::general_purpose::STANDARD};
use metagate::api::generated::zitadel::{filter, management::v1 as management, metadata, org, v1};
use prost::Message;
use protojson::Envelope;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const GOLDEN: &str = include_str!("protojson/golden.jsonl");

#[derive(Deserialize)]
struct Case {
    message: String,
    json: Option<String>,
    base64: Option<String>,
    /// What Connect reads, in binary, as hex; `None` if it is refused.
    whole: Option<String>,
    /// What grpc-gateway reads.
    lenient: Option<String>,
    /// What is written again, if either was read.
    written: Option<String>,
}

/// Documents that protobuf-go refuses, because a field is there twice; here `null` counts as absent, and the other wins.
const KNOWN_DIFFERENCES: &[&str] = &["{\"query\":null,\"query\":{}}", "{\"keyQuery\":null,\"key_query\":{}}"];

/// What became of a document: the message in binary, and as JSON again.
type Read = Result<(String, Option<String>), String>;

fn read<T: Message + Default + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned>(
    document: &[u8],
    envelope: Envelope,
) -> Read {
    let message: T = protojson::from_slice(document, envelope).map_err(|error| error.to_string())?;
    let written = protojson::to_vec(&message).ok().map(|written| String::from_utf8(written).unwrap());
    let binary = message.encode_to_vec();
    assert_eq!(T::decode(binary.as_slice()).unwrap(), message);
    Ok((binary.iter().map(|byte| format!("{byte:02x}")).collect(), written))
}

fn reader(message: &str) -> fn(&[u8], Envelope) -> Read {
    match message {
        "zitadel.management.v1.SetOrgMetadataRequest" => read::<management::SetOrgMetadataRequest>,
        "zitadel.management.v1.BulkSetOrgMetadataRequest" => read::<management::BulkSetOrgMetadataRequest>,
        "zitadel.management.v1.ListOrgMetadataRequest" => read::<management::ListOrgMetadataRequest>,
        "zitadel.management.v1.BulkRemoveOrgMetadataRequest" => {
            read::<management::BulkRemoveOrgMetadataRequest>
        }
        "zitadel.metadata.v1.MetadataKeyQuery" => read::<metadata::v1::MetadataKeyQuery>,
        "zitadel.metadata.v1.MetadataQuery" => read::<metadata::v1::MetadataQuery>,
        "zitadel.v1.ListQuery" => read::<v1::ListQuery>,
        "zitadel.v1.ObjectDetails" => read::<v1::ObjectDetails>,
        "zitadel.filter.v2.PaginationResponse" => read::<filter::v2::PaginationResponse>,
        "zitadel.org.v2.ListOrganizationMetadataRequest" => read::<org::v2::ListOrganizationMetadataRequest>,
        other => panic!("no reader for {other}"),
    }
}

#[test]
fn documents_are_read_and_written_as_protobuf_go_does() {
    let mut differences = Vec::new();
    let mut known = 0;
    for line in GOLDEN.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let document = match (&case.json, &case.base64) {
            (Some(json), None) => json.clone().into_bytes(),
            (None, Some(base64)) => STANDARD.decode(base64).unwrap(),
            _ => panic!("{line}"),
        };
        let read = reader(&case.message);
        let shown = String::from_utf8_lossy(&document).chars().take(80).collect::<String>();
        for (envelope, want) in [(Envelope::Whole, &case.whole), (Envelope::Lenient, &case.lenient)] {
            let got = read(&document, envelope);
            let alike = match (&got, want) {
                (Err(_), None) => true,
                (Ok((binary, written)), Some(want)) => binary == want && *written == case.written,
                _ => false,
            };
            if !alike && KNOWN_DIFFERENCES.contains(&shown.as_str()) {
                known += 1;
            } else if !alike {
                differences.push(format!(
                    "{envelope:?} {} {shown:?}: got {got:?}, want {want:?} {:?}",
                    case.message, case.written
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert_eq!(known, KNOWN_DIFFERENCES.len() * 2, "a known difference is gone");
}

#[test]
fn errors_say_where() {
    for (document, want) in [
        ("{\"value\":\"!!!!\"}", "proto: (line 1:16): invalid value for bytes field: \"!!!!\""),
        ("{\n  \"key\": 5\n}", "proto: (line 2:10): "),
        ("{\"key\":\"a\",\n\"key\":\"b\"}", "proto: (line 2:5): duplicate field `key`"),
        ("{\"key\":", "proto: (line 1:7): EOF while parsing"),
        ("[1]", "proto: (line 1:"),
    ] {
        let read =
            protojson::from_slice::<management::SetOrgMetadataRequest>(document.as_bytes(), Envelope::Whole);
        let error = read.unwrap_err().to_string();
        assert!(error.starts_with(want), "{document:?}: {error}");
    }
}

//! `strict-json`: what a message does not know is refused, in every encoding that has JSON.

use http::Request;
use serde_json::json;

use crate::{
    client::Client,
    dialect::{Call, LIST, SET, dialects, envelope},
    server::Server,
};

const HEADERS: &[(&str, &str)] = &[("authorization", "Bearer owner"), ("x-zitadel-orgid", "org-0")];

#[tokio::test]
async fn what_a_message_does_not_know_is_refused_if_it_should_be() {
    for (settings, is_strict) in
        [(&[][..], false), (&["--strict-json"], true), (&["--strict-json=false"], false)]
    {
        let server = Server::start_with(&[&["--storage", "memory:"], settings].concat());
        for dialect in dialects().into_iter().filter(|dialect| dialect.encoding.is_json()) {
            let mut client = dialect.connect(server.address).await;
            for (rpc, message, want) in [
                (SET, r#"{"key":"k","value":"YQ==","valeu":1}"#, "unknown field \"valeu\""),
                (SET, r#"{"key":"k","value":"YQ==","valeu":null}"#, "unknown field \"valeu\""),
                (LIST, r#"{"queries":[{"keyQuery":{"key":"k","methode":1}}]}"#, "unknown field \"methode\""),
                (
                    LIST,
                    r#"{"queries":[{"keyQuery":{"key":"k","method":"TEXT_QUERY_METHOD_LIKE"}}]}"#,
                    "unknown enum value \"TEXT_QUERY_METHOD_LIKE\"",
                ),
            ] {
                let mut request = dialect.request(&Call {
                    rpc,
                    headers: HEADERS,
                    message: serde_json::from_str("{}").unwrap(),
                });
                if request.uri().path().ends_with("metadata/") {
                    *request.uri_mut() = "/management/v1/metadata/k".parse().unwrap();
                }
                let is_enveloped = request.headers()["content-type"].to_str().unwrap().contains("grpc");
                *request.body_mut() =
                    if is_enveloped { envelope(0, message.as_bytes()) } else { message.into() }.into();
                let outcome = dialect.read(rpc, &client.send(request).await);
                match outcome {
                    Ok(_) => assert!(!is_strict, "{dialect:?} {message}"),
                    Err(failure) => {
                        assert!(is_strict && failure.code == 3, "{dialect:?} {message} {failure:?}");
                        assert!(failure.message.contains(want), "{dialect:?} {failure:?}");
                        assert!(failure.message.contains("(line 1:"), "{dialect:?} {failure:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn what_follows_the_message_is_refused_if_it_should_be_and_no_message_is_an_empty_one() {
    for (settings, want) in [(&[][..], 200), (&["--strict-json"], 400)] {
        let server = Server::start_with(&[&["--storage", "memory:"], settings].concat());
        let mut client = Client::connect(server.address, http::Version::HTTP_11).await;
        for (body, want) in
            [("{}", 200), ("", 200), (" \n", 200), ("{} {}", want), ("{}}", want), ("{}x", want)]
        {
            let request =
                Request::post("/management/v1/metadata/_search").header("authorization", "Bearer owner");
            let answer = client.send(request.body(body).unwrap()).await;
            assert_eq!(answer.status, want, "{body:?} {}", answer.text());
        }
    }
}

#[tokio::test]
async fn what_is_known_passes_as_ever() {
    let server = Server::start_with(&["--storage", "memory:", "--strict-json"]);
    for dialect in dialects().into_iter().filter(|dialect| dialect.encoding.is_json()) {
        let mut client = dialect.connect(server.address).await;
        let call = |rpc, message| Call { rpc, headers: HEADERS, message };
        dialect.call(&mut client, &call(SET, json!({"key": "k", "value": "YQ=="}))).await.unwrap();
        let queries = json!({"queries": [{"keyQuery": {"key": "k", "method": "TEXT_QUERY_METHOD_EQUALS"}}]});
        let list = dialect.call(&mut client, &call(LIST, queries)).await.unwrap();
        assert_eq!(list["result"][0]["key"], "k", "{dialect:?}");
    }
}

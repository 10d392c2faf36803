//! TLS: the same calls, inside of it.

use std::path::PathBuf;

use http::Version;
use serde_json::json;

use crate::{
    client::{Client, raw},
    dialect::{Call, GET, LIST, dialects},
    server::{Server, metagate},
};

/// One of the tests' PEM files.
pub fn file(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name).display().to_string()
}

fn start() -> Server {
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    Server::start_with(&["--storage", "memory:", "--tls-certificate", &certificate, "--tls-key", &key])
}

#[tokio::test]
async fn every_encoding_is_spoken_inside_tls() {
    let server = start();
    assert!(server.greeting.starts_with("metagate listens on https://"), "{}", server.greeting);
    let headers = &[("authorization", "Bearer owner"), ("x-zitadel-orgid", "org-0")];
    for dialect in dialects() {
        let mut client = Client::connect_tls(server.address, dialect.version).await;
        let list = dialect.call(&mut client, &Call { rpc: LIST, headers, message: json!({}) }).await.unwrap();
        assert!(list.get("result").is_none(), "{dialect:?} {list}");
        if dialect.speaks(GET) {
            let get = Call { rpc: GET, headers, message: json!({"key": "absent"}) };
            let failure = dialect.call(&mut client, &get).await.unwrap_err();
            assert_eq!(failure.message, "Metadata not found (QUERY-Rph32)", "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn a_peer_without_tls_gets_no_http_and_harms_nobody() {
    let server = start();
    let answer = raw(server.address, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!answer.contains("HTTP"), "{answer:?}");
    let mut client = Client::connect_tls(server.address, Version::HTTP_2).await;
    let answer = client.send(http::Request::get("/healthz").body("").unwrap()).await;
    assert_eq!(answer.status, 200);
}

#[test]
fn certificate_and_key_come_together_and_fit() {
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    for (arguments, want) in [
        (&["--tls-certificate", &certificate][..], "tls-certificate and tls-key go together"),
        (&["--tls-key", &key], "tls-certificate and tls-key go together"),
        (&["--tls-certificate", "/nowhere.pem", "--tls-key", &key], "/nowhere.pem: No such file"),
        (&["--tls-certificate", &key, "--tls-key", &key], "there is no certificate in it"),
        (&["--tls-certificate", &certificate, "--tls-key", &certificate], "the private key cannot be read"),
    ] {
        let output = metagate().args(["serve", "--storage", "memory:"]).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(want), "{arguments:?}: {said}");
    }
}

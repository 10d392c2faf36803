//! What `/debug/metrics` counts.

use std::{collections::BTreeMap, net::SocketAddr};

use http::{Request, Version};
use serde_json::json;

use crate::{
    client::Client,
    dialect::{Encoding, GET, REST, SET, dialects},
    server::Server,
};

/// All samples, by name and labels.
pub async fn metrics(address: SocketAddr) -> BTreeMap<String, f64> {
    let mut client = Client::connect(address, Version::HTTP_11).await;
    let answer = client.send(Request::get("/debug/metrics").body("").unwrap()).await;
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(answer.text().ends_with("# EOF\n"));
    let samples = answer.text().lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

/// One sample; 0 if it is not there.
pub async fn metric(address: SocketAddr, name: &str) -> f64 {
    metrics(address).await.get(name).copied().unwrap_or_default()
}

/// How often a limit was struck.
pub async fn struck(address: SocketAddr, limit: &str) -> f64 {
    metric(address, &format!("metagate_limits_struck_total{{limit=\"{limit}\"}}")).await
}

#[tokio::test]
async fn calls_are_counted_by_rpc_encoding_and_code() {
    let server = Server::start();
    let mut want: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for dialect in dialects() {
        let mut client = dialect.connect(server.address).await;
        let entry = json!({"key": "k", "value": "YQ=="});
        dialect.call_on(&mut client, "owner", SET, entry.clone()).await.unwrap();
        dialect.call_on(&mut client, "viewer", SET, entry.clone()).await.unwrap_err();
        dialect.call_on(&mut client, "unknown", SET, entry).await.unwrap_err();
        let name = match dialect.encoding {
            Encoding::Rest => "rest",
            Encoding::Grpc | Encoding::GrpcJson | Encoding::GrpcAtUrl => "grpc",
            Encoding::Web | Encoding::WebJson | Encoding::WebAtUrl => "grpc-web",
            Encoding::WebText | Encoding::WebTextAtUrl => "grpc-web-text",
            Encoding::ConnectJson => "connect-json",
            Encoding::ConnectProto => "connect-proto",
        };
        for code in ["ok", "permission_denied", "unauthenticated"] {
            *want.entry((name, code)).or_default() += 1.0;
        }
    }
    let all = metrics(server.address).await;
    let calls = want.values().sum::<f64>() / 3.0;
    for ((encoding, code), count) in want {
        let labels = format!("{{rpc=\"/{SET}\",encoding=\"{encoding}\",code=\"{code}\"}}");
        assert_eq!(all[&format!("metagate_request_seconds_count{labels}")], count, "{labels}");
        assert!(all[&format!("metagate_request_seconds_sum{labels}")] > 0.0, "{labels}");
    }
    assert_eq!(all["metagate_authentication_failures_total{reason=\"AUTH-7fs1e\"}"], calls);
    assert_eq!(all["metagate_request_bodies_bytes"], 0.0);
    // Nothing that a caller can choose becomes a label.
    assert!(all.keys().all(|name| !name.contains("org-0") && !name.contains("unknown")), "{all:?}");
}

#[tokio::test]
async fn what_is_no_call_is_counted_by_status() {
    let server = Server::start();
    let mut client = Client::connect(server.address, Version::HTTP_2).await;
    for path in ["/nowhere", "/elsewhere", "/debug/healthz"] {
        client.send(Request::get(path).body("").unwrap()).await;
    }
    let all = metrics(server.address).await;
    assert_eq!(all["metagate_other_requests_total{status=\"404\"}"], 2.0);
    assert_eq!(all["metagate_other_requests_total{status=\"200\"}"], 1.0);
    // This one, and that which asked.
    assert_eq!(all["metagate_connections"], 2.0);
    assert_eq!(all[concat!("metagate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}")], 1.0);
    drop(client);
    while metric(server.address, "metagate_connections").await != 1.0 {}
}

#[tokio::test]
async fn commits_are_counted_with_what_shared_them() {
    let folder = tempfile::tempdir().unwrap();
    let storage = format!("sqlite:{}", folder.path().join("metagate.db").display());
    let server = Server::start_with(&["--storage", &storage]);
    let before = metrics(server.address).await;
    let mut client = REST.connect(server.address).await;
    for key in ["a", "b", "c"] {
        REST.call_on(&mut client, "owner", SET, json!({"key": key, "value": "YQ=="})).await.unwrap();
    }
    REST.call_on(&mut client, "owner", GET, json!({"key": "a"})).await.unwrap();
    let after = metrics(server.address).await;
    let grown = |name: &str| after[name] - before[name];
    assert_eq!(grown("metagate_store_commit_operations_count"), 3.0);
    assert_eq!(grown("metagate_store_commit_operations_sum"), 3.0);
    assert_eq!(grown("metagate_store_commit_seconds_count"), 3.0);
    assert!(grown("metagate_store_commit_seconds_sum") > 0.0);
}

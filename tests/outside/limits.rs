//! Limits that can be set, in every encoding (departures D12 and D13). Those that cannot are in the scenarios.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Request, Version};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{Client, raw_bytes},
    dialect::{Call, GET, SET, dialects},
    metrics::struck,
    server::Server,
};

const SET_V2: &str = "zitadel.org.v2.OrganizationService/SetOrganizationMetadata";
const HEADERS: &[(&str, &str)] = &[("authorization", "Bearer owner"), ("x-zitadel-orgid", "org-0")];

#[tokio::test]
async fn limits_can_be_configured() {
    let server = Server::start_with(&[
        "--storage",
        "memory:",
        "--message-bytes-max",
        "zitadel.org.v2.OrganizationService=1000",
        "--reply-bytes-max",
        "500",
    ]);
    for dialect in dialects() {
        let mut client = dialect.connect(server.address).await;
        let value = STANDARD.encode(vec![1; 1_000]);
        let message = json!({"organizationId": "org-0", "metadata": [{"key": "k", "value": value}]});
        let failure =
            dialect.call(&mut client, &Call { rpc: SET_V2, headers: HEADERS, message }).await.unwrap_err();
        assert_eq!(failure.code, 8, "{dialect:?}");
        assert!(failure.message.ends_with(" vs. 1000)"), "{dialect:?} {failure:?}");
        dialect
            .call(
                &mut client,
                &Call { rpc: SET, headers: HEADERS, message: json!({"key": "k", "value": value}) },
            )
            .await
            .unwrap();
        if dialect.speaks(GET) {
            let call = Call { rpc: GET, headers: HEADERS, message: json!({"key": "k"}) };
            let failure = dialect.call(&mut client, &call).await.unwrap_err();
            assert!(
                failure.message.starts_with("grpc: trying to send message larger than max ("),
                "{dialect:?} {failure:?}"
            );
            assert!(failure.message.ends_with(" vs. 500)"), "{dialect:?} {failure:?}");
        }
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_until_there_is_room() {
    let server = Server::start_with(&["--storage", "memory:", "--connections-max", "10"]);
    let health = || Request::get("/debug/healthz").body("").unwrap();
    let mut kept = Vec::new();
    for _ in 0..10 {
        let mut client = Client::connect(server.address, Version::HTTP_11).await;
        assert_eq!(client.send(health()).await.status, 200);
        kept.push(client);
    }
    let mut beyond = Client::connect(server.address, Version::HTTP_11).await;
    beyond.try_send(health()).await.unwrap_err();
    for client in &mut kept {
        assert_eq!(client.send(health()).await.status, 200);
    }
    // Room for one that may still be counted, one that comes, and one that asks.
    kept.truncate(7);
    // The server hears of the end when it is there.
    while Client::connect(server.address, Version::HTTP_11).await.try_send(health()).await.is_err() {}
    assert!(struck(server.address, "connections-max").await >= 1.0);
}

// Idle for longer than a head may take: the orderly end has its own time, from then on.
#[tokio::test]
async fn an_idle_connection_ends_in_order_and_counts_once() {
    const CONNECTIONS: u32 = 20;
    let settings = ["--storage", "memory:", "--head-seconds", "1", "--idle-seconds", "2"];
    let server = Server::start_with(&settings);
    let address = server.address;
    let mut ends = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        ends.spawn(async move {
            raw_bytes(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await
        });
    }
    for said in ends.join_all().await {
        let mut frames = &said[..];
        let mut kinds = Vec::new();
        while let Some((head, rest)) = frames.split_first_chunk::<9>() {
            kinds.push(head[3]);
            frames = &rest[usize::from(head[1]) << 8 | usize::from(head[2])..];
        }
        // GOAWAY (RFC 9113, section 6.8)
        assert!(kinds.contains(&7), "{kinds:?}");
    }
    assert_eq!(struck(server.address, "idle-seconds").await, f64::from(CONNECTIONS));
}

#[tokio::test]
async fn http2_peers_are_told_how_large_their_frames_may_be_and_larger_ones_end_the_connection() {
    let server = Server::start();
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    peer.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    peer.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "SETTINGS");
    let mut settings = vec![0; usize::from(head[2])];
    peer.read_exact(&mut settings).await.unwrap();
    // SETTINGS_MAX_FRAME_SIZE (RFC 9113, section 6.5.2)
    let largest = settings.chunks(6).find(|setting| setting[..2] == [0, 5]).unwrap();
    assert_eq!(largest[2..], (64_u32 * 1024).to_be_bytes());

    // DATA that is one byte longer
    peer.write_all(b"\x01\0\x01\0\0\0\0\0\x01").await.unwrap();
    let mut said = Vec::new();
    peer.read_to_end(&mut said).await.unwrap();
    // GOAWAY, and in it FRAME_SIZE_ERROR (sections 6.8 and 7)
    let goaway = said.windows(17).find(|frame| frame[..4] == [0, 0, 8, 7]).unwrap();
    assert_eq!(goaway[13..], 6_u32.to_be_bytes());
}

//! How much is taken, in every encoding (contract 2.2, departures D12 and D13).

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Request, Version};
use serde_json::json;

use crate::{
    client::{Client, raw_bytes},
    dialect::{BULK, Call, Encoding, GET, SET, dialects, envelope},
    metrics::struck,
    server::Server,
};

const SET_V2: &str = "zitadel.org.v2.OrganizationService/SetOrganizationMetadata";
const HEADERS: &[(&str, &str)] = &[("authorization", "Bearer owner"), ("x-zitadel-orgid", "org-0")];

#[tokio::test]
async fn keys_are_counted_in_runes() {
    let server = Server::start();
    for dialect in dialects() {
        let mut client = dialect.connect(server.address).await;
        for rune in ["x", "ü", "日", "🦀"] {
            for (count, fits) in [(200, true), (201, false)] {
                let message = json!({"key": rune.repeat(count), "value": "YQ=="});
                let outcome = dialect.call(&mut client, &Call { rpc: SET, headers: HEADERS, message }).await;
                match outcome {
                    Ok(_) => assert!(fits, "{dialect:?} {count} {rune}"),
                    Err(failure) => {
                        let want = "invalid SetOrgMetadataRequest.Key: value length must be between 1 and 200 runes, inclusive";
                        assert_eq!(
                            (failure.code, &*failure.message, fits),
                            (3, want, false),
                            "{dialect:?} {count} {rune}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn values_are_counted_in_bytes() {
    let server = Server::start();
    for dialect in dialects() {
        let mut client = dialect.connect(server.address).await;
        let value = |length: usize| json!({"key": "k", "value": STANDARD.encode(vec![0xA5; length])});
        dialect
            .call(&mut client, &Call { rpc: SET, headers: HEADERS, message: value(500_000) })
            .await
            .unwrap();
        if dialect.speaks(GET) {
            let got = dialect
                .call(&mut client, &Call { rpc: GET, headers: HEADERS, message: json!({"key": "k"}) })
                .await
                .unwrap();
            assert_eq!(got["metadata"]["value"], value(500_000)["value"], "{dialect:?}");
        }
        let failure = dialect
            .call(&mut client, &Call { rpc: SET, headers: HEADERS, message: value(500_001) })
            .await
            .unwrap_err();
        let want =
            "invalid SetOrgMetadataRequest.Value: value length must be between 1 and 500000 bytes, inclusive";
        assert_eq!((failure.code, &*failure.message), (3, want), "{dialect:?}");
    }
}

/// A bulk set whose message has exactly `size` bytes of protobuf.
fn bulk_of(size: usize) -> serde_json::Value {
    let item = |length: usize| json!({"key": "k", "value": STANDARD.encode(vec![1; length])});
    let length_of =
        |items: &[serde_json::Value]| crate::dialect::encode(BULK, &json!({"metadata": items})).len();
    let mut items: Vec<_> = (0..8).map(|_| item(500_000)).collect();
    // The last item's own framing has one size for all lengths that come into question.
    let framing = length_of(&[items.clone(), vec![item(100_000)]].concat()) - length_of(&items) - 100_000;
    let rest = size - length_of(&items) - framing;
    items.push(item(rest));
    assert_eq!(length_of(&items), size);
    json!({"metadata": items})
}

#[tokio::test]
async fn messages_of_four_mebibytes() {
    const LIMIT: usize = 4_194_304;
    let server = Server::start();
    for dialect in dialects() {
        let mut client = dialect.connect(server.address).await;
        let call = Call { rpc: BULK, headers: HEADERS, message: bulk_of(LIMIT) };
        dialect.call(&mut client, &call).await.unwrap_or_else(|error| panic!("{dialect:?} {error:?}"));
        // Without a token: the size comes first.
        let call = Call { rpc: BULK, headers: &[], message: bulk_of(LIMIT + 1) };
        let failure = dialect.call(&mut client, &call).await.unwrap_err();
        let want = format!("grpc: received message larger than max ({} vs. {LIMIT})", LIMIT + 1);
        assert_eq!((failure.code, failure.message, failure.detail), (8, want, None), "{dialect:?}");
        // The connection is as good as before.
        let call = Call { rpc: BULK, headers: HEADERS, message: json!({}) };
        assert_eq!(dialect.call(&mut client, &call).await.unwrap_err().code, 9, "{dialect:?}");
    }
}

#[tokio::test]
async fn much_more_than_the_limit_is_refused_with_an_answer() {
    let server = Server::start();
    for dialect in dialects() {
        let mut client = dialect.connect(server.address).await;
        let call = Call { rpc: BULK, headers: HEADERS, message: bulk_of(4_150_000) };
        let mut request = dialect.request(&call);
        let junk = match dialect.encoding {
            Encoding::Rest | Encoding::ConnectJson => {
                format!("{{\"x\":\"{}\"}}", "y".repeat(20 << 20)).into_bytes()
            }
            Encoding::ConnectProto => vec![0x0A; 20 << 20],
            Encoding::WebText | Encoding::WebTextAtUrl => {
                STANDARD.encode(envelope(0, &vec![0; 20 << 20])).into_bytes()
            }
            _ => envelope(0, &vec![0; 20 << 20]),
        };
        *request.body_mut() = junk.into();
        let answer = client.send(request).await;
        let failure = dialect.read(BULK, &answer).unwrap_err();
        assert_eq!(failure.code, 8, "{dialect:?} {failure:?}");
        assert!(failure.message.starts_with("grpc: received message larger than max ("), "{failure:?}");
    }
}

#[tokio::test]
async fn json_may_be_long_and_say_little() {
    let server = Server::start();
    for dialect in
        dialects().into_iter().filter(|d| matches!(d.encoding, Encoding::Rest | Encoding::ConnectJson))
    {
        let mut client = dialect.connect(server.address).await;
        let mut request: Request<bytes::Bytes> = dialect.request(&Call {
            rpc: SET,
            headers: HEADERS,
            message: json!({"key": "k", "value": "YQ=="}),
        });
        let padded = format!("{{\"key\":\"k\",\"value\":\"YQ==\",\"x\":\"{}\"}}", "y".repeat(6 << 20));
        *request.body_mut() = padded.into();
        let answer = client.send(request).await;
        dialect.read(SET, &answer).unwrap();
    }
}

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

//! Frames, compression and base64, right and wrong (departure D11).

use std::io::{Read, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use http::Version;
use serde_json::json;

use crate::{
    dialect::{BULK, Call, Dialect, Encoding, GET, Outcome, SET, dialects, encode, envelope},
    server::Server,
};

const LIST_V2: &str = "zitadel.org.v2.OrganizationService/ListOrganizationMetadata";
const HEADERS: &[(&str, &str)] = &[("authorization", "Bearer owner"), ("x-zitadel-orgid", "org-0")];

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn framed() -> Vec<Dialect> {
    let unframed = [Encoding::Rest, Encoding::ConnectJson, Encoding::ConnectProto];
    dialects().into_iter().filter(|dialect| !unframed.contains(&dialect.encoding)).collect()
}

/// Sends `body` in the place of a call's own.
async fn send(
    server: &Server,
    dialect: Dialect,
    rpc: &str,
    body: &[u8],
    headers: &[(&str, &str)],
) -> Outcome {
    let headers = [HEADERS, headers].concat();
    let message = if rpc == LIST_V2 { json!({"organizationId": "org-0"}) } else { json!({}) };
    let mut request = dialect.request(&Call { rpc, headers: &headers, message });
    let text = matches!(dialect.encoding, Encoding::WebText | Encoding::WebTextAtUrl);
    *request.body_mut() = if text { STANDARD.encode(body).into() } else { body.to_vec().into() };
    let answer = dialect.connect(server.address).await.send(request).await;
    dialect.read(rpc, &answer)
}

#[tokio::test]
async fn one_message_and_nothing_else() {
    let server = Server::start();
    let trailers = envelope(0x80, b"x: y\r\n");
    let wrong_type = envelope(0, &[0x08, 0x01]);
    for dialect in framed() {
        let message = json!({"metadata": [{"key": "k", "value": "YQ=="}]});
        let good = envelope(0, &dialect.encode(BULK, &message));
        let malformed = if dialect.encoding.is_json() { 3 } else { 13 };
        let sent = async |body: &[u8]| send(&server, dialect, BULK, body, &[]).await;
        sent(&good).await.unwrap_or_else(|error| panic!("{dialect:?} {error:?}"));
        sent(&[&good[..], &trailers[..]].concat())
            .await
            .unwrap_or_else(|error| panic!("{dialect:?} {error:?}"));
        for (body, code, message) in [
            (&b""[..], 12, "a unary call takes one message; there is none"),
            (&trailers, 12, "a unary call takes one message; there is none"),
            (&[&good[..], &good[..]].concat(), 12, "a unary call takes one message; there is more"),
            (&[&good[..], &b"x"[..]].concat(), 12, "a unary call takes one message; there is more"),
            (&good[..3], 13, "the message's envelope is truncated"),
            (&good[..good.len() - 1], 13, "the message is truncated"),
            (&envelope(1, b"x"), 13, "grpc: compressed flag set with identity or empty encoding"),
            (&envelope(2, b"x"), 13, "grpc: received unexpected payload format 2"),
            (
                &[0, 0xFF, 0xFF, 0xFF, 0xFF],
                8,
                "grpc: received message larger than max (4294967295 vs. 4194304)",
            ),
            (&envelope(0, b"\xFF\xFF"), malformed, "proto: "),
            (&wrong_type, malformed, "proto: "),
            (b"{\"metadata\":[]}", 13, ""),
        ] {
            let failure = sent(body).await.unwrap_err();
            assert_eq!(failure.code, code, "{dialect:?} {body:?} {failure:?}");
            assert!(failure.message.starts_with(message), "{dialect:?} {body:?} {failure:?}");
        }
        // What is malformed has another code in v2.
        let failure = send(&server, dialect, LIST_V2, &envelope(0, b"\xFF\xFF"), &[]).await.unwrap_err();
        assert_eq!(failure.code, 3, "{dialect:?}");
    }
}

#[tokio::test]
async fn connect_says_malformed_with_one_code() {
    let server = Server::start();
    for rpc in [BULK, LIST_V2] {
        for (encoding, bodies) in [
            (Encoding::ConnectProto, &[&b"\xFF\xFF"[..], b"{}"][..]),
            (
                Encoding::ConnectJson,
                &[b"", b"null", b"{} {}", b"{", b"[]", b"\xFF", b"{\"metadata\":5,\"filters\":5}"],
            ),
        ] {
            let dialect = Dialect { encoding, version: Version::HTTP_2 };
            for body in bodies {
                let failure = send(&server, dialect, rpc, body, &[]).await.unwrap_err();
                assert_eq!(failure.code, 3, "{rpc} {body:?} {failure:?}");
                assert!(failure.message.starts_with("proto: "), "{rpc} {body:?} {failure:?}");
            }
        }
    }
    let dialect = Dialect { encoding: Encoding::ConnectJson, version: Version::HTTP_11 };
    let failure =
        send(&server, dialect, BULK, b"{}", &[("connect-protocol-version", "2")]).await.unwrap_err();
    assert_eq!(failure.message, "Connect-Protocol-Version must be \"1\": got \"2\"");
}

#[tokio::test]
async fn compressed_requests() {
    let server = Server::start();
    let call = json!({"metadata": [{"key": "k", "value": "YQ=="}]});
    for dialect in framed() {
        let message = dialect.encode(BULK, &call);
        let json = dialect.encoding.is_json();
        let sent = async |body: &[u8], encoding| {
            send(&server, dialect, BULK, body, &[("grpc-encoding", encoding)]).await
        };
        sent(&envelope(1, &gzip(&message)), "gzip")
            .await
            .unwrap_or_else(|error| panic!("{dialect:?} {error:?}"));
        sent(&envelope(0, &message), "gzip").await.unwrap_or_else(|error| panic!("{dialect:?} {error:?}"));
        sent(&envelope(0, &message), "identity")
            .await
            .unwrap_or_else(|error| panic!("{dialect:?} {error:?}"));
        for (body, encoding, code, message) in [
            (envelope(0, &message), "br", 12, "grpc: Decompressor is not installed for grpc-encoding \"br\""),
            (envelope(1, b"no gzip"), "gzip", 13, "the message is no valid gzip"),
            (envelope(1, &gzip(&message)[..20]), "gzip", 13, "the message is no valid gzip"),
            // A bomb: 10 MiB in a few kilobytes, of which no more is read than the codec may need.
            (
                envelope(1, &gzip(&vec![0; 10 << 20])),
                "gzip",
                8,
                if json {
                    "grpc: received message larger than max (8454145 vs. 4194304)"
                } else {
                    "grpc: received message larger than max (4194305 vs. 4194304)"
                },
            ),
        ] {
            let failure = sent(&body, encoding).await.unwrap_err();
            assert_eq!(failure.code, code, "{dialect:?} {encoding} {failure:?}");
            assert!(failure.message.starts_with(message), "{dialect:?} {failure:?}");
        }
    }
    let json = b"{\"metadata\":[{\"key\":\"k\",\"value\":\"YQ==\"}]}";
    let proto = encode(BULK, &call);
    for (encoding, body) in [(Encoding::ConnectJson, &json[..]), (Encoding::ConnectProto, &proto)] {
        let dialect = Dialect { encoding, version: Version::HTTP_11 };
        let sent = async |body: &[u8], encoding| {
            send(&server, dialect, BULK, body, &[("content-encoding", encoding)]).await
        };
        sent(&gzip(body), "gzip").await.unwrap();
        sent(body, "identity").await.unwrap();
        let failure = sent(body, "br").await.unwrap_err();
        assert_eq!(
            (failure.code, &*failure.message),
            (12, "unknown compression \"br\": supported encodings are gzip")
        );
        assert_eq!(sent(body, "gzip").await.unwrap_err().code, 3);
        let bomb = gzip(&vec![b' '; 20 << 20]);
        assert_eq!(sent(&bomb, "gzip").await.unwrap_err().code, 8);
    }
}

#[tokio::test]
async fn compressed_replies() {
    let server = Server::start();
    let value = "A".repeat(4_000);
    let rest = Dialect { encoding: Encoding::Rest, version: Version::HTTP_2 };
    let mut client = rest.connect(server.address).await;
    let set = Call { rpc: SET, headers: HEADERS, message: json!({"key": "k", "value": value}) };
    rest.call(&mut client, &set).await.unwrap();
    let send = async |dialect: Dialect, name, accepted| {
        let headers = [HEADERS, &[(name, accepted)]].concat();
        let call = Call { rpc: GET, headers: &headers, message: json!({"key": "k"}) };
        dialect.connect(server.address).await.send(dialect.request(&call)).await
    };
    for encoding in [Encoding::Grpc, Encoding::Web] {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let answer = send(Dialect { encoding, version }, "grpc-accept-encoding", "identity,gzip").await;
            assert_eq!(answer.header("grpc-encoding"), "gzip");
            assert_eq!(answer.body[0], 1);
            let length = u32::from_be_bytes(answer.body[1..5].try_into().unwrap()) as usize;
            let mut plain = Vec::new();
            GzDecoder::new(&answer.body[5..5 + length]).read_to_end(&mut plain).unwrap();
            assert!(plain.len() > 3_000);
            let answer = send(Dialect { encoding, version }, "grpc-accept-encoding", "br").await;
            assert_eq!((answer.header("grpc-encoding"), answer.body[0]), ("", 0));
        }
    }
    let connect = Dialect { encoding: Encoding::ConnectJson, version: Version::HTTP_11 };
    let answer = send(connect, "accept-encoding", "br;q=1, gzip;q=0.5").await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut plain = String::new();
    GzDecoder::new(&answer.body[..]).read_to_string(&mut plain).unwrap();
    assert!(plain.contains(&value));
    assert_eq!(send(connect, "accept-encoding", "gzip;q=0").await.header("content-encoding"), "");
    assert_eq!(
        send(rest, "accept-encoding", "gzip").await.header("content-encoding"),
        "",
        "REST is never compressed"
    );
}

#[tokio::test]
async fn base64_comes_in_pieces_or_is_refused() {
    let server = Server::start();
    let message = envelope(0, &encode(BULK, &json!({"metadata": [{"key": "k", "value": "YQ=="}]})));
    let (one, two) = message.split_at(7);
    let pieces = format!("{}{}", STANDARD.encode(one), STANDARD.encode(two));
    for (text, code) in [(&*pieces, 0), ("!!!", 3), ("AAAAA", 3), ("", 12)] {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let dialect = Dialect { encoding: Encoding::WebText, version };
            let mut request = dialect.request(&Call { rpc: BULK, headers: HEADERS, message: json!({}) });
            *request.body_mut() = text.to_owned().into();
            let answer = dialect.connect(server.address).await.send(request).await;
            let outcome = dialect.read(BULK, &answer);
            assert_eq!(outcome.map_or_else(|failure| failure.code, |_| 0), code, "{text}");
        }
    }
}

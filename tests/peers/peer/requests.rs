//! Heads that are no heads, and messages that are no messages.

use std::net::SocketAddr;

use http::{Request, Version};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::client::Client;

const SET: &str = "/zitadel.management.v1.ManagementService/SetOrgMetadata";

/// What is sent, and what the first line of the answer is; empty where the connection is just closed.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have closed it meanwhile; the answer is there all the same.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        answer.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

pub async fn large_head(address: SocketAddr) {
    let large = "x".repeat(1_000);
    for round in 0..200 {
        let request = match round % 3 {
            0 => format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(100_000)),
            1 => format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{}\r\n", format!("x: {large}\r\n").repeat(90)),
            _ => format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(1_000)),
        };
        let answer = exchange(address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{} {answer:?}", round % 3);
    }
    let answer = exchange(address, format!("GET /{} HTTP/1.1\r\n", "x".repeat(1_000_000)).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 414 ") || answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
}

/// Requests on which two readers might not agree, or that no reader should take (RFC 9112, sections 3, 5 and 6). The
/// answer's status; and whether the connection takes another request.
const BROKEN: &[(&str, &str)] = &[
    ("GET /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 2\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\nx", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost : a\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\nx\0: b\r\n\r\n", "400"),
    ("GET /healthz HTTP/1.1\r\nhost: a\r\n: b\r\n\r\n", "400"),
    ("GET /healthz\0 HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
    ("GET /heal thz HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
    ("GET /healthz HTTP/9.9\r\nhost: a\r\n\r\n", "400"),
    ("GET\r\n\r\n", "400"),
    ("\u{1}\u{2}\u{3}\r\n\r\n", "400"),
    ("\u{16}\u{3}\u{1}\0\u{a5}\u{1}\0\0\u{a1}\u{3}\u{3}\r\n\r\n", "400"),
];

pub async fn broken_heads(address: SocketAddr) {
    for _ in 0..30 {
        for (request, want) in BROKEN {
            let answer = exchange(address, request.as_bytes()).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {want} "))
                    || answer.starts_with(&format!("HTTP/1.0 {want} ")),
                "{request:?} {answer:?}"
            );
            assert_eq!(answer.matches("HTTP/1.").count(), 1, "{request:?} {answer:?}");
        }
        // With both lengths the chunks count, and what follows is not taken for a request (RFC 9112, section 6.3).
        for lengths in [
            "content-length: 4\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 4",
        ] {
            let request = format!(
                "POST /debug/healthz HTTP/1.1\r\nhost: a\r\n{lengths}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
            );
            let answer = exchange(address, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        }
        // The target's host counts, whatever the header says (RFC 9112, section 3.2.2).
        let request = "GET http://one.example/debug/healthz HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\n\r\n";
        assert!(exchange(address, request.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    }
}

/// Bodies that are no messages: each has an answer of the 400s in its encoding, and the connection goes on.
pub async fn broken_messages(address: SocketAddr) {
    let mut documents: Vec<Vec<u8>> = vec![
        "[".repeat(10_000).into_bytes(),
        format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes(),
        format!("{{\"x\":{}1{}}}", "{\"x\":".repeat(20_000), "}".repeat(20_000)).into_bytes(),
        format!("{{{}\"value\":\"\"}}", "\"unknown\":1,".repeat(300_000)).into_bytes(),
        b"{\"value\":\"\\ud800\"}".to_vec(),
        b"{\"value\":\"\\udc00\\ud800\"}".to_vec(),
        b"{\"\\ud800\":1}".to_vec(),
        b"{\"value\":\"\xff\xfe\"}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"value\":1e999}".to_vec(),
        b"nul".to_vec(),
    ];
    documents.push(vec![0; 100_000]);
    let envelopes: [&[u8]; 8] = [
        b"\0\xff\xff\xff\xff",
        b"\0\0\0\0\x09abc",
        b"\x02\0\0\0\x01a",
        b"\x01\0\0\0\x01a",
        b"\0\0\0",
        b"\x80\0\0\0\0",
        b"\0\0\0\0\x01\xff",
        b"\0\0\0\0\0\0\0\0\0\0",
    ];
    let mut tasks = JoinSet::new();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let documents = documents.clone();
        tasks.spawn(async move {
            let mut client = Client::connect(address, version).await;
            for _ in 0..3 {
                for document in &documents {
                    for (path, content_type) in [
                        ("/management/v1/metadata/k", "application/json"),
                        (SET, "application/json"),
                        (SET, "application/proto"),
                    ] {
                        let request = Request::post(path).header("content-type", content_type);
                        let request = request.header("authorization", "Bearer owner").body(document.clone());
                        let answer = client.send(request.unwrap()).await;
                        let shown = String::from_utf8_lossy(&document[..document.len().min(40)]).into_owned();
                        assert!(answer.status.is_client_error(), "{path} {shown} {answer:?}");
                        serde_json::from_str::<serde_json::Value>(answer.text()).unwrap();
                    }
                }
                for envelope in envelopes {
                    for content_type in
                        ["application/grpc", "application/grpc-web", "application/grpc-web-text"]
                    {
                        // Base64 that is cut anywhere is no base64, or an envelope that is cut.
                        let request = Request::post(SET).header("content-type", content_type);
                        let answer = client.send(request.body(envelope.to_vec()).unwrap()).await;
                        let status = answer.header("grpc-status");
                        assert!(
                            ["3", "8", "12", "13"].contains(&status),
                            "{content_type} {envelope:?} {answer:?}"
                        );
                    }
                }
            }
        });
    }
    tasks.join_all().await;
}

//! Deadlines, in every encoding (departure D18).

use http::Version;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    dialect::{BULK, Call, Dialect, Encoding, dialects},
    server::Server,
};

fn header(dialect: Dialect) -> &'static str {
    match dialect.encoding {
        Encoding::ConnectJson | Encoding::ConnectProto => "connect-timeout-ms",
        _ => "grpc-timeout",
    }
}

#[tokio::test]
async fn one_that_has_passed_is_told_in_the_callers_encoding() {
    let server = Server::start();
    for dialect in dialects() {
        let mut client = dialect.connect(server.address).await;
        let name = header(dialect);
        let expired = if name == "grpc-timeout" { "0n" } else { "0" };
        // Neither token nor message matter any more.
        let call = Call { rpc: BULK, headers: &[(name, expired)], message: json!({}) };
        let failure = dialect.call(&mut client, &call).await.unwrap_err();
        assert_eq!((failure.code, &*failure.message), (4, "context deadline exceeded"), "{dialect:?}");
        assert_eq!(failure.detail, None);
    }
}

#[tokio::test]
async fn values() {
    let server = Server::start();
    for dialect in dialects() {
        let name = header(dialect);
        let (other, good, bad): (_, &[&str], &[&str]) = if name == "grpc-timeout" {
            (
                "connect-timeout-ms",
                &["", "10S", "99999999H", "100000m"],
                &["abc", "1", "123456789S", "-1S", "1.5S", "S"],
            )
        } else {
            ("grpc-timeout", &["", "10000", "9999999999"], &["abc", "10000000000", "-1", "1S"])
        };
        let mut client = dialect.connect(server.address).await;
        for value in good {
            let call = Call { rpc: BULK, headers: &[(name, value), (other, "garbage")], message: json!({}) };
            let failure = dialect.call(&mut client, &call).await.unwrap_err();
            assert_eq!(failure.message, "auth header missing", "{dialect:?} {value:?}");
        }
        for value in bad {
            let call = Call { rpc: BULK, headers: &[(name, value)], message: json!({}) };
            let failure = dialect.call(&mut client, &call).await.unwrap_err();
            assert_eq!(
                (failure.code, failure.message),
                (3, format!("invalid {name}: {value}")),
                "{dialect:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_does_not_outlast_the_deadline() {
    let server = Server::start();
    for (path, content_type, name, value, want) in [
        ("/management/v1/metadata/_bulk", "application/json", "grpc-timeout", "50m", "504 Gateway Timeout"),
        (&*format!("/{BULK}"), "application/json", "connect-timeout-ms", "50", "504 Gateway Timeout"),
        (&*format!("/{BULK}"), "application/grpc-web", "grpc-timeout", "50m", "grpc-status: 4"),
        (&*format!("/{BULK}"), "application/grpc", "grpc-timeout", "50m", "grpc-status: 4"),
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {content_type}\r\n{name}: {value}\r\n\
             content-length: 100\r\n\r\n{{"
        );
        let answer = crate::client::raw(server.address, request.as_bytes()).await;
        assert!(answer.contains(want), "{content_type} at {path}: {answer}");
    }
    let dialect = Dialect { encoding: Encoding::Rest, version: Version::HTTP_11 };
    let mut client = dialect.connect(server.address).await;
    let call = Call { rpc: BULK, headers: &[], message: json!({}) };
    assert_eq!(dialect.call(&mut client, &call).await.unwrap_err().code, 16);
}

#[tokio::test]
async fn a_body_that_comes_late_but_soon_does_not_cost_the_connection_and_one_that_does_not_ends_it() {
    let server = Server::start();
    let head = format!(
        "POST /{BULK} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nconnect-timeout-ms: 0\r\n\
         content-length: 2\r\n\r\n"
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let read = async |stream: &mut TcpStream| {
        let mut answer = Vec::new();
        while !answer.ends_with(b"exceeded\"}") {
            answer.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(answer).unwrap()
    };
    for _ in 0..3 {
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"{}").await.unwrap();
        let answer = read(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 504 ") && !answer.contains("connection: close"), "{answer}");
    }
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains("connection: close\r\n"), "{answer}");
}

//! Deadlines and bodies that come late (departure D18). What else there is to deadlines is in the scenarios.

use http::Version;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    dialect::{BULK, Call, Dialect, Encoding},
    server::Server,
};

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

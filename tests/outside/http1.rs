//! HTTP/1.1 and 1.0, byte by byte (RFC 9112).

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{client::raw, server::Server};

const BODY: &str = "{\"value\":\"YQ==\"}";

/// A call with a body, and these headers besides.
fn set(version: &str, headers: &str) -> String {
    format!(
        "POST /management/v1/metadata/k {version}\r\nhost: a\r\nauthorization: Bearer owner\r\n\
         content-length: {}\r\n{headers}\r\n",
        BODY.len()
    )
}

#[tokio::test]
async fn who_asks_before_sending_is_told_to_go_on() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(set("HTTP/1.1", "expect: 100-continue\r\n").as_bytes()).await.unwrap();
        let mut told = [0; 25];
        stream.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(BODY.as_bytes()).await.unwrap();
        let mut status = [0; 15];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200 OK");
        // To the end of this answer.
        let mut rest = Vec::new();
        while !rest.ends_with(b"}}") {
            rest.push(stream.read_u8().await.unwrap());
        }
    }
}

#[tokio::test]
async fn connections_are_kept_and_closed_as_the_client_says() {
    let server = Server::start();
    for (version, headers, answers) in [
        ("HTTP/1.1", "", 2),
        ("HTTP/1.1", "connection: close\r\n", 1),
        ("HTTP/1.0", "", 1),
        ("HTTP/1.0", "connection: keep-alive\r\n", 2),
    ] {
        let calls = (set(version, headers) + BODY) + &(set(version, "connection: close\r\n") + BODY);
        let answer = raw(server.address, calls.as_bytes()).await;
        let want = format!("{version} 200 OK\r\n");
        assert_eq!(answer.matches(&want).count(), answers, "{version} {headers} {answer}");
        assert_eq!(answer.matches("resourceOwner").count(), answers, "{version} {headers} {answer}");
    }
}

#[tokio::test]
async fn a_head_has_the_answer_of_a_get_without_its_body() {
    let server = Server::start();
    for path in ["/healthz", "/debug/healthz", "/debug/ready", "/debug/metrics"] {
        let ask = async |method: &str| {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            let answer = raw(server.address, request.as_bytes()).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            (head.lines().next().unwrap().to_owned(), body.len())
        };
        let (get, head) = (ask("GET").await, ask("HEAD").await);
        assert!(get.1 > 0 && head.1 == 0, "{path} {get:?} {head:?}");
        // ZITADEL's own health URL takes GET only.
        let want = if path == "/healthz" { "HTTP/1.1 405 Method Not Allowed" } else { &get.0 };
        assert_eq!(head.0, want, "{path}");
    }
}

#[tokio::test]
async fn the_host_of_the_target_counts_and_each_request_has_one_answer() {
    let server = Server::start_in("domains = [\"served.example\"]\n", &["--storage", "memory:"]);
    for (request, want) in [
        ("GET http://served.example/management/v1/metadata/k HTTP/1.1\r\nhost: other.example\r\n", "401"),
        ("GET http://other.example/management/v1/metadata/k HTTP/1.1\r\nhost: served.example\r\n", "404"),
        ("GET /management/v1/metadata/k HTTP/1.1\r\nhost: served.example\r\n", "401"),
    ] {
        let answer = raw(server.address, format!("{request}connection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {want} ")), "{request} {answer}");
    }
    // With two lengths the chunks count, and what follows is not taken for a request (RFC 9112, section 6.3).
    for lengths in
        ["content-length: 4\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 4"]
    {
        let request = format!(
            "POST /debug/healthz HTTP/1.1\r\nhost: a\r\n{lengths}\r\n\r\n0\r\n\r\n\
             GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
        );
        let answer = raw(server.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
    }
}

//! Bodies that do not come, do not end, or are not what they seem.

use std::{io::Write, net::SocketAddr, time::Duration};

use flate2::{Compression, write::GzEncoder};
use http::{Request, Version};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    client::Client,
    frames::{self, Connection},
};

const SET: &str = "/zitadel.management.v1.ManagementService/SetOrgMetadata";
const SET_V2: &str = "/zitadel.org.v2.OrganizationService/SetOrganizationMetadata";

/// The ways in which a call is begun, and how an answer in each says DEADLINE_EXCEEDED.
const BEGINNINGS: [(&str, &str, &str); 5] = [
    ("/management/v1/metadata/k", "application/json", "HTTP/1.1 504 "),
    (SET, "application/json", "HTTP/1.1 504 "),
    (SET, "application/proto", "HTTP/1.1 504 "),
    (SET, "application/grpc-web", "grpc-status: 4\r\n"),
    (SET, "application/grpc", "grpc-status: 4\r\n"),
];

/// The head of a call, with a body of this length.
fn head(path: &str, content_type: &str, length: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer owner\r\ncontent-type: {content_type}\r\n\
         {length}\r\n\r\n"
    )
}

pub async fn never_comes(address: SocketAddr) {
    let mut tasks = JoinSet::new();
    for round in 0..20 {
        for (path, content_type, want) in BEGINNINGS {
            let length = if round % 2 == 0 { "content-length: 1000" } else { "transfer-encoding: chunked" };
            let head = head(path, content_type, length);
            tasks.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(head.as_bytes()).await.unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.unwrap();
                let answer = String::from_utf8_lossy(&answer);
                assert!(answer.contains(want), "{answer}");
            });
        }
        // Over HTTP/2 the other calls of the connection go on.
        tasks.spawn(async move {
            let mut connection = Connection::open(address, &[]).await;
            let headers = frames::call(SET, "application/grpc");
            let begin = frames::frame(frames::HEADERS, frames::END_HEADERS, 1, &headers);
            assert!(connection.send(&begin).await);
            let answer = loop {
                let frame = connection.next().await.unwrap();
                if frame.kind == frames::HEADERS {
                    break frame;
                }
            };
            assert_eq!(answer.stream, 1);
        });
    }
    tasks.join_all().await;
}

/// Each piece comes in time; the whole never would.
pub async fn trickles(address: SocketAddr) {
    let mut tasks = JoinSet::new();
    for (path, content_type, want) in BEGINNINGS.repeat(20) {
        tasks.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut read, mut write) = stream.into_split();
            write.write_all(head(path, content_type, "content-length: 1000").as_bytes()).await.unwrap();
            let writing = tokio::spawn(async move {
                while write.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
            let mut answer = [0; 512];
            let length = read.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]);
            assert!(answer.contains(want), "{answer}");
            drop(read);
            writing.abort();
        });
    }
    tasks.join_all().await;
}

/// It is told that this is too much, and cut off before it has sent a hundredth.
pub async fn huge(address: SocketAddr) {
    const LENGTH: u64 = 10_000_000_000;
    for length in [format!("content-length: {LENGTH}"), "transfer-encoding: chunked".to_owned()] {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        write
            .write_all(head("/management/v1/metadata/k", "application/json", &length).as_bytes())
            .await
            .unwrap();
        let writing = tokio::spawn(async move {
            let piece = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
            let piece = if length.starts_with('t') { &piece[..] } else { &piece[7..7 + 0x10000] };
            let mut sent = 0;
            while write.write_all(piece).await.is_ok() {
                sent += piece.len() as u64;
            }
            sent
        });
        let mut answer = Vec::new();
        // The end may be a reset, since there is more to read; the answer was there before.
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = read.read(&mut piece).await {
            answer.extend_from_slice(&piece[..length]);
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
        assert!(answer.contains("grpc: received message larger than max"), "{answer}");
        let sent = writing.await.unwrap();
        assert!(sent < LENGTH / 50, "it took {sent} bytes");
    }
}

/// Each body is allowed; all together are more than the server holds. Small calls go on, large ones are told to wait.
pub async fn many_large(address: SocketAddr) {
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        tasks.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = head(SET_V2, "application/json", "content-length: 16000001");
            stream.write_all(head.as_bytes()).await.unwrap();
            // All but the last byte: who is not refused waits for it.
            stream.write_all(&vec![b' '; 16_000_000]).await.unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).await.unwrap();
            assert!([b"HTTP/1.1 429", b"HTTP/1.1 504"].contains(&&first), "{first:?}");
            usize::from(&first == b"HTTP/1.1 429")
        });
    }
    let refused: usize = tasks.join_all().await.into_iter().sum();
    assert!(refused > 0, "none was refused");
}

/// A gigabyte of zeros, in a megabyte.
pub async fn gzip_bomb(address: SocketAddr) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..1_024 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let mut envelope = vec![1];
    envelope.extend(u32::try_from(bomb.len()).unwrap().to_be_bytes());
    envelope.extend(&bomb);
    let mut tasks = JoinSet::new();
    for version in [Version::HTTP_11, Version::HTTP_2].repeat(4) {
        let (bomb, envelope) = (bomb.clone(), envelope.clone());
        tasks.spawn(async move {
            let mut client = Client::connect(address, version).await;
            for _ in 0..5 {
                let request = Request::post(SET)
                    .header("content-type", "application/grpc")
                    .header("grpc-encoding", "gzip")
                    .body(envelope.clone());
                assert_eq!(client.send(request.unwrap()).await.header("grpc-status"), "8");
                let request = Request::post(SET)
                    .header("content-type", "application/json")
                    .header("content-encoding", "gzip")
                    .body(bomb.clone());
                let answer = client.send(request.unwrap()).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.text().contains("resource_exhausted")),
                    (429, true)
                );
            }
        });
    }
    tasks.join_all().await;
}

/// Calls that are cut off after each of their bytes: each write is there whole, or not at all, and numbers have no gaps.
pub async fn gone_in_the_middle(address: SocketAddr) {
    let call = |key: &str| {
        let body = format!(
            "{{\"metadata\":[{{\"key\":\"{key}-a\",\"value\":\"YQ==\"}},{{\"key\":\"{key}-b\",\"value\":\"YQ==\"}}]}}"
        );
        let length = format!("content-length: {}", body.len());
        head("/management/v1/metadata/_bulk", "application/json", &length) + &body
    };
    let length = call("00000").len();
    for round in 0..10 {
        for cut in 0..=length {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let key = format!("{:05}", round * 1_000 + cut);
            stream.write_all(&call(&key).as_bytes()[..cut]).await.unwrap();
            if round % 2 == 0 {
                stream.set_zero_linger().unwrap();
            }
        }
    }
    let mut client = Client::connect(address, Version::HTTP_11).await;
    let list = Request::post("/management/v1/metadata/_search").header("authorization", "Bearer owner");
    let answer = client.send(list.body("{\"query\":{\"limit\":1000}}").unwrap()).await;
    let answer: Value = serde_json::from_str(answer.text()).unwrap();
    let mut halves = std::collections::BTreeMap::<String, usize>::new();
    for entry in answer["result"].as_array().map_or(&[][..], Vec::as_slice) {
        if let Some((key, _)) = entry["key"].as_str().unwrap().rsplit_once('-')
            && key.parse::<u32>().is_ok()
        {
            *halves.entry(key.to_owned()).or_default() += 1;
        }
    }
    assert!(halves.values().all(|count| *count == 2), "{halves:?}");
}

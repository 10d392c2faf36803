//! Connections on which little or nothing is said.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use http::{Request, Version};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use crate::client::Client;

/// Many connections, each saying `text` and then nothing. The server must close each of them.
async fn wait_to_be_closed(address: SocketAddr, text: &'static [u8]) {
    let mut connections = JoinSet::new();
    for _ in 0..500 {
        connections.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(text).await.unwrap();
            // An end or a reset: it is over.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
    }
    connections.join_all().await;
}

pub async fn silence(address: SocketAddr) {
    wait_to_be_closed(address, b"").await;
}

pub async fn half_a_preface(address: SocketAddr) {
    wait_to_be_closed(address, b"PRI * HT").await;
}

/// A head that goes on and on, byte by byte, long before the limit on its size.
pub async fn slow_head(address: SocketAddr) {
    let mut connections = JoinSet::new();
    for _ in 0..200 {
        connections.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = b"GET /healthz HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'x'));
            for byte in head {
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    connections.join_all().await;
}

/// Each connection has served a request, and then nothing comes.
pub async fn idle_after_a_call(address: SocketAddr) {
    let mut connections = JoinSet::new();
    for _ in 0..200 {
        connections.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /debug/healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        });
        let mut frames = crate::frames::Connection::open(address, &[]).await;
        connections.spawn(async move {
            assert_eq!(frames.end().await, Some(0), "an idle connection ends in order");
        });
    }
    connections.join_all().await;
}

/// Raises the limit on open files to what the system grants.
fn allow_open_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}

/// Connects from an address of its own, as ports of one address run out.
async fn connect_from(index: u32, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let [_, b, c, d] = (index + 2).to_be_bytes();
    socket.bind((IpAddr::V4(Ipv4Addr::new(127, b, c, d)), 0).into())?;
    socket.connect(address).await
}

pub async fn open_and_drop(address: SocketAddr) {
    let mut tasks = JoinSet::new();
    for task in 0..20 {
        tasks.spawn(async move {
            for index in 0..5_000 {
                // From 2,000 addresses, 50 connections each.
                let mut stream = connect_from((task * 5_000 + index) % 2_000, address).await.unwrap();
                match index % 3 {
                    0 => {}
                    1 => stream.write_all(b"GET /heal").await.unwrap(),
                    _ => stream.set_zero_linger().unwrap(),
                }
            }
        });
    }
    tasks.join_all().await;
}

/// Half of them over HTTP/1.1, half over HTTP/2, each after a request.
pub async fn idle(address: SocketAddr) {
    allow_open_files();
    // They come and go in some seconds; it is while they are there that they shall cost nothing.
    let mut pace = tokio::time::interval(Duration::from_micros(500));
    let mut kept = Vec::new();
    for index in 0..10_000 {
        pace.tick().await;
        let mut stream = connect_from(index % 1_000, address).await.unwrap();
        if index % 2 == 0 {
            stream.write_all(b"GET /debug/healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let mut first = [0; 15];
            stream.read_exact(&mut first).await.unwrap();
            assert_eq!(&first, b"HTTP/1.1 200 OK");
            kept.push(stream);
        } else {
            let settings = crate::frames::frame(crate::frames::SETTINGS, 0, 0, &[]);
            stream.write_all(&[crate::frames::PREFACE, &settings].concat()).await.unwrap();
            let mut first = [0; 9];
            stream.read_exact(&mut first).await.unwrap();
            assert_eq!(first[3], crate::frames::SETTINGS);
            kept.push(stream);
        }
    }
    let mut client = Client::connect(address, Version::HTTP_11).await;
    let answer = client.send(Request::get("/debug/metrics").body("").unwrap()).await;
    let open = answer.text().lines().find_map(|line| line.strip_prefix("metagate_connections "));
    assert!(open.unwrap().parse::<usize>().unwrap() > kept.len(), "{open:?} are open");
    for stream in kept {
        pace.tick().await;
        drop(stream);
    }
}

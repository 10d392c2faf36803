//! One server after the other on a socket that outlives them, under load: nobody notices.

use std::{
    error::Error,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Version};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use crate::{
    client::{Answer, Client},
    dialect::{Call, Dialect, Encoding, LIST, REST, SET, dialects},
    reloading::PATIENCE,
    server::{Server, directory, metagate, pass_on},
    tls::file,
};

/// Bytes of the values that are set, in turn: some replies and requests are on their way for longer.
const VALUE_BYTES: [usize; 5] = [10, 10, 1_000, 10, 100_000];

/// A client that heeds `Connection: close` and GOAWAY, and repeats nothing that it has sent.
struct Load {
    dialect: Dialect,
    address: SocketAddr,
    tls: bool,
    /// Whether each request has a connection of its own.
    is_hasty: bool,
    client: Option<Client>,
    connections: usize,
    requests: usize,
    /// One for each request, of all clients.
    answered: Arc<Semaphore>,
}

impl Load {
    async fn send(&mut self, request: Request<Bytes>) -> Result<Answer, String> {
        let Self { dialect, address, tls, .. } = *self;
        loop {
            let client = match &mut self.client {
                Some(client) => client,
                none => {
                    self.connections += 1;
                    let client = match tls {
                        true => Client::try_connect_tls(address, dialect.version).await,
                        false => Client::try_connect(address, dialect.version).await,
                    };
                    none.insert(client.map_err(|error| format!("connect: {error}"))?)
                }
            };
            match client.try_send(request.clone()).await {
                Ok(answer) => {
                    if self.is_hasty || answer.header("connection") == "close" {
                        self.client = None;
                    }
                    self.requests += 1;
                    self.answered.add_permits(1);
                    return Ok(answer);
                }
                // It was known to end before the request was sent.
                Err(error) if error.is_canceled() || error.is_closed() => self.client = None,
                // Sent before it was known, and for certain not processed (RFC 9113, section 6.8).
                Err(error) if is_beyond_the_last(&error) => self.client = None,
                Err(error) => return Err(format!("{error:?}")),
            }
        }
    }

    async fn run(mut self, done: Arc<AtomicBool>) -> (usize, usize) {
        let Self { dialect, tls, is_hasty, .. } = self;
        let organization = format!("org-{}", if is_hasty { 0 } else { 1 });
        let headers = [("authorization", "Bearer owner"), ("x-zitadel-orgid", &*organization)];
        let request = |rpc, message| (rpc, dialect.request(&Call { rpc, headers: &headers, message }));
        let sets = VALUE_BYTES.map(|bytes| json!({"key": "k", "value": "YWFh".repeat(bytes / 3)}));
        let mut requests: Vec<_> = sets.map(|set| request(SET, set)).into();
        if dialect.speaks(LIST) {
            requests.push(request(LIST, json!({})));
        }
        for (rpc, request) in requests.iter().cycle() {
            if done.load(Ordering::SeqCst) {
                break;
            }
            let answer = self.send(request.clone()).await;
            let answer = answer.unwrap_or_else(|error| {
                panic!("{dialect:?} tls: {tls} hasty: {is_hasty} {}: {error}", self.requests)
            });
            dialect.read(rpc, &answer).unwrap_or_else(|failure| panic!("{dialect:?} {failure:?}"));
        }
        (self.requests, self.connections)
    }
}

/// Whether the server has named a last stream, which comes before that of the request.
fn is_beyond_the_last(error: &hyper::Error) -> bool {
    let error = error.source().and_then(|error| error.downcast_ref::<h2::Error>());
    error.is_some_and(|error| {
        error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
    })
}

/// Servers on one socket, one after the other.
struct Succession {
    socket: TcpListener,
    arguments: Vec<String>,
    folder: TempDir,
}

impl Succession {
    fn new(tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("directory.toml"), directory()).unwrap();
        let mut arguments: Vec<_> = ["serve", "--listen", "systemd:", "--storage", "memory:"].into();
        arguments.extend(["--log-level", "error", "--directory", "directory.toml"]);
        let (certificate, key) = (file("certificate.pem"), file("key.pem"));
        if tls {
            arguments.extend(["--tls-certificate", &certificate, "--tls-key", &key]);
        }
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        Self { socket: TcpListener::bind("127.0.0.1:0").unwrap(), arguments, folder }
    }

    fn next(&self) -> Server {
        let mut command = metagate();
        command.args(&self.arguments);
        let mut command = pass_on(&command, self.socket.try_clone().unwrap(), None);
        command.current_dir(self.folder.path());
        Server::run(command)
    }
}

async fn nobody_notices(tls: bool) {
    const ROUNDS: usize = 10;
    const REQUESTS_PER_ROUND: u32 = 500;

    let succession = Succession::new(tls);
    let mut server = succession.next();
    let address = server.address;
    let done = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(Semaphore::new(0));
    let mut clients = Vec::new();
    for dialect in dialects() {
        let is_hasty_too =
            [Encoding::Rest, Encoding::Grpc, Encoding::ConnectProto].contains(&dialect.encoding);
        for is_hasty in [false, true].into_iter().filter(|is_hasty| !is_hasty || is_hasty_too) {
            let (client, answered) = (None, answered.clone());
            let load =
                Load { dialect, address, tls, is_hasty, client, connections: 0, requests: 0, answered };
            clients.push((dialect, is_hasty, tokio::spawn(load.run(done.clone()))));
        }
    }
    for round in 0..ROUNDS {
        let load = timeout(PATIENCE, answered.acquire_many(REQUESTS_PER_ROUND)).await;
        load.expect("requests go on").unwrap().forget();
        // Side by side; or with nobody there for a while, and the socket's queue to wait in.
        let next = round % 2 == 0;
        let next = next.then(|| succession.next());
        server.signal("TERM");
        let ended = tokio::task::block_in_place(|| server.wait());
        assert_eq!(ended.code(), Some(0));
        server = next.unwrap_or_else(|| succession.next());
    }
    done.store(true, Ordering::SeqCst);
    let (mut all, mut kept) = (0, 0);
    for (dialect, is_hasty, client) in clients {
        let (requests, connections) = client.await.unwrap();
        assert!(requests > 0, "{dialect:?}");
        all += requests;
        if !is_hasty {
            kept = kept.max(connections);
        }
    }
    eprintln!("tls: {tls}; {all} requests; up to {kept} connections of who keeps them");
    assert!(kept >= ROUNDS / 2, "{kept}: else there was no load to speak of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_notices_that_servers_follow_each_other() {
    nobody_notices(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_notices_that_servers_follow_each_other_inside_tls() {
    nobody_notices(true).await;
}

/// Waits until the server lets nobody in any more.
async fn closed(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

/// A connection on which nothing was said, in TLS, if it is to be.
async fn silent(address: SocketAddr, tls: bool) -> Pin<Box<dyn Stream>> {
    match tls {
        true => Box::pin(crate::tls::connect(address, None, false).await.unwrap()),
        false => Box::pin(TcpStream::connect(address).await.unwrap()),
    }
}

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// How many connections there are.
async fn connections(client: &mut Client) -> usize {
    let answer = client.send(Request::get("/debug/metrics").body("").unwrap()).await;
    let line = answer.text().lines().find_map(|line| line.strip_prefix("metagate_connections "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn who_has_connected_gets_to_send_a_request() {
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    for tls in [false, true] {
        let mut server = match tls {
            false => Server::start(),
            true => Server::start_with(&[
                "--storage",
                "memory:",
                "--tls-certificate",
                &certificate,
                "--tls-key",
                &key,
            ]),
        };
        let address = server.address;
        let get = "GET /debug/healthz HTTP/1.1\r\nhost: a\r\n\r\n";
        let mut used = match tls {
            true => Client::connect_tls(address, Version::HTTP_11).await,
            false => Client::connect(address, Version::HTTP_11).await,
        };
        let (mut silent, mut begun) = (silent(address, tls).await, silent(address, tls).await);
        begun.write_all(&get.as_bytes()[..5]).await.unwrap();
        while connections(&mut used).await < 3 {}
        server.signal("TERM");
        closed(address).await;
        // As soon as that: they are not waited for much longer.
        silent.write_all(get.as_bytes()).await.unwrap();
        begun.write_all(&get.as_bytes()[5..]).await.unwrap();
        let answer = used.send(Request::get("/debug/healthz").body("").unwrap()).await;
        assert_eq!((answer.text(), answer.header("connection")), ("ok", "close"), "tls: {tls}");
        for mut stream in [silent, begun] {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            let is_last = answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n");
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && is_last, "tls: {tls} {answer}");
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[tokio::test]
async fn who_sends_more_than_is_read_gets_the_reply_whole() {
    let server = Server::start();
    let value = "YWFh".repeat(100_000);
    REST.call_as(server.address, "owner", SET, json!({"key": "k", "value": value})).await.unwrap();
    // Most of the reply waits at the server.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let get = "GET /management/v1/metadata/k HTTP/1.1\r\nhost: a\r\nauthorization: Bearer owner\r\n";
    stream.write_all(format!("{get}connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let length = stream.read(&mut piece).await.unwrap();
        if length == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..length]);
        // Comes after the end of what the server has written.
        stream.write_all(b"\r\n").await.unwrap();
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains(&value), "{}", answer.len());
}

/// What `/debug/ready` says, on a connection of its own.
async fn ready(address: SocketAddr) -> u16 {
    let mut client = Client::connect(address, Version::HTTP_11).await;
    client.send(Request::get("/debug/ready").body("").unwrap()).await.status.as_u16()
}

#[tokio::test]
async fn who_is_about_to_end_says_so_before_it_takes_no_more() {
    let start = |delay| Server::start_with(&["--storage", "memory:", "--drain-delay-seconds", delay]);
    // Longer than the test takes: what is seen here is seen before the delay is over.
    let mut server = start("600");
    let mut kept = Client::connect(server.address, Version::HTTP_11).await;
    assert_eq!(ready(server.address).await, 200);
    server.signal("TERM");
    while ready(server.address).await == 200 {}
    assert_eq!(ready(server.address).await, 412);
    let answer = kept.send(Request::get("/debug/healthz").body("").unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("connection")), (200, ""));
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));

    let mut server = start("1");
    server.signal("TERM");
    // It ends by itself.
    assert_eq!(server.wait().code(), Some(0));
}

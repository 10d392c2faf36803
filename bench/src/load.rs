//! The load: a fixed number of calls in flight, each followed by the next as soon as it is answered.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpStream,
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::{
    Error,
    call::{Answer, Calls, Protocol, TAIL_BYTES},
};

/// How many HTTP/2 connections calls are spread over, at most.
pub const HTTP2_CONNECTIONS_MAX: usize = 4;

/// Open connections to a server, for a fixed number of calls in flight: one connection for each over HTTP/1.1, up to
/// [`HTTP2_CONNECTIONS_MAX`] for all over HTTP/2.
pub struct Connections(Vec<Sender>);

/// What a round of calls took.
pub struct Round {
    pub elapsed: Duration,
    /// From the sending of each call to the end of its answer, in microseconds, in no order.
    pub latencies: Vec<u32>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connections {
    /// Connects, for `in_flight` calls at once.
    pub async fn open(address: SocketAddr, protocol: Protocol, in_flight: usize) -> Result<Self, Error> {
        let mut senders = Vec::with_capacity(in_flight);
        for index in 0..in_flight {
            let shared = match senders.get(index % HTTP2_CONNECTIONS_MAX) {
                Some(Sender::Http2(sender)) => Some(Sender::Http2(sender.clone())),
                _ => None,
            };
            senders.push(match shared {
                Some(shared) => shared,
                None => Sender::connect(address, protocol).await?,
            });
        }
        Ok(Self(senders))
    }

    /// The same with a connection for each call, over HTTP/2 too.
    pub async fn open_apart(address: SocketAddr, protocol: Protocol, count: usize) -> Result<Self, Error> {
        let mut senders = Vec::with_capacity(count);
        for _ in 0..count {
            senders.push(Sender::connect(address, protocol).await?);
        }
        Ok(Self(senders))
    }

    /// Makes one call over each, one after the other.
    ///
    /// # Errors
    /// The first call that failed.
    pub async fn each_once(&mut self, calls: &Calls) -> Result<(), Error> {
        for (sender, request) in self.0.iter_mut().zip(calls.requests.iter().cycle()) {
            calls.check(&sender.call(request.clone()).await?)?;
        }
        Ok(())
    }

    /// Makes `count` calls, `rate` of them a second, whether or not those before are answered: what finds no free connection waits
    /// for one, and the wait counts. Returns the microseconds from when each was due to the end of its answer, in no order.
    ///
    /// # Errors
    /// The first call that failed.
    pub async fn at_rate(&mut self, calls: &Arc<Calls>, rate: f64, count: usize) -> Result<Vec<u32>, Error> {
        let (due, queue) = mpsc::unbounded_channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut tasks = JoinSet::new();
        for sender in self.0.drain(..) {
            tasks.spawn(as_they_are_due(sender, calls.clone(), queue.clone()));
        }
        let clock = thread::spawn(move || tick(&due, rate, count));
        let mut latencies = Vec::with_capacity(count);
        while let Some(finished) = tasks.join_next().await {
            let (sender, of_sender) = finished??;
            self.0.push(sender);
            latencies.extend(of_sender);
        }
        clock.join().map_err(|_| "the clock of the load panicked")?;
        Ok(latencies)
    }

    /// Makes `count` calls, of `calls` in turn.
    ///
    /// # Errors
    /// The first call that failed.
    pub async fn run(&mut self, calls: &Arc<Calls>, count: usize) -> Result<Round, Error> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let start = Instant::now();
        for sender in self.0.drain(..) {
            tasks.spawn(one_after_the_other(sender, calls.clone(), next.clone(), count));
        }
        let mut latencies = Vec::with_capacity(count);
        while let Some(finished) = tasks.join_next().await {
            let (sender, of_sender) = finished??;
            self.0.push(sender);
            latencies.extend(of_sender);
        }
        Ok(Round { elapsed: start.elapsed(), latencies })
    }
}

async fn one_after_the_other(
    mut sender: Sender,
    calls: Arc<Calls>,
    next: Arc<AtomicUsize>,
    count: usize,
) -> Result<(Sender, Vec<u32>), Error> {
    let mut latencies = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            return Ok((sender, latencies));
        }
        let request = calls.requests[index % calls.requests.len()].clone();
        let start = Instant::now();
        let answer = sender.call(request).await?;
        latencies.push(start.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
        calls.check(&answer)?;
    }
}

/// Says when each call is due. The system's timers are too coarse for a runtime that has them by the millisecond, so this is a
/// thread.
fn tick(due: &mpsc::UnboundedSender<(usize, Instant)>, rate: f64, count: usize) {
    // Without it, the system wakes a thread up to 50 µs late. If it refuses, that is in the figures of all servers.
    let _ = nix::sys::prctl::set_timerslack(1);
    let start = Instant::now();
    for index in 0..count {
        let at = start + Duration::from_secs_f64(index as f64 / rate);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if due.send((index, at)).is_err() {
            // A call has failed.
            return;
        }
    }
}

async fn as_they_are_due(
    mut sender: Sender,
    calls: Arc<Calls>,
    queue: Arc<Mutex<mpsc::UnboundedReceiver<(usize, Instant)>>>,
) -> Result<(Sender, Vec<u32>), Error> {
    let mut latencies = Vec::new();
    loop {
        let next = queue.lock().await.recv().await;
        let Some((index, due)) = next else { return Ok((sender, latencies)) };
        let request = calls.requests[index % calls.requests.len()].clone();
        let answer = sender.call(request).await?;
        latencies.push(due.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
        calls.check(&answer)?;
    }
}

impl Sender {
    async fn connect(address: SocketAddr, protocol: Protocol) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        // How a connection ends is seen by the call that needs it.
        Ok(match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(async move { drop(connection.await) });
                Self::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(async move { drop(connection.await) });
                Self::Http2(sender)
            }
        })
    }

    async fn call(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Error> {
        let response = match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        read(response).await
    }
}

/// Reads an answer to its end, and keeps what is looked at.
async fn read(response: Response<Incoming>) -> Result<Answer, Error> {
    let (parts, mut body) = response.into_parts();
    let (mut body_bytes, mut tail, mut trailers) = (0, Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await.transpose()? {
        match frame.into_data() {
            Ok(data) => {
                body_bytes += data.len();
                tail.extend_from_slice(&data[data.len().saturating_sub(TAIL_BYTES)..]);
                tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok(Answer { status: parts.status, headers: parts.headers, body_bytes, tail, trailers })
}

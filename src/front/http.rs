//! HTTP on one connection: in TLS or not, HTTP/1.1 or HTTP/2, within limits, to an orderly end.

use std::{convert::Infallible, error::Error, io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use http::{HeaderValue, header::CONNECTION};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::timeout,
};

use super::{
    connection::{Connection, TeTrailers},
    detect::{Detected, detect},
    limits::Limits,
    listener::{Peer, Socket},
    route::Front,
    tls::{self, Tls},
    traffic::{Reply, Traffic, Upload},
};
use crate::metrics::Metrics;

/// The HTTP/2 flow-control window of a stream, in bytes: the default of 64 KiB stalls on real round trips.
pub const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// The same, of a whole connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(60);
const PING_WAIT_MAX: Duration = Duration::from_secs(20);

/// How long a connection without a request is kept when the server ends: a request may be on its way.
const LAST_REQUEST_WAIT_MAX: Duration = Duration::from_secs(1);

/// What a connection leads to.
#[derive(Clone)]
pub struct Door {
    /// The newest counts.
    pub fronts: watch::Receiver<Arc<Front>>,
    /// With something in it, connections over TCP must speak TLS.
    pub tls: watch::Receiver<Option<Tls>>,
    /// Whether the server ends.
    pub phase: watch::Receiver<Phase>,
}

/// The life of a server. Only ever goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Ready for calls.
    Serving,
    /// Says that it is not ready, and serves.
    Leaving,
    /// Takes no more connections, and ends those that there are when they are done.
    Draining,
}

impl Phase {
    /// Waits until it has come, or nobody is left who could say so.
    pub async fn come(self, phase: &mut watch::Receiver<Self>) {
        let _ = phase.wait_for(|now| *now >= self).await;
    }
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// Serves a connection from `address` to its end. Its limits are those that the front has now.
pub async fn serve_connection(socket: Socket, address: IpAddr, door: Door) {
    let (limits, metrics) = {
        let front = door.fronts.borrow();
        (front.gate().limits.clone(), front.gate().metrics.clone())
    };
    if let Err(error) = secure(socket, address, door, &limits, &metrics).await {
        if let Some(limit) = struck(&*error) {
            metrics.struck(limit);
        }
        // Peers break off all the time; nobody here can do anything about it.
        tracing::debug!(peer = %address, error, "a connection ended early");
    }
}

/// The limit that a connection ended for.
fn struck(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return (error.kind() == io::ErrorKind::TimedOut).then_some(Limits::HEAD_WAIT);
    }
    let error = error.downcast_ref::<hyper::Error>()?;
    if error.is_parse_too_large() {
        return Some(Limits::HEADERS_BYTES);
    }
    let cause = error.source()?;
    let is_abuse = match (cause.downcast_ref::<h2::Error>(), cause.downcast_ref::<io::Error>()) {
        (Some(error), _) if error.is_library() => error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM),
        (Some(error), _) => error.get_io().is_some_and(|error| error.kind() == io::ErrorKind::QuotaExceeded),
        (None, error) => error.is_some_and(|error| error.kind() == io::ErrorKind::QuotaExceeded),
    };
    is_abuse.then_some(Limits::HTTP2_ABUSE)
}

async fn secure(
    socket: Socket,
    address: IpAddr,
    door: Door,
    limits: &Limits,
    metrics: &Arc<Metrics>,
) -> Ended {
    let tls = match &socket {
        Socket::Tcp(stream) => {
            stream.set_nodelay(true)?;
            door.tls.borrow().clone()
        }
        Socket::Unix(_) => None,
    };
    let peer = Peer { address: Some(address), is_secure: tls.is_some() };
    let Some(tls) = tls else {
        return Box::pin(speak(socket, false, peer, door, limits, metrics)).await;
    };
    let handshake = timeout(limits.head_wait, tls.accept(socket)).await;
    let stream = handshake.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let http2 = tls::agreed_on_http2(&stream);
    Box::pin(speak(stream, http2, peer, door, limits, metrics)).await
}

/// `http2`: both sides have agreed on HTTP/2 already.
async fn speak(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
    peer: Peer,
    Door { fronts, mut phase, .. }: Door,
    limits: &Limits,
    metrics: &Arc<Metrics>,
) -> Ended {
    let last = async {
        Phase::Draining.come(&mut phase.clone()).await;
        tokio::time::sleep(LAST_REQUEST_WAIT_MAX).await;
    };
    let detected = tokio::select! {
        detected = detect(&mut stream, limits.head_wait) => detected?,
        () = last => return Ok(()),
    };
    let detected = match detected {
        // What is not HTTP/2 then is told so in HTTP/2.
        Some(Detected::Http1(ahead)) if http2 => Some(Detected::Http2(ahead)),
        detected => detected,
    };
    let traffic = Traffic::new();
    match detected {
        None => Ok(()),
        Some(Detected::Http1(ahead)) => {
            let te = TeTrailers::new(traffic.clone());
            let ending = phase.clone();
            let service = service_fn(|request: hyper::Request<Incoming>| {
                let te = Some(te.clone());
                let (answer, ending) = (answer(&fronts, &traffic, request, peer, te), ending.clone());
                async move {
                    let mut response = answer.await?;
                    if *ending.borrow() >= Phase::Draining {
                        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    Ok::<_, Infallible>(response)
                }
            });
            let io = TokioIo::new(Connection::http1(stream, &ahead, te.clone()));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new())
                // hyper counts the time between two requests too; `Traffic` does not.
                .header_read_timeout(None)
                .max_header_size(limits.headers_bytes as usize);
            let serving = http.serve_connection(io, service);
            // hyper would close it at once where no request is under way; the next answer says that it is the last.
            let last = async {
                Phase::Draining.come(&mut phase).await;
                traffic.quiet(LAST_REQUEST_WAIT_MAX).await;
            };
            // In boxes, as one of the two would be the larger.
            Box::pin(run(serving, &traffic, limits, metrics, last)).await
        }
        Some(Detected::Http2(ahead)) => {
            let service = service_fn(|request: hyper::Request<Incoming>| {
                answer(&fronts, &traffic, request, peer, None)
            });
            let io = TokioIo::new(Connection::http2(stream, &ahead, traffic.clone()));
            let mut http = http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_concurrent_streams(limits.streams)
                .max_header_list_size(limits.headers_bytes)
                .keep_alive_interval(PING_EVERY)
                .keep_alive_timeout(PING_WAIT_MAX);
            let serving = http.serve_connection(io, service);
            let last = Phase::Draining.come(&mut phase);
            Box::pin(run(serving, &traffic, limits, metrics, last)).await
        }
    }
}

/// Drives a connection, until it ends by itself, by its peer's fault, or because there shall be no more requests.
async fn run(
    connection: impl GracefulConnection<Error = hyper::Error>,
    traffic: &Traffic,
    limits: &Limits,
    metrics: &Metrics,
    last: impl Future<Output = ()>,
) -> Ended {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(Into::into),
        () = last => {}
        limit = traffic.overdue(limits) => {
            metrics.struck(limit);
            if limit != Limits::IDLE {
                return Ok(());
            }
        }
    }
    // What is under way is finished; no more comes. The time for that begins now.
    traffic.moves();
    connection.as_mut().graceful_shutdown();
    let limits = Limits { idle: limits.head_wait, ..limits.clone() };
    tokio::select! {
        ended = connection => ended.map_err(Into::into),
        limit = traffic.overdue(&limits) => {
            if limit != Limits::IDLE {
                metrics.struck(limit);
            }
            Ok(())
        }
    }
}

fn answer(
    fronts: &watch::Receiver<Arc<Front>>,
    traffic: &Arc<Traffic>,
    request: hyper::Request<Incoming>,
    peer: Peer,
    te: Option<TeTrailers>,
) -> impl Future<Output = Result<hyper::Response<Reply>, Infallible>> + use<> {
    let (front, traffic, version) = (fronts.borrow().clone(), traffic.clone(), request.version());
    let open = traffic.request();
    async move {
        // In a box that is there only while the call is: much may wait to be called, or to be taken by the peer.
        let call = Box::pin(async {
            let gate = front.gate();
            if !traffic.less_unsent(gate.limits.unsent_bytes).await {
                gate.metrics.struck(Limits::UNSENT_BYTES);
            }
            let request = request.map(|body| Upload::new(body, traffic.clone()));
            front.answer(request, peer, te.as_ref()).await
        });
        Ok(call.await.map(|body| open.reply(body, version)))
    }
}

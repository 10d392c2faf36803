//! The listener: connections in, and a graceful end.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::{
    connection::{Connection, TeTrailers},
    detect::{Detected, detect},
    route::Front,
    tls::{self, Tls},
};

/// The HTTP/2 flow-control window of a stream, in bytes: the default of 64 KiB stalls on real round trips.
pub const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// The same, of a whole connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Concurrent calls on one HTTP/2 connection.
pub const STREAMS_MAX: u32 = 1_000;

/// All headers of an HTTP/2 request, in bytes.
const HEADERS_BYTES_MAX: u32 = 64 * 1024;

/// How long to leave the listener alone when it has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections of `listener` until `draining` turns true or has no sender; then accepts no more, and returns
/// when everything in flight is finished. How long that may take is for the caller to limit.
///
/// While there is something in `tls`, a new connection must speak TLS. Each request is answered by the front that `fronts`
/// holds when its head is there, to its end. `head_wait_max` is how long a peer may take for the handshake of TLS, for the
/// first bytes of a connection, and for the head of an HTTP/1.1 request.
pub async fn serve(
    listener: TcpListener,
    tls: watch::Receiver<Option<Tls>>,
    fronts: watch::Receiver<Arc<Front>>,
    head_wait_max: Duration,
    mut draining: watch::Receiver<bool>,
) {
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = draining.wait_for(|draining| *draining) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (tls, draining) = (tls.borrow().clone(), draining.clone());
                let door = Door { fronts: fronts.clone(), peer, head_wait_max };
                let watcher = connections.watcher();
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, tls, door, watcher, draining).await {
                        // Peers break off all the time; nobody here can do anything about it.
                        tracing::debug!(%peer, error, "a connection ended early");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// What a connection leads to.
struct Door {
    fronts: watch::Receiver<Arc<Front>>,
    peer: SocketAddr,
    head_wait_max: Duration,
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn connection(
    stream: TcpStream,
    tls: Option<Tls>,
    door: Door,
    watcher: Watcher,
    mut draining: watch::Receiver<bool>,
) -> Ended {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return speak(stream, false, door, watcher, draining).await };
    let handshake = timeout(door.head_wait_max, tls.accept(stream));
    let stream = tokio::select! {
        stream = handshake => stream.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??,
        _ = draining.wait_for(|draining| *draining) => return Ok(()),
    };
    let http2 = tls::agreed_on_http2(&stream);
    speak(stream, http2, door, watcher, draining).await
}

/// Speaks HTTP on a stream. `http2`: both sides have agreed on HTTP/2 already.
async fn speak(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
    Door { fronts, peer, head_wait_max }: Door,
    watcher: Watcher,
    mut draining: watch::Receiver<bool>,
) -> Ended {
    let detected = tokio::select! {
        detected = detect(&mut stream, head_wait_max) => detected?,
        _ = draining.wait_for(|draining| *draining) => return Ok(()),
    };
    let detected = match detected {
        // What is not HTTP/2 then is told so in HTTP/2.
        Some(Detected::Http1(ahead)) if http2 => Some(Detected::Http2(ahead)),
        detected => detected,
    };
    let te = TeTrailers::default();
    match detected {
        None => {}
        Some(Detected::Http1(ahead)) => {
            let service = service_fn(|mut request: hyper::Request<Incoming>| {
                request.extensions_mut().insert(te.clone());
                answer(&fronts, request, peer)
            });
            let io = TokioIo::new(Connection::http1(stream, &ahead, te.clone()));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(head_wait_max);
            watcher.watch(http.serve_connection(io, service)).await?;
        }
        Some(Detected::Http2(ahead)) => {
            let service = service_fn(|request: hyper::Request<Incoming>| answer(&fronts, request, peer));
            let io = TokioIo::new(Connection::http2(stream, &ahead));
            let mut http = http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(HEADERS_BYTES_MAX);
            watcher.watch(http.serve_connection(io, service)).await?;
        }
    }
    Ok(())
}

fn answer(
    fronts: &watch::Receiver<Arc<Front>>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> impl Future<Output = Result<hyper::Response<super::Body>, Infallible>> + use<> {
    let front = fronts.borrow().clone();
    async move { Ok(front.answer(request, Some(peer.ip())).await) }
}

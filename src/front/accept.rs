//! The listener: connections in, and a graceful end.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

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
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{
    connection::{Connection, TeTrailers},
    detect::{Detected, detect},
    route::Front,
};

/// HTTP/2 flow-control windows, in bytes: the default of 64 KiB stalls on real round trips.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Concurrent calls on one HTTP/2 connection.
const STREAMS_MAX: u32 = 1_000;

/// All headers of an HTTP/2 request, in bytes.
const HEADERS_BYTES_MAX: u32 = 64 * 1024;

/// How long to leave the listener alone when it has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections of `listener` until `draining` turns true or has no sender; then accepts no more, and returns
/// when everything in flight is finished. How long that may take is for the caller to limit.
///
/// Each request is answered by the front that `fronts` holds when its head is there, to its end. `head_wait_max` is how
/// long a peer may take for the first bytes of a connection, and for the head of an HTTP/1.1 request.
pub async fn serve(
    listener: TcpListener,
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
                let (fronts, watcher, draining) = (fronts.clone(), connections.watcher(), draining.clone());
                tokio::spawn(async move {
                    if let Err(error) =
                        connection(stream, peer, fronts, head_wait_max, watcher, draining).await
                    {
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

async fn connection(
    mut stream: TcpStream,
    peer: SocketAddr,
    fronts: watch::Receiver<Arc<Front>>,
    head_wait_max: Duration,
    watcher: Watcher,
    mut draining: watch::Receiver<bool>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let detected = tokio::select! {
        detected = detect(&mut stream, head_wait_max) => detected?,
        _ = draining.wait_for(|draining| *draining) => return Ok(()),
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

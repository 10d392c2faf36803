//! The listener: connections in, and a graceful end.

use std::{convert::Infallible, time::Duration};

use tokio::{net::TcpListener, sync::mpsc};

use super::{
    http::{Door, serve_connection},
    limits::Limits,
};

/// How long to leave the listener alone when it has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections of `listener` until `door` is draining or nobody could tell it to; then accepts no more, and
/// returns when everything in flight is finished. How long that may take is for the caller to limit.
pub async fn serve(listener: TcpListener, mut door: Door) {
    // Each connection has a sender; when the last is gone, so are they.
    let (open, mut all_ended) = mpsc::channel::<Infallible>(1);
    loop {
        let mut draining = door.draining.clone();
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = draining.wait_for(|draining| *draining) => break,
        };
        let gate = door.fronts.borrow_and_update().gate().clone();
        match accepted {
            Ok(_) if gate.metrics.connections() >= gate.limits.connections => {
                gate.metrics.struck(Limits::CONNECTIONS);
            }
            Ok((stream, peer)) => {
                let (door, open) = (door.clone(), open.clone());
                let connected = gate.metrics.connected();
                tokio::spawn(async move {
                    serve_connection(stream, peer, door).await;
                    drop((connected, open));
                });
            }
            Err(error) => {
                gate.metrics.struck(Limits::OPEN_FILES);
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((listener, open));
    // `None`: nobody can send anything.
    all_ended.recv().await;
}

//! The listeners: connections in, and a graceful end.

use std::{convert::Infallible, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    http::{Door, Phase, serve_connection},
    limits::Limits,
    listener::Listener,
};

/// How long to leave a listener alone when it has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections of `listeners` until `door` is draining or nobody could tell it to; then accepts no more, and
/// returns when everything in flight is finished. How long that may take is for the caller to limit.
pub async fn serve(listeners: Vec<Listener>, door: Door) {
    // Each connection has a sender; when the last is gone, so are they.
    let (open, mut all_ended) = mpsc::channel::<Infallible>(1);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, door.clone(), open.clone()));
    }
    drop(open);
    accepting.join_all().await;
    // `None`: nobody can send anything.
    all_ended.recv().await;
}

async fn accept(listener: Listener, door: Door, open: mpsc::Sender<Infallible>) {
    let mut phase = door.phase.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = Phase::Draining.come(&mut phase) => return,
        };
        let gate = door.fronts.borrow().gate().clone();
        match accepted {
            Ok(_) if gate.metrics.connections() >= gate.limits.connections => {
                gate.metrics.struck(Limits::CONNECTIONS);
            }
            Ok((socket, peer)) => {
                let (door, open) = (door.clone(), open.clone());
                let connected = gate.metrics.connected();
                tokio::spawn(async move {
                    serve_connection(socket, peer, door).await;
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
}

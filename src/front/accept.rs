//! The listeners: connections in, and a graceful end.

use std::{convert::Infallible, io, net::IpAddr, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::mpsc,
    task::{JoinSet, unconstrained},
};

use super::{
    http::{Door, Phase, serve_connection},
    limits::Limits,
    listener::{Listener, Socket},
};

/// How long to leave a listener alone when it has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections that were not accepted yet are served at the end; others may go on to come.
const WAITING_MAX: usize = 4096;

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

async fn accept(mut listener: Listener, door: Door, open: mpsc::Sender<Infallible>) {
    let mut phase = door.phase.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = Phase::Draining.come(&mut phase) => break,
        };
        if let Err(error) = admit(accepted, &door, &open) {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
    // Who has connected before would be reset.
    listener.hide();
    for _ in 0..WAITING_MAX {
        let waiting = unconstrained(listener.accept()).now_or_never();
        if waiting.is_none_or(|accepted| admit(accepted, &door, &open).is_err()) {
            break;
        }
    }
}

/// Serves a connection, or closes it if there are too many.
fn admit(
    accepted: io::Result<(Socket, IpAddr)>,
    door: &Door,
    open: &mpsc::Sender<Infallible>,
) -> io::Result<()> {
    let gate = door.fronts.borrow().gate().clone();
    let (socket, peer) = accepted.inspect_err(|_| gate.metrics.struck(Limits::OPEN_FILES))?;
    if gate.metrics.connections() >= gate.limits.connections {
        gate.metrics.struck(Limits::CONNECTIONS);
        return Ok(());
    }
    let (door, open) = (door.clone(), open.clone());
    let connected = gate.metrics.connected();
    tokio::spawn(async move {
        serve_connection(socket, peer, door).await;
        drop((connected, open));
    });
    Ok(())
}

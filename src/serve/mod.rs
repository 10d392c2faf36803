//! `metagate serve`: the stack, from its settings to its end.

mod certificates;
mod directory;
mod error;
mod greeting;
mod listen;
mod organizations;
mod server;

pub use error::{Mismatch, ServeError};
pub use server::Server;

use std::io::{self, Write};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    config::{Config, Flags},
    logging::Log,
};

/// Starts a server, says on stdout where it listens, and runs it until SIGTERM or SIGINT; a second one ends it at once.
/// At SIGHUP reads settings and directory again.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn run(flags: Flags) -> Result<(), ServeError> {
    // Before all else: a hangup must not end the process, and one that comes early is heard when the server runs.
    let mut hangup = on(SignalKind::hangup())?;
    let config = Config::load(flags.clone())?;
    let log = Log::start(config.log_format, config.log_level);
    let mut log = log.map_err(|error| ServeError::Other(error.into()))?;
    allow_open_files(config.limits.connections);
    let server = Server::start(config).await?;
    // From here on a signal is an orderly end; it must not strike between the first line and the handler.
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let greeting = server.greeting();
    if let Err(error) = io::stdout().lock().write_all(greeting.as_bytes()).and_then(|()| io::stdout().flush())
    {
        let places = server.places();
        tracing::warn!(%error, ?places, "cannot say on stdout where the server listens");
    }

    let reloads = async {
        while hangup.recv().await.is_some() {
            reload(&flags, &server, &mut log).await;
        }
        // No signal will come any more.
        std::future::pending().await
    };
    let end = async {
        let mut stop = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        stop().await;
        tracing::info!("stopping: no new connections, finishing what is in flight");
        tokio::select! {
            finished = server.drain() => finished,
            () = stop() => false,
        }
    };
    // Side by side: a reload does not hold up the end, and the end does not break off a reload before it has to.
    let finished = tokio::select! {
        finished = end => finished,
        never = reloads => never,
        never = server.follow_certificates() => never,
    };
    if !finished {
        tracing::warn!("stopped with requests still in flight");
    }
    Ok(())
}

/// Has the system grant as many open files as it may; the first limit is often low.
fn allow_open_files(connections: usize) {
    /// For the store, the log, and what listens.
    const OTHERS: u64 = 64;

    let granted = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most).map(|()| most));
    match granted {
        Ok(most) if u64::try_from(connections).is_ok_and(|connections| connections + OTHERS > most) => {
            tracing::warn!(
                open_files = most,
                connections,
                "the system grants fewer open files than connections-max"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "cannot raise the limit on open files"),
    }
}

fn on(kind: SignalKind) -> Result<Signal, ServeError> {
    signal(kind).map_err(|error| ServeError::Other(error.into()))
}

/// Reads everything again, and says how it went. Flags and environment are what they were at the start.
async fn reload(flags: &Flags, server: &Server, log: &mut Log) {
    let outcome = match Config::load(flags.clone()) {
        Ok(config) => {
            let log_level = config.log_level;
            server.reload(config).await.map(|kept| (log_level, kept))
        }
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok((log_level, kept)) => {
            // What is said of the reload is said at the more verbose of both levels.
            log.set_level(log_level.max(log.level()));
            tracing::info!("reloaded");
            for name in kept {
                tracing::warn!("{name} has changed, which takes a restart");
            }
            log.set_level(log_level);
        }
        Err(error) => {
            let problems = error.to_string().replace('\n', "; ");
            tracing::error!("not reloaded: {problems}");
        }
    }
}

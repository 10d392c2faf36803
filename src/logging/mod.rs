//! Log lines, on stderr.

mod format;
mod sink;

use std::io;

use tracing::Level;
use tracing_subscriber::{
    Registry, filter::Targets, layer::SubscriberExt, reload::Handle, util::SubscriberInitExt,
};

use format::Lines;
use sink::Sink;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The log of this process, once it was started. Dropped, it has written what it was given.
#[derive(Debug)]
pub struct Log {
    handle: Handle<Targets, Registry>,
    level: Level,
    sink: Sink,
}

impl Log {
    /// Starts to log what is at least as severe as `level`. What libraries have to say counts from `warn` on, or from
    /// `level` where that is more verbose than `info`.
    ///
    /// A second call has no effect, nor has what it returns.
    ///
    /// # Errors
    /// If there can be no thread that writes them.
    pub fn start(format: LogFormat, level: Level) -> io::Result<Self> {
        let (filter, handle) = tracing_subscriber::reload::Layer::new(filter(level));
        let sink = Sink::new(io::stderr())?;
        let lines = Lines::new(format, sink.clone());
        if tracing_subscriber::registry().with(filter).with(lines).try_init().is_err() {
            tracing::debug!("logging was started before");
        }
        Ok(Self { handle, level, sink })
    }

    /// What is at least as severe as this is logged.
    pub fn level(&self) -> Level {
        self.level
    }

    /// From now on logs what is at least as severe as `level`.
    pub fn set_level(&mut self, level: Level) {
        match self.handle.reload(filter(level)) {
            Ok(()) => self.level = level,
            Err(error) => tracing::warn!(%error, "cannot change the log level"),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.sink.flush();
    }
}

fn filter(level: Level) -> Targets {
    let libraries = if level > Level::INFO { level } else { level.min(Level::WARN) };
    Targets::new().with_default(libraries).with_target("metagate", level)
}

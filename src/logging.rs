//! Log lines, on stderr.

use tracing::Level;
use tracing_subscriber::{
    Registry, filter::Targets, layer::SubscriberExt, reload::Handle, util::SubscriberInitExt,
};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The log of this process, once it was started.
#[derive(Debug)]
pub struct Log {
    handle: Handle<Targets, Registry>,
    level: Level,
}

impl Log {
    /// Starts to log what is at least as severe as `level`. What libraries have to say counts from `warn` on, or from
    /// `level` where that is more verbose than `info`.
    ///
    /// A second call has no effect, nor has what it returns.
    pub fn start(format: LogFormat, level: Level) -> Self {
        let (filter, handle) = tracing_subscriber::reload::Layer::new(filter(level));
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
        let started = match format {
            LogFormat::Text => tracing_subscriber::registry().with(filter).with(lines).try_init(),
            LogFormat::Json => {
                tracing_subscriber::registry().with(filter).with(lines.json().flatten_event(true)).try_init()
            }
        };
        if started.is_err() {
            tracing::debug!("logging was started before");
        }
        Self { handle, level }
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

fn filter(level: Level) -> Targets {
    let libraries = if level > Level::INFO { level } else { level.min(Level::WARN) };
    Targets::new().with_default(libraries).with_target("metagate", level)
}

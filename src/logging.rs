//! Log lines, on stderr.

use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts to log what is at least as severe as `level`. What libraries have to say counts from `warn` on, or from
/// `level` where that is more verbose than `info`.
///
/// A second call has no effect.
pub fn start(format: LogFormat, level: Level) {
    let libraries = if level > Level::INFO { level } else { level.min(Level::WARN) };
    let filter = Targets::new().with_default(libraries).with_target("metagate", level);
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
}

//! Trying again what was certainly not applied.

use std::time::{Duration, Instant};

use crate::error::Failure;

/// Between attempts is a pause, each twice as long as the one before, up to this.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Attempts, for a bounded time.
pub(crate) struct Retry {
    until: Instant,
    pause: Duration,
}

impl Retry {
    /// Attempts that begin within `wait` from now.
    pub(crate) fn new(wait: Duration) -> Self {
        Self { until: Instant::now() + wait, pause: Duration::from_millis(2) }
    }

    /// Waits until it is time to try again what has failed.
    ///
    /// # Errors
    /// The failure, if it is not to be tried again.
    pub(crate) async fn after(&mut self, failure: Failure) -> Result<(), Failure> {
        // Others that lost the same race must not all come back at the same moment.
        let spread = getrandom::u32().unwrap_or_default() % 1_000;
        let pause = self.pause + self.pause * spread / 1_000;
        match failure {
            Failure::Again(error) if Instant::now() + pause < self.until => {
                tracing::debug!(%error, "a statement is tried again");
                tokio::time::sleep(pause).await;
                self.pause = (self.pause * 2).min(PAUSE_MAX);
                Ok(())
            }
            failure => Err(failure),
        }
    }
}

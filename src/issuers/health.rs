//! Whether something works that others do, said once when that changes.

use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
pub(super) struct Health {
    is_failing: AtomicBool,
}

impl Health {
    /// Takes note of how it went.
    pub(super) fn note(&self, issuer: &str, what: &str, error: Option<&String>) {
        let was_failing = self.is_failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !was_failing => tracing::warn!(issuer, error, "no {what} of an issuer"),
            None if was_failing => tracing::info!(issuer, "{what} of an issuer again"),
            _ => {}
        }
    }
}

//! What a store tells of its commits, for whoever counts.

use std::{sync::Arc, time::Duration};

/// A commit that was made durable.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// How many writes shared it.
    pub operations: usize,
    /// How long it took, from its first write until it was durable.
    pub took: Duration,
}

/// Hears of every commit. Called by who writes: must be quick, and must not ask the store.
pub type Observer = Arc<dyn Fn(Commit) + Send + Sync>;

//! What tests of durability set otherwise. What ships has no way to.

use std::time::Duration;

/// How a store works.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// How many pages of the write-ahead log are worth a checkpoint: each is some syncs, and a long log a slow start.
    pub log_pages_max: usize,
    /// How long a batch waits for a transaction of another process, before its writes are refused.
    pub others_wait: Duration,
    /// What it does wrong.
    pub mistake: Mistake,
}

impl Default for Tuning {
    fn default() -> Self {
        // Below 4,062 the index of the log, which is a file of its own, need not grow.
        Self { log_pages_max: 4_000, others_wait: Duration::from_secs(5), mistake: Mistake::None }
    }
}

/// What a store does wrong, and the tests must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "tuning"), allow(dead_code, reason = "only tests make mistakes"))]
pub enum Mistake {
    /// Nothing.
    None,
    /// It leaves it to the system when to write to the disk: `synchronous=OFF`.
    SynchronousOff,
    /// It acknowledges writes before it commits them.
    AcknowledgesFirst,
}

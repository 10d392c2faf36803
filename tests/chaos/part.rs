//! Parts of the suite, and what they say in the end.

use std::time::Duration;

/// How a part went that did not panic.
pub enum Outcome {
    /// What was done, and counted.
    Done(String),
    /// Why nothing was.
    Skipped(String),
}

/// Adds up what rounds have counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub acknowledged: usize,
    /// Writes without an answer, or with one that says nothing of them.
    pub open: usize,
    /// Those of them that were found.
    pub found: usize,
}

impl Counts {
    pub fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.open += other.open;
        self.found += other.found;
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { acknowledged, open, found } = self;
        write!(f, "{acknowledged} writes acknowledged, all there; {open} open, {found} of them there, whole")
    }
}

/// A number below `max`.
pub fn below(max: u64) -> u64 {
    getrandom::u64().unwrap() % max
}

/// A random moment below `max` from now.
pub async fn moment(max: Duration) {
    tokio::time::sleep(Duration::from_micros(below(max.as_micros() as u64))).await;
}

/// Waits until something holds, for as long as anything here may take.
///
/// # Panics
/// If it does not.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

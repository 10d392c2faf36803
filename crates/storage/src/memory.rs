//! The store in memory.

/// A store in memory: fast, and gone with the process.
#[derive(Debug, Default)]
pub struct MemoryStore {}

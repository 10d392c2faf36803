//! Ways to be wrong about durability, for the tests that must find them.

/// What a store does wrong. What ships does nothing wrong: there is no way to ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "mistakes"), allow(dead_code, reason = "only tests make mistakes"))]
pub enum Mistake {
    /// Nothing.
    None,
    /// It leaves it to the system when to write to the disk: `synchronous=OFF`.
    SynchronousOff,
    /// It acknowledges writes before it commits them.
    AcknowledgesFirst,
}

//! What the gateways of a store share beside organizations: small records with a name.

use async_trait::async_trait;

use crate::{Store, StoreError};

/// How long a record's kind and id may be together, in bytes.
pub const NAME_BYTES_MAX: usize = 500;
/// How long a record may be, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A record as it is to be, or as it now is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// What it is, for whom it belongs to.
    pub kind: String,
    /// Which one of its kind.
    pub id: String,
    /// What it says, which only whom it belongs to understands; `None`: it is removed.
    pub body: Option<Vec<u8>>,
}

/// What has changed, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The number of the last change.
    pub revision: u64,
    /// Each record that has changed, once, as it now is; in byte order of kind and id.
    pub records: Vec<RecordChange>,
}

/// Where gateways find what they share.
///
/// Who calls [`Store::standing`] is told the revision too, and so sees at no cost that something
/// has changed. Every change that was acknowledged is seen by every call that begins after it, through whatever gateway or
/// process.
///
/// # Errors
/// Every method may fail with [`StoreError::Unavailable`] and [`StoreError::Damaged`].
#[async_trait]
pub trait Registry: Send + Sync + 'static {
    /// The number of the last change; 0 before the first.
    async fn revision(&self) -> Result<u64, StoreError>;

    /// What has changed after the change of this number. After 0 that is all there is; then those that were removed may be
    /// missing.
    async fn changes(&self, since: u64) -> Result<Changes, StoreError>;

    /// Makes all `changes` as one, the next in number, if the last one is `expected`. Returns its number: `expected + 1`.
    ///
    /// - All or nothing, and durable on return, as [`Store::apply`] is.
    /// - To remove what is not there is allowed.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the last change is another: nothing is changed, and it may be worth to look and try again.
    /// [`StoreError::TooLarge`] for a name or a body that is longer than it may be.
    async fn change(&self, expected: u64, changes: Vec<RecordChange>) -> Result<u64, StoreError>;
}

/// A store that also keeps what gateways share.
pub trait SharedStore: Store + Registry {}

impl<S: Store + Registry> SharedStore for S {}

/// # Errors
/// [`StoreError::TooLarge`] for a name or a body that is longer than it may be.
pub fn check(changes: &[RecordChange]) -> Result<(), StoreError> {
    let is_too_large = |change: &RecordChange| {
        change.kind.len() + change.id.len() > NAME_BYTES_MAX
            || change.body.as_ref().is_some_and(|body| body.len() > BODY_BYTES_MAX)
    };
    if changes.iter().any(is_too_large) { Err(StoreError::TooLarge) } else { Ok(()) }
}

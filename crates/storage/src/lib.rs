//! The storage contract: one trait for who serves, one for who operates, a store in memory, and the suites that every
//! store passes.
//!
//! Depends on `domain`. Knows nothing of HTTP or protobuf; only stores know of disks.

use async_trait::async_trait;
use domain::{Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query};

pub mod archive;
mod commit;
mod error;
mod judge;
mod memory;
pub mod registry;
#[cfg(feature = "suite")]
pub mod suite;

pub use archive::Archive;
pub use commit::{Commit, Observer};
pub use error::StoreError;
pub use judge::{Effect, judge};
pub use memory::MemoryStore;
pub use registry::{Registry, SharedStore};

/// How things stand for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `None` if it never existed.
    pub organization: Option<Organization>,
    /// The number of the [`Registry`]'s last change, or of a later one.
    pub revision: u64,
}

/// Where organizations and their metadata live.
///
/// Holds for every method:
/// - Reads see every write that was acknowledged before they began.
/// - Keys and ids compare byte for byte: `a`, `A` and `á` are three keys, `á` composed and decomposed are two.
/// - Dropping the future does not half-do a write: it happens whole, or not at all.
///
/// # Errors
/// Every method may fail with [`StoreError::Unavailable`], [`StoreError::Damaged`] and, if it writes,
/// [`StoreError::Full`].
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Applies `changes` to the metadata of one organization, in order; `changes` is not empty.
    ///
    /// - Each change is judged against the state before the call, not against the changes before it.
    /// - All or nothing: if one is refused, none is visible and the sequence stands still.
    /// - Every change that has an effect is an event and takes the organization's next number, without gaps; all
    ///   events of a call have one time, which is never before that of an earlier event of the organization.
    /// - `Ok` holds the number and time of the last event. If no change had an effect, nothing is written and it
    ///   holds those of the organization's last metadata event, or of its creation if there is none.
    /// - A set keeps the entry's `created_at`; a set after a remove, in the same call too, begins a new one.
    /// - Durable on return: `Ok` survives kill -9 and power loss.
    /// - Concurrent calls for one organization wait for each other; none sees a conflict.
    ///
    /// # Errors
    /// [`StoreError::OrganizationNotFound`] if the organization is absent or removed; [`StoreError::KeyAbsent`] with
    /// the index of the first [`Change::Remove`] whose key is absent.
    async fn apply(&self, organization: &OrganizationId, changes: Vec<Change>)
    -> Result<Details, StoreError>;

    /// The entry of `key`; `None` if the key or the organization is absent or the organization is removed.
    async fn get(&self, organization: &OrganizationId, key: &Key) -> Result<Option<Entry>, StoreError>;

    /// The entries that match `query`, ascending by key in byte order, and the count of all that match.
    ///
    /// - An organization that is absent or removed has none.
    /// - An offset past the end gives no entries, and still counts all matches; offset and limit may be as large
    ///   as their types.
    /// - A filter takes its text literally; an empty text equals nothing and is in everything.
    async fn list(&self, organization: &OrganizationId, query: Query) -> Result<Page, StoreError>;

    /// The organization, whatever its state, and the number of the registry's last change: what every call asks for, and so
    /// one round trip.
    async fn standing(&self, id: &OrganizationId) -> Result<Standing, StoreError>;

    /// The organization, whatever its state; `None` if it never existed.
    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
        Ok(self.standing(id).await?.organization)
    }

    /// Creates an organization, active, with its creation as event 1; if it exists, in whatever state, leaves it as
    /// it is. Returns it as it then is.
    async fn create_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization, StoreError>;

    /// Brings an organization to `state`. A change of state takes a number, and a time, like any event, but is not a
    /// metadata event; to stay in a state is no event. Removal is final; the metadata is never seen again.
    /// Returns the organization as it then is.
    ///
    /// # Errors
    /// [`StoreError::OrganizationNotFound`] if it is absent, or is removed and `state` is another.
    async fn set_organization_state(
        &self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError>;

    /// Whether calls can be answered, as far as is known. An embedded store that failed to write stops writing, and stays
    /// unhealthy; one over a network is healthy again when its database answers.
    fn is_healthy(&self) -> bool {
        true
    }
}

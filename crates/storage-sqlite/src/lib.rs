//! The embedded store: one SQLite file, one process that serves it, and the commands of its operator beside it.
//!
//! One thread writes, and makes whatever is waiting durable in one commit; a few connections read. Nothing is kept in
//! memory but what SQLite keeps, and a few organizations until the next commit: a start takes the same time whatever is
//! in the file.

mod archive;
mod beside;
mod checksum;
mod error;
mod lock;
mod operation;
mod page;
mod readers;
mod recent;
mod registry;
mod schema;
mod tuning;
mod writer;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use domain::{
    Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query, Timestamp,
};
use storage::{
    Observer, Registry, Standing, Store, StoreError,
    registry::{Changes, RecordChange},
};

pub use archive::{Progress, SqliteArchive};
pub use beside::SqliteBeside;
pub use checksum::VFS;
pub use error::OpenError;
use lock::Lock;
use operation::Operation;
use readers::Readers;
use recent::Recent;
pub use schema::folder;
#[cfg(not(feature = "tuning"))]
use tuning::Tuning;
#[cfg(feature = "tuning")]
pub use tuning::{Mistake, Tuning};
use writer::Writer;

/// A store in a SQLite file.
pub struct SqliteStore {
    readers: Readers,
    /// What every call asks for.
    standings: Recent<Standing>,
    writer: Writer,
    /// Held as long as the store is open.
    _lock: Lock,
}

/// An organization's row.
#[derive(Clone, Debug)]
struct Row {
    number: i64,
    organization: Organization,
    last_event_at: Timestamp,
    entries: u64,
}

impl SqliteStore {
    /// Opens the store in the file at `path`; makes file and folder if they are not there.
    ///
    /// Blocks the thread. Call it within a tokio runtime only at the start.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_observed(path, Arc::new(|_| {}))
    }

    /// Opens the store, and has `observer` hear of its commits.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_observed(path: &Path, observer: Observer) -> Result<Self, OpenError> {
        Self::open_with(path, Tuning::default(), observer)
    }

    /// Opens a store that works as a test wants it.
    ///
    /// # Errors
    /// See [`OpenError`].
    #[cfg(feature = "tuning")]
    pub fn open_tuned(path: &Path, tuning: Tuning) -> Result<Self, OpenError> {
        Self::open_with(path, tuning, Arc::new(|_| {}))
    }

    fn open_with(path: &Path, tuning: Tuning, observer: Observer) -> Result<Self, OpenError> {
        let lock = lock::first(path)?;
        let connection = schema::open(path, tuning.mistake)?;
        let lock = lock.share()?;
        let readers = Readers::open(path).map_err(|error| OpenError::sqlite(path, &error))?;
        let writer = Writer::start(connection, tuning, observer)
            .map_err(|error| OpenError::Io { path: path.to_owned(), error })?;
        Ok(Self { readers, standings: Recent::default(), writer, _lock: lock })
    }

    /// How often the store has made writes durable since it was opened.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn apply(
        &self,
        organization: &OrganizationId,
        changes: Vec<Change>,
    ) -> Result<Details, StoreError> {
        let organization = organization.clone();
        self.writer.run(|reply| Operation::Apply { organization, changes, reply }).await
    }

    async fn get(&self, organization: &OrganizationId, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.readers.read_now(|connection| page::get(connection, organization, key))
    }

    async fn list(&self, organization: &OrganizationId, query: Query) -> Result<Page, StoreError> {
        let organization = organization.clone();
        self.readers.read(move |connection| page::list(connection, &organization, &query)).await
    }

    async fn standing(&self, id: &OrganizationId) -> Result<Standing, StoreError> {
        let read = |connection: &_| schema::standing(connection, id);
        self.readers.read_now(|connection| self.standings.get(connection, id, read))
    }

    async fn create_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization, StoreError> {
        let (id, name) = (id.clone(), name.to_owned());
        self.writer.run(|reply| Operation::Create { id, name, reply }).await
    }

    async fn set_organization_state(
        &self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError> {
        let id = id.clone();
        self.writer.run(|reply| Operation::SetState { id, state, reply }).await
    }

    fn is_healthy(&self) -> bool {
        self.writer.is_running()
    }
}

#[async_trait]
impl Registry for SqliteStore {
    async fn revision(&self) -> Result<u64, StoreError> {
        self.readers.read_now(registry::revision)
    }

    async fn changes(&self, since: u64) -> Result<Changes, StoreError> {
        self.readers.read(move |connection| registry::changes(connection, since)).await
    }

    async fn change(&self, expected: u64, changes: Vec<RecordChange>) -> Result<u64, StoreError> {
        storage::registry::check(&changes)?;
        self.writer.run(|reply| Operation::Change { expected, changes, reply }).await
    }
}

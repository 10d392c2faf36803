//! The store of a second process, beside the one that serves it or alone.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use domain::{Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use storage::{
    Registry, Standing, Store, StoreError,
    registry::{Changes, RecordChange},
};
use tokio::sync::oneshot;

use crate::{
    OpenError, archive,
    checksum::VFS,
    error::failure,
    lock::Lock,
    operation::{Operation, Reply, Step},
    page,
    readers::Readers,
    registry, schema,
};

/// How often, and after how long, it is tried to write beside who serves the store.
const ATTEMPTS: i32 = 60_000;
const ATTEMPT_WAIT: Duration = Duration::from_millis(1);

/// A connection that writes beside whoever serves the store.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_with_flags_and_vfs(path, OpenFlags::SQLITE_OPEN_READ_WRITE, VFS)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // SQLite's own way to wait sleeps longer and longer, and beside a busy server would hardly find it pausing.
    connection.busy_handler(Some(|attempt| {
        thread::sleep(ATTEMPT_WAIT);
        attempt < ATTEMPTS
    }))?;
    Ok(connection)
}

/// A store in a SQLite file that may be served meanwhile: each write is a short transaction of its own. For an operator's
/// commands; who serves calls opens a [`SqliteStore`](crate::SqliteStore).
pub struct SqliteBeside {
    readers: Readers,
    writing: Arc<Mutex<Connection>>,
    /// Held as long as the store is open: nobody begins to serve it meanwhile.
    _lock: Lock,
}

impl SqliteBeside {
    /// Opens the store in the file at `path`; makes file and folder if they are not there. As long as it is open, nobody
    /// can begin to serve the store; who serves it already goes on.
    ///
    /// Blocks the thread.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = archive::open(path)?;
        let sqlite = |error| OpenError::sqlite(path, &error);
        let readers = Readers::open(path).map_err(sqlite)?;
        let writing = Arc::new(Mutex::new(connect(path).map_err(sqlite)?));
        Ok(Self { readers, writing, _lock: lock })
    }

    /// Does an operation in a transaction of its own, on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(Reply<T>) -> Operation + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let writing = self.writing.clone();
        let task = tokio::task::spawn_blocking(move || {
            let mut connection = writing.lock().unwrap_or_else(PoisonError::into_inner);
            perform(&mut connection, operation(reply))
        });
        task.await.map_err(StoreError::unavailable)?.map_err(failure)?;
        answer.await.map_err(StoreError::unavailable)?
    }
}

fn perform(connection: &mut Connection, operation: Operation) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let changed = HashMap::new();
    let (failed, answer) = operation.perform(&mut Step::new(&transaction, &changed));
    let uncommitted = match failed {
        Some(_) => transaction.rollback(),
        None => transaction.commit(),
    };
    answer(uncommitted.map_err(failure).err().as_ref());
    Ok(())
}

#[async_trait]
impl Store for SqliteBeside {
    async fn apply(
        &self,
        organization: &OrganizationId,
        changes: Vec<Change>,
    ) -> Result<Details, StoreError> {
        let organization = organization.clone();
        self.run(|reply| Operation::Apply { organization, changes, reply }).await
    }

    async fn get(&self, organization: &OrganizationId, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.readers.read_now(|connection| page::get(connection, organization, key))
    }

    async fn list(&self, organization: &OrganizationId, query: Query) -> Result<Page, StoreError> {
        let organization = organization.clone();
        self.readers.read(move |connection| page::list(connection, &organization, &query)).await
    }

    async fn standing(&self, id: &OrganizationId) -> Result<Standing, StoreError> {
        self.readers.read_now(|connection| schema::standing(connection, id))
    }

    async fn create_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization, StoreError> {
        let (id, name) = (id.clone(), name.to_owned());
        self.run(|reply| Operation::Create { id, name, reply }).await
    }

    async fn set_organization_state(
        &self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError> {
        let id = id.clone();
        self.run(move |reply| Operation::SetState { id, state, reply }).await
    }
}

#[async_trait]
impl Registry for SqliteBeside {
    async fn revision(&self) -> Result<u64, StoreError> {
        self.readers.read_now(registry::revision)
    }

    async fn changes(&self, since: u64) -> Result<Changes, StoreError> {
        self.readers.read(move |connection| registry::changes(connection, since)).await
    }

    async fn change(&self, expected: u64, changes: Vec<RecordChange>) -> Result<u64, StoreError> {
        storage::registry::check(&changes)?;
        self.run(move |reply| Operation::Change { expected, changes, reply }).await
    }
}

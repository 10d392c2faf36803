//! Connections that read, each by one thread at a time.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OpenFlags};
use storage::StoreError;
use tokio::sync::Semaphore;

use crate::{checksum::VFS, error::failure};

/// Reads of any size at once. More do not read faster: what is hot is in memory.
const READS_MAX: usize = 4;

/// A few connections that only read.
pub(crate) struct Readers {
    path: Arc<Path>,
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    /// Opens the first; others follow when they are needed.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let idle = Arc::new(Mutex::new(vec![connect(path)?]));
        Ok(Self { path: path.into(), idle, turns: Arc::new(Semaphore::new(READS_MAX)) })
    }

    /// Runs `read` here and now. For reads of a few pages, which are in memory as a rule: to hand them to another
    /// thread costs more than they do.
    pub(crate) fn read_now<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        run(&self.path, &self.idle, read).map_err(failure)
    }

    /// Runs `read` on a thread that may block. For reads of any size.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turns.clone().acquire_owned().await.map_err(StoreError::unavailable)?;
        let (path, idle) = (self.path.clone(), self.idle.clone());
        let task = tokio::task::spawn_blocking(move || {
            let read = run(&path, &idle, read);
            // Held by the work, not by who waits for it: who leaves does not make room for another thread.
            drop(turn);
            read
        });
        task.await.map_err(StoreError::unavailable)?.map_err(failure)
    }
}

/// Runs `read` on an idle connection, or a new one.
fn run<T>(
    path: &Path,
    idle: &Mutex<Vec<Connection>>,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let taken = lock(idle).pop();
    let connection = match taken {
        Some(connection) => connection,
        None => connect(path)?,
    };
    let read = read(&connection);
    lock(idle).push(connection);
    read
}

/// A connection to a store that has been opened.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags_and_vfs(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        VFS,
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// A list of connections is whole whatever happened to the thread that held it.
fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

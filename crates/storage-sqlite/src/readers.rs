//! Connections that read, each by one thread at a time.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OpenFlags};
use storage::StoreError;
use tokio::sync::Semaphore;

/// More do not read faster: what is hot is in memory.
const CONNECTIONS: usize = 4;

/// A few connections that only read.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    /// Opens the first; others follow when they are needed.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let idle = Arc::new(Mutex::new(vec![connect(path)?]));
        Ok(Self { path: path.to_owned(), idle, turns: Arc::new(Semaphore::new(CONNECTIONS)) })
    }

    /// Runs `read` on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turns.clone().acquire_owned().await.map_err(StoreError::unavailable)?;
        let idle = self.idle.clone();
        let taken = lock(&idle).pop();
        let path = if taken.is_none() { Some(self.path.clone()) } else { None };
        let task = tokio::task::spawn_blocking(move || {
            let connection = match (taken, path) {
                (Some(connection), _) => connection,
                (None, path) => connect(&path.unwrap_or_default())?,
            };
            let read = read(&connection);
            lock(&idle).push(connection);
            // Held by the work, not by who waits for it: who leaves does not make room for another thread.
            drop(turn);
            read
        });
        task.await.map_err(StoreError::unavailable)?.map_err(StoreError::unavailable)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// A list of connections is whole whatever happened to the thread that held it.
fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

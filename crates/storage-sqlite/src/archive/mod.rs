//! The store as its operator sees it: a second process on the file, beside the one that serves it or alone.
//!
//! Reads are transactions of a connection of their own; imports are short transactions of an ordinary second writer.

mod backup;
mod import;
mod records;

pub use backup::Progress;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use rusqlite::Connection;
use storage::{
    StoreError,
    archive::{self, Archive, Import, ImportError, LargeValue, PROBLEMS_MAX, Record, Records, Stats},
};

use crate::{
    OpenError, checksum,
    error::{failure, is_damage},
    lock::{self, Lock},
    readers, schema,
    tuning::Mistake,
};

/// A store in a SQLite file that may be served meanwhile.
pub struct SqliteArchive {
    path: PathBuf,
    /// For imports; `None` until the first. Only there if the store may be written.
    writing: Option<Arc<Mutex<Option<import::Importer>>>>,
    /// Held as long as the store may be written: nobody begins to serve it meanwhile.
    _lock: Option<Lock>,
}

impl SqliteArchive {
    /// Opens the store in the file at `path` to read it.
    ///
    /// Blocks the thread, as does [`SqliteArchive::for_writing`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn for_reading(path: &Path) -> Result<Self, OpenError> {
        if !path.exists() {
            return Err(OpenError::Absent { path: path.to_owned() });
        }
        // Before who serves it from now on writes, this has ended.
        drop(open(path)?);
        Ok(Self { path: path.to_owned(), writing: None, _lock: None })
    }

    /// Opens the store in the file at `path` to write it; makes file and folder if they are not there. As long as it is
    /// open, nobody can begin to serve the store; who serves it already goes on.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn for_writing(path: &Path) -> Result<Self, OpenError> {
        let lock = open(path)?;
        Ok(Self { path: path.to_owned(), writing: Some(Arc::default()), _lock: Some(lock) })
    }

    /// Runs `read` in a transaction of its own on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.path.clone();
        let task = tokio::task::spawn_blocking(move || {
            let connection = readers::connect(&path)?;
            let snapshot = connection.unchecked_transaction()?;
            read(&snapshot)
        });
        task.await.map_err(StoreError::unavailable)?.map_err(failure)
    }

    /// Runs `write` on a thread that may block.
    async fn write<E: From<StoreError> + Send + 'static>(
        &self,
        write: impl FnOnce(&mut import::Importer) -> Result<(), E> + Send + 'static,
    ) -> Result<(), E> {
        let writing =
            self.writing.clone().ok_or_else(|| StoreError::unavailable("it was opened to be read"))?;
        let path = self.path.clone();
        let task = tokio::task::spawn_blocking(move || {
            let mut importer = writing.lock().unwrap_or_else(PoisonError::into_inner);
            let importer = match &mut *importer {
                Some(importer) => importer,
                none => none.insert(import::Importer::open(&path).map_err(failure)?),
            };
            write(importer)
        });
        task.await.map_err(StoreError::unavailable)?
    }
}

/// Brings the store to this version if nobody has it; else leaves that to who has it. Returns a lock that others may
/// share, but nobody who begins to serve the store.
pub(crate) fn open(path: &Path) -> Result<Lock, OpenError> {
    if let Some(lock) = lock::alone(path)? {
        drop(schema::open(path, Mistake::None)?);
        return lock.share();
    }
    let lock = lock::beside(path)?;
    checksum::register()
        .map_err(|error| OpenError::Sqlite { path: path.to_owned(), reason: error.to_string() })?;
    let sqlite = |error| OpenError::sqlite(path, &error);
    let connection = readers::connect(path).map_err(sqlite)?;
    let found = schema::version(&connection).map_err(sqlite)?;
    if found != schema::VERSION {
        return Err(OpenError::OtherSchema { path: path.to_owned(), found, known: schema::VERSION });
    }
    Ok(lock)
}

#[async_trait]
impl Archive for SqliteArchive {
    fn records(&self) -> Records {
        records::stream(self.path.clone())
    }

    async fn import(&self, import: &Import, before: u64, records: Vec<Record>) -> Result<(), ImportError> {
        let import = import.clone();
        self.write(move |importer| importer.batch(&import, before, records)).await
    }

    async fn imported(&self, source: &str) -> Result<u64, StoreError> {
        let source = source.to_owned();
        self.read(move |connection| import::imported(connection, &source)).await
    }

    async fn finish_import(&self, source: &str) -> Result<(), StoreError> {
        let source = source.to_owned();
        self.write(move |importer| importer.finish(&source).map_err(failure)).await
    }

    async fn stats(&self, largest: u32) -> Result<Stats, StoreError> {
        self.read(move |connection| stats(connection, largest)).await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.read(|connection| {
            let mut problems = damage(connection)?;
            let mut statement = connection.prepare("SELECT source, records FROM import")?;
            let unfinished = statement
                .query_map([], |row| Ok(archive::unfinished(row.get_ref(0)?.as_str()?, row.get(1)?)))?;
            problems.extend(unfinished.collect::<rusqlite::Result<Vec<_>>>()?);
            problems.truncate(PROBLEMS_MAX);
            Ok(problems)
        })
        .await
    }
}

fn stats(connection: &Connection, largest: u32) -> rusqlite::Result<Stats> {
    const BYTES: &str =
        "coalesce(length(value), (SELECT length(value) FROM large_value WHERE number = large_value))";
    let count = |state: u8| {
        connection.query_row("SELECT count(*) FROM organization WHERE state = ?1", [state], |row| row.get(0))
    };
    let (entries, bytes) = connection.query_row(
        &format!("SELECT count(*), coalesce(sum({BYTES}), 0) FROM metadata"),
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let mut statement = connection.prepare(&format!(
        "SELECT o.id, m.key, m.bytes FROM \
         (SELECT organization, key, {BYTES} AS bytes FROM metadata ORDER BY bytes DESC LIMIT ?1) m \
         JOIN organization o ON o.number = m.organization ORDER BY m.bytes DESC, o.id, m.key"
    ))?;
    let largest = statement.query_map([largest], |row| {
        Ok(LargeValue { organization: row.get(0)?, key: row.get(1)?, bytes: row.get(2)? })
    })?;
    let largest = largest.collect::<rusqlite::Result<_>>()?;
    Ok(Stats { active: count(1)?, inactive: count(2)?, removed: count(3)?, entries, bytes, largest })
}

/// What the tables of this store alone can be, and must not.
const RULES: [(&str, &str); 2] = [
    (
        "the entry has no value, or two",
        "SELECT o.id, m.key FROM metadata m LEFT JOIN large_value l ON l.number = m.large_value \
         LEFT JOIN organization o ON o.number = m.organization WHERE (m.value IS NULL) = (l.number IS NULL)",
    ),
    (
        "a large value belongs to no entry, or to several",
        "SELECT NULL, NULL FROM large_value l \
         WHERE (SELECT count(*) FROM metadata WHERE large_value = l.number) <> 1",
    ),
];

/// SQLite reads every page, and so compares every checksum; then come the rules.
fn damage(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({PROBLEMS_MAX})"))?;
    let mut rows = statement.query([])?;
    loop {
        match rows.next() {
            Ok(None) => break,
            Ok(Some(row)) => {
                let text: String = row.get(0)?;
                let lines = text.lines().filter(|line| *line != "ok" && !line.starts_with("***"));
                problems.extend(lines.map(str::to_owned));
            }
            // It looks into tables after it has looked at pages, and ends at the first that it cannot read.
            Err(error) if is_damage(&error) => {
                problems.push(error.to_string());
                break;
            }
            Err(error) => return Err(error),
        }
    }
    if !problems.is_empty() {
        problems.truncate(PROBLEMS_MAX);
        return Ok(problems);
    }
    for (rule, statement) in archive::RULES.iter().chain(&RULES) {
        let mut statement = connection.prepare(&format!("{statement} LIMIT {PROBLEMS_MAX}"))?;
        let mut rows = statement.query([])?;
        while problems.len() < PROBLEMS_MAX
            && let Some(row) = rows.next()?
        {
            let (organization, key): (Option<String>, Option<String>) = (row.get(0)?, row.get(1)?);
            problems.push(archive::problem(rule, organization.as_deref(), key.as_deref()));
        }
    }
    Ok(problems)
}

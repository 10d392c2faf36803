//! Copies of the whole file, by SQLite's online backup.

use std::{fs::File, path::Path, time::Duration};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::SqliteArchive;
use crate::{
    OpenError,
    checksum::{self, Found, VFS},
    lock, readers, schema,
    tuning::Mistake,
};

/// How many pages are copied before the progress is told.
const STEP_PAGES: i32 = 1_000;

/// How long it waits for a lock of somebody else.
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// Hears how many pages are left, of how many.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

impl SqliteArchive {
    /// Copies the store, as it is at one moment, to a new file: a SQLite database, complete in itself. The file is there
    /// when it is whole and durable, not before.
    ///
    /// Blocks the thread.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::Exists`] if there is such a file.
    pub fn backup(&self, to: &Path, progress: Progress<'_>) -> Result<(), OpenError> {
        let io = |error| OpenError::Io { path: to.to_owned(), error };
        let sqlite = |error| OpenError::sqlite(&self.path, &error);
        if to.exists() {
            return Err(OpenError::Exists { path: to.to_owned() });
        }
        // A name of its own: somebody else may be making the same. Gone again, should this fail.
        let part = tempfile::Builder::new().prefix(".part-").tempfile_in(schema::folder(to)).map_err(io)?;
        let from = readers::connect(&self.path).map_err(sqlite)?;
        {
            let mut copy = Connection::open_with_flags_and_vfs(part.path(), OpenFlags::default(), VFS)
                .map_err(|error| OpenError::sqlite(part.path(), &error))?;
            // It is made durable as a whole, below.
            copy.execute_batch("PRAGMA synchronous = OFF").map_err(sqlite)?;
            copy_pages(&from, &mut copy, progress).map_err(sqlite)?;
            // With a log of its own it would be two files.
            copy.execute_batch("PRAGMA journal_mode = DELETE").map_err(sqlite)?;
        }
        part.as_file().sync_all().map_err(io)?;
        part.persist_noclobber(to).map_err(|error| io(error.error))?;
        schema::sync(schema::folder(to)).map_err(io)
    }

    /// Makes the store at `path` what a backup holds, in one transaction: at no moment is it in part this and in part that.
    /// Makes file and folder if they are not there. `replace` allows that organizations are in it.
    ///
    /// Blocks the thread.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::Locked`] if somebody has the store, [`OpenError::Exists`].
    pub fn restore(
        path: &Path,
        backup: &Path,
        replace: bool,
        progress: Progress<'_>,
    ) -> Result<(), OpenError> {
        let of_backup = |error| OpenError::sqlite(backup, &error);
        let of_store = |error| OpenError::sqlite(path, &error);
        if !backup.exists() {
            return Err(OpenError::Absent { path: backup.to_owned() });
        }
        let found = File::open(backup).and_then(|file| checksum::find(&file));
        let found = found.map_err(|error| OpenError::Io { path: backup.to_owned(), error })?;
        if found != Found::Checksums {
            let reason = "its first page is not that of a backup".to_owned();
            return Err(OpenError::Damaged { path: backup.to_owned(), reason });
        }
        checksum::register()
            .map_err(|error| OpenError::Sqlite { path: path.to_owned(), reason: error.to_string() })?;
        let from = readers::connect(backup).map_err(of_backup)?;
        let found = schema::version(&from).map_err(of_backup)?;
        if !(1..=schema::VERSION).contains(&found) {
            return Err(OpenError::OtherSchema { path: backup.to_owned(), found, known: schema::VERSION });
        }
        let problems = super::damage(&from).map_err(of_backup)?;
        if let Some(reason) = problems.into_iter().next() {
            return Err(OpenError::Damaged { path: backup.to_owned(), reason });
        }
        let _lock = lock::first(path)?;
        let mut store = schema::open(path, Mistake::None)?;
        let is_empty: bool = store
            .query_row("SELECT NOT EXISTS (SELECT 1 FROM organization)", [], |row| row.get(0))
            .map_err(of_store)?;
        if !is_empty && !replace {
            return Err(OpenError::Exists { path: path.to_owned() });
        }
        copy_pages(&from, &mut store, progress).map_err(of_store)?;
        drop(store);
        // An older one comes to this version now.
        drop(schema::open(path, Mistake::None)?);
        Ok(())
    }
}

/// Copies what `from` holds now into `to`.
fn copy_pages(from: &Connection, to: &mut Connection, progress: Progress<'_>) -> rusqlite::Result<()> {
    // Else it would begin anew whenever somebody else has written.
    let snapshot = from.unchecked_transaction()?;
    schema::version(&snapshot)?;
    let backup = Backup::new(&snapshot, to)?;
    loop {
        match backup.step(STEP_PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {
                let at = backup.progress();
                let count = |pages: i32| u64::try_from(pages).unwrap_or_default();
                progress(count(at.remaining), count(at.pagecount));
            }
            _ => std::thread::sleep(LOCK_WAIT),
        }
    }
}

//! Layers on real databases: what passes through, what is refused, and that they stack.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use metagate_sqlite_vfs::{Below, Failure, Handle, Kind, Layer, register};
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Notes what passes, and refuses what it is told to.
#[derive(Default)]
struct Notes {
    seen: Mutex<Vec<(Kind, &'static str)>>,
    refuses: Mutex<Option<(&'static str, Failure)>>,
    closed: AtomicBool,
}

impl Notes {
    fn note(&self, kind: Kind, what: &'static str) -> Result<(), Failure> {
        self.seen.lock().unwrap().push((kind, what));
        match *self.refuses.lock().unwrap() {
            Some((refused, failure)) if refused == what => Err(failure),
            _ => Ok(()),
        }
    }
}

struct Noted(Arc<Notes>, Kind);

struct Noting(Arc<Notes>);

impl Layer for Noting {
    fn open(&self, path: &Path, kind: Kind) -> Result<Box<dyn Handle>, Failure> {
        assert!(path.is_absolute(), "{path:?}");
        self.0.note(kind, "open")?;
        Ok(Box::new(Noted(self.0.clone(), kind)))
    }

    fn delete(&self, _path: &Path) -> Result<(), Failure> {
        self.0.note(Kind::Other, "delete")
    }
}

impl Handle for Noted {
    fn read(&mut self, below: &mut Below<'_>, data: &mut [u8], offset: u64) -> Result<(), Failure> {
        self.0.note(self.1, "read")?;
        below.read(data, offset)
    }

    fn write(&mut self, below: &mut Below<'_>, data: &[u8], offset: u64) -> Result<(), Failure> {
        self.0.note(self.1, "write")?;
        below.write(data, offset)
    }

    fn truncate(&mut self, below: &mut Below<'_>, size: u64) -> Result<(), Failure> {
        self.0.note(self.1, "truncate")?;
        below.truncate(size)
    }

    fn sync(&mut self, below: &mut Below<'_>) -> Result<(), Failure> {
        self.0.note(self.1, "sync")?;
        below.sync()
    }

    fn size(&mut self, below: &mut Below<'_>) -> Result<u64, Failure> {
        self.0.note(self.1, "size")?;
        below.size()
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }
}

fn layer(name: &str) -> Arc<Notes> {
    let notes = Arc::new(Notes::default());
    register(name, Arc::new(Noting(notes.clone())), false).unwrap();
    notes
}

fn open(path: &Path, vfs: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags_and_vfs(path, OpenFlags::default(), vfs)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
    Ok(connection)
}

#[test]
fn everything_passes_through() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let notes = layer("everything");
    let connection = open(&path, "everything").unwrap();
    connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(20000));").unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(connection);
    let seen = notes.seen.lock().unwrap().clone();
    for kind in [Kind::Database, Kind::WriteAheadLog] {
        for what in ["open", "read", "write", "sync", "size"] {
            if (kind, what) != (Kind::WriteAheadLog, "read") {
                assert!(seen.contains(&(kind, what)), "{kind:?} {what}: {seen:?}");
            }
        }
    }
    assert!(seen.contains(&(Kind::WriteAheadLog, "truncate")) && seen.contains(&(Kind::Other, "delete")));
    assert!(notes.closed.load(Ordering::Relaxed), "a handle ends with its file");
    // What was written is an ordinary database.
    let length: i64 =
        Connection::open(&path).unwrap().query_row("SELECT length(x) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(length, 20_000);
}

#[test]
fn a_refusal_reaches_the_caller() {
    let folder = tempfile::tempdir().unwrap();
    let notes = layer("refusals");
    for (what, failure, want) in [
        ("open", Failure::OPEN, ErrorCode::CannotOpen),
        ("read", Failure::READ, ErrorCode::SystemIoFailure),
        ("read", Failure::DAMAGED, ErrorCode::SystemIoFailure),
        ("write", Failure::WRITE, ErrorCode::SystemIoFailure),
        ("write", Failure::FULL, ErrorCode::DiskFull),
        ("sync", Failure::SYNC, ErrorCode::SystemIoFailure),
    ] {
        let path = folder.path().join(format!("{what}-{failure:?}.db"));
        *notes.refuses.lock().unwrap() = Some((what, failure));
        let create = |connection: Connection| connection.execute_batch("CREATE TABLE t (x)");
        let error = open(&path, "refusals").and_then(create).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(want), "{what}: {error}");
        *notes.refuses.lock().unwrap() = None;
        open(&path, "refusals").and_then(create).unwrap();
    }
}

#[test]
fn a_short_read_is_no_failure_to_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.db");
    std::fs::write(&path, "").unwrap();
    layer("short");
    let connection = Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), "short").unwrap();
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 0);
}

#[test]
fn files_without_a_name_pass_by() {
    layer("nameless");
    let connection = Connection::open_with_flags_and_vfs("", OpenFlags::default(), "nameless").unwrap();
    connection
        .execute_batch("PRAGMA cache_size = 1; CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000))")
        .unwrap();
    let length: i64 = connection.query_row("SELECT length(x) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(length, 100_000);
}

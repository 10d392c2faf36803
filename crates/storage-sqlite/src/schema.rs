//! The file: how it is opened, what tables it has, and how older ones are brought forward.

use std::{
    ffi::c_int,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use domain::{Details, Organization, OrganizationId, OrganizationState, Timestamp};
use rusqlite::{
    Connection, FileControl, MAIN_DB, OpenFlags, OptionalExtension, TransactionBehavior, types::ValueRef,
};
use storage::Standing;

use crate::{
    OpenError, Row,
    checksum::{self, CHECKSUM_BYTES, Found, OPENING_VFS, PAGE_BYTES_MIN},
    tuning::Mistake,
};

/// Older versions can lose a commit when the write-ahead log is reset.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// How long the write-ahead log stays when it has nothing to say, in bytes.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;

/// What makes each version of the schema from the one before.
///
/// Times are microseconds since the Unix epoch. `entries` counts an organization's metadata, so that a page need not.
/// A value beyond [`crate::operation::INLINE_BYTES_MAX`] stands in a table of its own, so that keys stay close together.
/// `import` says how many records of an unfinished import are there. `registry` has the number of the last change of
/// records; a record that was removed stays, without a body, so that it can be told to who has it.
const MIGRATIONS: [&str; 3] = [
    "
    CREATE TABLE organization (
        number                 INTEGER PRIMARY KEY,
        id                     TEXT    NOT NULL UNIQUE,
        name                   TEXT    NOT NULL,
        state                  INTEGER NOT NULL,
        created_at             INTEGER NOT NULL,
        sequence               INTEGER NOT NULL,
        last_event_at          INTEGER NOT NULL,
        last_metadata_sequence INTEGER NOT NULL,
        last_metadata_at       INTEGER NOT NULL,
        entries                INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE large_value (
        number INTEGER PRIMARY KEY,
        value  BLOB    NOT NULL
    ) STRICT;
    CREATE TABLE metadata (
        organization INTEGER NOT NULL,
        key          TEXT    NOT NULL,
        value        BLOB,
        large_value  INTEGER,
        sequence     INTEGER NOT NULL,
        created_at   INTEGER NOT NULL,
        changed_at   INTEGER NOT NULL,
        PRIMARY KEY (organization, key)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE import (
        source  TEXT    PRIMARY KEY,
        records INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE registry (
        revision INTEGER NOT NULL
    ) STRICT;
    INSERT INTO registry VALUES (0);
    CREATE TABLE record (
        kind     TEXT    NOT NULL,
        id       TEXT    NOT NULL,
        body     BLOB,
        revision INTEGER NOT NULL,
        PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX record_by_revision ON record (revision);
",
];

/// The schema's version that this program knows.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Makes what was made in a folder durable.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// SQLite's write-ahead log of the database at `path`.
fn log_path(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

/// Opens the file at `path`; makes it, if it is not there, so that nobody else can read it.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
}

/// Opens the file for writing, with the schema of this version. For who is alone with the store.
pub(crate) fn open(path: &Path, mistake: Mistake) -> Result<Connection, OpenError> {
    let sqlite = |error| OpenError::sqlite(path, &error);
    let io = |error| OpenError::Io { path: path.to_owned(), error };
    let damaged = |reason: String| OpenError::Damaged { path: path.to_owned(), reason };
    let refused = |reason: String| OpenError::Sqlite { path: path.to_owned(), reason };
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(refused(format!("SQLite {} is too old", rusqlite::version())));
    }
    checksum::register().map_err(|error| refused(error.to_string()))?;
    let file = create_private(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    if (1..PAGE_BYTES_MIN).contains(&size) && !log_path(path).exists() {
        // SQLite would take it for empty.
        return Err(damaged(format!("it ends after {size} bytes")));
    }
    let found = checksum::find(&file).map_err(io)?;
    if found == Found::Damage {
        return Err(damaged("its first page is not as it was written".to_owned()));
    }
    drop(file);
    let mut connection =
        Connection::open_with_flags_and_vfs(path, OpenFlags::default(), OPENING_VFS).map_err(sqlite)?;
    let mut reserved = CHECKSUM_BYTES as c_int;
    connection.file_control(Some(MAIN_DB), FileControl::ReserveBytes(&mut reserved)).map_err(sqlite)?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(sqlite)?;
    if mode != "wal" {
        return Err(refused("the file system lacks what a write-ahead log needs".to_owned()));
    }
    let synchronous = if mistake == Mistake::SynchronousOff { "OFF" } else { "FULL" };
    connection.pragma_update(None, "synchronous", synchronous).map_err(sqlite)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT).map_err(sqlite)?;
    migrate(&mut connection, path)?;
    if found == Found::None {
        connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").map_err(sqlite)?;
    }
    // The file itself must be found again after a power cut.
    sync(folder(path)).map_err(io)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |error| OpenError::sqlite(path, &error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    let found = version(&transaction).map_err(sqlite)?;
    let Some(missing) = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..)) else {
        return Err(OpenError::NewerSchema { path: path.to_owned(), found, known: VERSION });
    };
    for migration in missing {
        transaction.execute_batch(migration).map_err(sqlite)?;
    }
    if !missing.is_empty() {
        transaction.pragma_update(None, "user_version", VERSION).map_err(sqlite)?;
    }
    transaction.commit().map_err(sqlite)
}

/// The version of the schema that is there.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// The columns of [`row`].
macro_rules! select_organization {
    () => {
        "SELECT number, id, name, state, created_at, sequence, last_event_at, last_metadata_sequence, \
         last_metadata_at, entries FROM organization"
    };
}
pub(crate) use select_organization;

/// Stores an organization without metadata: id, name, state, creation, sequence, last event, and the last metadata event's
/// sequence and time.
pub(crate) const INSERT_ORGANIZATION: &str = "INSERT INTO organization (id, name, state, created_at, sequence, \
     last_event_at, last_metadata_sequence, last_metadata_at, entries) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)";

/// An organization's row.
pub(crate) fn organization(connection: &Connection, id: &OrganizationId) -> rusqlite::Result<Option<Row>> {
    let mut statement = connection.prepare_cached(concat!(select_organization!(), " WHERE id = ?1"))?;
    statement.query_row([id.as_str()], row).optional()
}

/// An organization, and the registry's revision.
pub(crate) fn standing(connection: &Connection, id: &OrganizationId) -> rusqlite::Result<Standing> {
    let mut statement = connection.prepare_cached(concat!(
        select_organization!(),
        " WHERE id = ?1 UNION ALL SELECT revision, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM registry"
    ))?;
    let mut rows = statement.query([id.as_str()])?;
    let mut standing = Standing { organization: None, revision: 0 };
    while let Some(found) = rows.next()? {
        match found.get_ref(1)? {
            ValueRef::Null => standing.revision = found.get(0)?,
            _ => standing.organization = Some(row(found)?.organization),
        }
    }
    Ok(standing)
}

/// Reads an organization's row.
pub(crate) fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let time = |column| row.get(column).map(Timestamp::from_micros);
    let organization = Organization {
        id: OrganizationId::new(row.get_ref(1)?.as_str()?).map_err(|error| conversion(1, error))?,
        name: row.get(2)?,
        state: OrganizationState::from_number(row.get(3)?)
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(3, row.get(3)?))?,
        created_at: time(4)?,
        sequence: row.get(5)?,
        last_metadata_event: Details { sequence: row.get(7)?, at: time(8)? },
    };
    Ok(Row { number: row.get(0)?, organization, last_event_at: time(6)?, entries: row.get(9)? })
}

/// The error of a column that holds what it must not.
pub(crate) fn conversion(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

/// The folder that a file is in, or will be; that of a mere name is the one in which the process works.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

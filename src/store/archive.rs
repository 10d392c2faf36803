//! Stores, opened for a command.

use std::{fs, path::Path, sync::Arc};

use storage::Archive;
use storage_postgres::PostgresStore;
use storage_sqlite::SqliteArchive;

use super::{CommandError, progress::Bar, report::Copied};
use crate::config::{Config, Storage};

const IN_MEMORY: CommandError =
    CommandError::Unsupported("memory: is a store that ends with the process that serves it");

/// Opens a store that is there.
pub(crate) async fn for_reading(
    storage: &Storage,
    config: &Config,
) -> Result<Box<dyn Archive>, CommandError> {
    Ok(match storage {
        Storage::Memory => return Err(IN_MEMORY),
        Storage::Sqlite(path) => Box::new(SqliteArchive::for_reading(path)?),
        Storage::Postgres(address) => {
            Box::new(PostgresStore::open_existing(address, &config.postgres).await?)
        }
    })
}

/// Opens a store; makes it if it is not there.
pub(super) async fn for_writing(
    storage: &Storage,
    config: &Config,
) -> Result<Box<dyn Archive>, CommandError> {
    Ok(match storage {
        Storage::Memory => return Err(IN_MEMORY),
        Storage::Sqlite(path) => Box::new(SqliteArchive::for_writing(path)?),
        Storage::Postgres(address) => {
            Box::new(PostgresStore::open(address, &config.postgres, || None, Arc::new(|_| {})).await?)
        }
    })
}

/// The file of a SQLite store.
fn file<'a>(storage: &'a Storage, otherwise: &'static str) -> Result<&'a Path, CommandError> {
    match storage {
        Storage::Memory => Err(IN_MEMORY),
        Storage::Sqlite(path) => Ok(path),
        Storage::Postgres(_) => Err(CommandError::Unsupported(otherwise)),
    }
}

/// Copies a SQLite store to a new file.
pub(super) fn backup(storage: &Storage, to: &Path) -> Result<Copied, CommandError> {
    let path = file(
        storage,
        "PostgreSQL has its own tools: pg_dump for one database, pg_basebackup for the server; \
         or see metagate store export",
    )?;
    let bar = Bar::of_pages("backing up");
    SqliteArchive::for_reading(path)?.backup(to, &mut |left, all| bar.at(all - left, all))?;
    copied(path, to)
}

/// Makes a SQLite store what a backup holds.
pub(super) fn restore(storage: &Storage, from: &Path, replace: bool) -> Result<Copied, CommandError> {
    let path = file(storage, "PostgreSQL has its own tools: pg_restore; or see metagate store import")?;
    let bar = Bar::of_pages("restoring");
    SqliteArchive::restore(path, from, replace, &mut |left, all| bar.at(all - left, all))?;
    copied(from, path)
}

fn copied(from: &Path, to: &Path) -> Result<Copied, CommandError> {
    let bytes = fs::metadata(to).map_err(|error| CommandError::File { path: to.to_owned(), error })?.len();
    Ok(Copied { from: from.display().to_string(), to: to.display().to_string(), bytes })
}

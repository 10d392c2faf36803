//! Why a store does not open, and what SQLite's errors mean to its callers.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::{ErrorCode, ffi};
use storage::StoreError;

/// Why a store does not open, in one line for whoever started the program.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such store, and it is not to be made.
    #[error("storage {}: there is none", path.display())]
    Absent {
        /// The store's file.
        path: PathBuf,
    },
    /// It is there, and is not to be replaced.
    #[error("storage {}: it is there already, and not empty", path.display())]
    Exists {
        /// The store's file.
        path: PathBuf,
    },
    /// Another version of the program has the file, or made it.
    #[error("storage {}: it has schema version {found}, and this program wants {known}; use the program that serves it", path.display())]
    OtherSchema {
        /// The store's file.
        path: PathBuf,
        /// The file's version.
        found: i64,
        /// This program's version.
        known: i64,
    },
    /// Another process has it.
    #[error("storage {}: locked by another process", path.display())]
    Locked {
        /// The store's file.
        path: PathBuf,
    },
    /// File or folder cannot be made, read or written.
    #[error("storage {}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is no SQLite database, or a damaged one.
    #[error("storage {}: not a database, or damaged ({reason})", path.display())]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// A newer program has written the file.
    #[error("storage {}: it has schema version {found}, and this program knows {known}; use a newer one", path.display())]
    NewerSchema {
        /// The store's file.
        path: PathBuf,
        /// The file's version.
        found: i64,
        /// This program's version.
        known: i64,
    },
    /// SQLite cannot do it.
    #[error("storage {}: {reason}", path.display())]
    Sqlite {
        /// The store's file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}

impl OpenError {
    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            _ if is_damage(error) => Self::Damaged { path, reason },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            _ => Self::Sqlite { path, reason },
        }
    }
}

/// What a store says when SQLite has said `error`.
pub(crate) fn failure(error: rusqlite::Error) -> StoreError {
    if is_damage(&error) {
        StoreError::Damaged(error.into())
    } else if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        StoreError::Full(error.into())
    } else {
        StoreError::unavailable(error)
    }
}

/// Whether something was read that was not written so.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..) => true,
        other => other.sqlite_error().is_some_and(|error| {
            matches!(error.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
                || error.extended_code == ffi::SQLITE_IOERR_DATA
        }),
    }
}

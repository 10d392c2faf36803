//! Why a store does not open.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

/// Why a store does not open, in one line for whoever started the program.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
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
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged { path, reason },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            _ => Self::Sqlite { path, reason },
        }
    }
}

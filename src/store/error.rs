//! Why a command did not do what it was told.

use std::{io, path::PathBuf};

use storage::{StoreError, archive::ImportError};

use crate::config::ConfigError;

/// Why a command did not do what it was told, in one line for whoever gave it.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The SQLite store cannot be used.
    #[error(transparent)]
    Sqlite(#[from] storage_sqlite::OpenError),
    /// The PostgreSQL store cannot be used.
    #[error(transparent)]
    Postgres(#[from] storage_postgres::OpenError),
    /// The store has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something was not imported.
    #[error("{error}{advice}")]
    Import {
        /// Why.
        error: ImportError,
        /// What can be done.
        advice: &'static str,
    },
    /// It failed behind what was stored already.
    #[error("{error}; {records} records before that are stored")]
    InPart {
        /// Why it failed.
        error: Box<CommandError>,
        /// How many records are stored.
        records: u64,
    },
    /// The store has records of what looks like the same export, and is not.
    #[error("the store has {records} records of an export of this name, and it is another one")]
    NotOfThis {
        /// How many.
        records: u64,
    },
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Its path, or `stdin` or `stdout`.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is no export, or not as it was written.
    #[error("{}:{line}: {reason}", path.display())]
    Export {
        /// Its path, or `stdin`.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The store cannot do that.
    #[error("{0}")]
    Unsupported(&'static str),
    /// What was asked for cannot be, for this reason.
    #[error("{0}")]
    Refused(String),
    /// The ZITADEL does not answer, or with something else than was asked for.
    #[error("{0}")]
    Zitadel(String),
    /// A check has found something; it was said what.
    #[error("problems found: {0}")]
    Problems(usize),
}

impl CommandError {
    /// Nothing can be said on stderr.
    pub(crate) fn log(error: io::Error) -> Self {
        Self::File { path: "stderr".into(), error }
    }
}

impl From<ImportError> for CommandError {
    fn from(error: ImportError) -> Self {
        let advice = match error {
            ImportError::Exists(_) => "; --replace replaces it, with all its metadata",
            ImportError::Overtaken { .. } => "; wait for its end, or start this again",
            ImportError::Orphan(_) | ImportError::Store(_) => "",
        };
        Self::Import { error, advice }
    }
}

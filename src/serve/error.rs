//! Why a server does not start, or does not reload.

use std::{fmt, io, path::PathBuf, time::Duration};

use identity::{DevelopmentError, DirectoryError, Problem};
use storage::StoreError;
use storage_sqlite::OpenError;

use crate::{
    config::{ConfigError, Listen},
    front::TlsError,
};

/// Why a server does not start or reload, for whoever asked it to: one line, or one for each problem of a directory.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The port is taken, or not ours to take.
    #[error("cannot listen on {place}: {error}")]
    Listen {
        /// The place that was asked for.
        place: Listen,
        /// What the system said.
        error: io::Error,
    },
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] storage_postgres::OpenError),
    /// The store opened, and does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory file cannot be read.
    #[error("directory {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Certificate and key are not given together.
    #[error(
        "tls-certificate and tls-key go together, and tls-client-ca only with them: give both, or none to serve without TLS"
    )]
    TlsHalf,
    /// The certificate or the key cannot be read.
    #[error("TLS: {}: {error}", path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The certificate or the key cannot be used.
    #[error("TLS: {}: {error}", path.display())]
    Tls {
        /// The file of the certificate.
        path: PathBuf,
        /// What is wrong.
        error: TlsError,
    },
    /// The directory is not right.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// What another issuer is to be asked with cannot be used.
    #[error("{0}")]
    Issuer(Problem),
    /// The directory does not go with the store.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The development directory cannot be made.
    #[error(transparent)]
    Development(#[from] DevelopmentError),
    /// `message-bytes-max` names what is not served.
    #[error("message-bytes-max: there is no service {0:?}; there are {1}")]
    Service(String, String),
    /// Calls under way did not end, so that there was no moment to change anything.
    #[error("calls that are under way did not end within {0:?}")]
    Busy(Duration),
    /// The store took too long to take the directory's organizations, while calls had to wait.
    #[error("the store did not take the organizations within {0:?}")]
    Slow(Duration),
    /// Something that should not happen.
    #[error("cannot serve: {0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// Where a directory does not go with the store: organizations first, then references. Displays one line each.
#[derive(Debug)]
pub struct Mismatch(pub Vec<Problem>);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Mismatch {}

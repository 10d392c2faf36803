//! The files of TLS, and what was made of them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::ServeError;
use crate::{
    config::Config,
    front::{Tls, TlsError},
};

/// How often the files are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What the files of TLS hold.
#[derive(PartialEq, Eq)]
pub(super) struct Files {
    certificate: File,
    key: File,
    client_ca: Option<File>,
}

#[derive(PartialEq, Eq)]
struct File {
    path: PathBuf,
    content: Vec<u8>,
}

impl Files {
    /// Reads them, where TLS was asked for.
    ///
    /// # Errors
    /// If one of the settings lacks another, or one of the files cannot be read.
    pub(super) fn read(config: &Config) -> Result<Option<Self>, ServeError> {
        let (certificate, key) = match (&config.tls_certificate, &config.tls_key) {
            (None, None) if config.tls_client_ca.is_none() => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            _ => return Err(ServeError::TlsHalf),
        };
        Ok(Some(Self {
            certificate: File::read(certificate)?,
            key: File::read(key)?,
            client_ca: config.tls_client_ca.as_deref().map(File::read).transpose()?,
        }))
    }

    /// What connections are made secret with.
    ///
    /// # Errors
    /// If the files cannot be used, or do not go together.
    pub(super) fn tls(&self) -> Result<Tls, ServeError> {
        let Self { certificate, key, client_ca } = self;
        let clients = client_ca.as_ref().map(|file| &*file.content);
        Tls::new(&certificate.content, &key.content, clients).map_err(|error| {
            let file = match (&error, client_ca) {
                (TlsError::Clients(_), Some(client_ca)) => client_ca,
                (TlsError::Key(_), _) => key,
                _ => certificate,
            };
            ServeError::Tls { path: file.path.clone(), error }
        })
    }
}

impl File {
    fn read(path: &Path) -> Result<Self, ServeError> {
        match fs::read(path) {
            Ok(content) => Ok(Self { path: path.to_owned(), content }),
            Err(error) => Err(ServeError::TlsFile { path: path.to_owned(), error }),
        }
    }
}

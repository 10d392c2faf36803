//! Where the directory comes from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use identity::{Development, Directory};
use secrecy::SecretString;

use super::ServeError;
use crate::config::{Config, Storage};

/// What is said of a development directory.
pub(super) struct DevelopmentAccess {
    pub(super) place: String,
    pub(super) organization: String,
    pub(super) token: SecretString,
}

/// The directory that was asked for, or one for development, which is made if it is not there.
pub(super) fn open(config: &Config) -> Result<(Directory, Option<DevelopmentAccess>), ServeError> {
    if let Some(path) = &config.directory {
        return Ok((read(path)?, None));
    }
    let (development, place) = match file(config) {
        None => (Development::in_memory()?, "in memory".to_owned()),
        Some(path) => (Development::open_or_create(&path)?, path.display().to_string()),
    };
    let access = DevelopmentAccess {
        place,
        organization: development.organization().to_string(),
        token: development.token().clone(),
    };
    Ok((development.into_directory(), Some(access)))
}

/// The file that the directory is in; `None` if it is in memory.
pub(super) fn file(config: &Config) -> Option<PathBuf> {
    match (&config.directory, &config.storage) {
        (Some(path), _) => Some(path.clone()),
        (None, Storage::Sqlite(store)) => {
            Some(store.parent().unwrap_or(Path::new("")).join("directory.toml"))
        }
        (None, Storage::Postgres(_)) => Some(Path::new("metagate-data").join("directory.toml")),
        (None, Storage::Memory) => None,
    }
}

/// The directory in the file at `path`.
pub(super) fn read(path: &Path) -> Result<Directory, ServeError> {
    let text = fs::read_to_string(path).map_err(|error| ServeError::Read { path: path.to_owned(), error })?;
    Ok(Directory::parse(&text, &path.display().to_string())?)
}

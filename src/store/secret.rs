//! Secrets that a command is told, in other ways than by its arguments.

use std::{
    env, fs,
    io::{self, Read},
    path::Path,
};

use secrecy::{ExposeSecret, SecretString};

use super::CommandError;
use crate::config::Storage;

/// What is in the file at `path`, or comes on stdin for `-`, without the end of the line.
///
/// # Errors
/// If it cannot be read, or is empty.
pub(crate) fn read(path: &Path) -> Result<SecretString, CommandError> {
    let mut text = String::new();
    let (path, read) = match path.to_str() {
        Some("-") => (Path::new("stdin"), io::stdin().lock().read_to_string(&mut text)),
        _ => (path, fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))),
    };
    read.map_err(|error| CommandError::File { path: path.to_owned(), error })?;
    match text.trim() {
        "" => Err(CommandError::Refused(format!("{}: there is no secret in it", path.display()))),
        secret => Ok(secret.into()),
    }
}

/// The store of a URL, or of the one that a variable of the environment holds, for `env:NAME`.
///
/// # Errors
/// If it is none, without its password.
pub(super) fn storage(url: &SecretString) -> Result<Storage, CommandError> {
    let url = url.expose_secret();
    let (place, url) = match url.strip_prefix("env:") {
        None => ("the store", url.to_owned()),
        Some(name) => {
            let url = env::var(name).map_err(|_| {
                CommandError::Refused(format!("there is no variable {name:?} in the environment"))
            })?;
            (name, url)
        }
    };
    url.parse().map_err(|allowed| {
        let url = storage_postgres::without_password(&url);
        CommandError::Refused(format!("{place}: {url:?} is not allowed; allowed is {allowed}"))
    })
}

//! Who may have the file: `<file>.lock`, next to it.
//!
//! Who opens a store that nobody has is alone with it until it is sound and of this version; then the lock may be shared.
//! One process serves it, and holds its share for as long; it begins only when nobody else has one. Commands that write
//! take shares beside it.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{OpenError, schema};

/// How often, and after how long, a share is asked for again: who is alone with the store may just be opening it.
const ATTEMPTS: usize = 100;
const ATTEMPT_WAIT: Duration = Duration::from_millis(50);

/// The store is taken until this is dropped.
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

/// Takes the store; `None` if somebody has it. Makes the folder if it is not there.
pub(crate) fn alone(path: &Path) -> Result<Option<Lock>, OpenError> {
    let lock = open(path)?;
    match lock.file.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(lock.failed(error)),
    }
}

/// Takes a share of the store, beside whoever has one.
pub(crate) fn beside(path: &Path) -> Result<Lock, OpenError> {
    let lock = open(path)?;
    for _ in 0..ATTEMPTS {
        match lock.file.try_lock_shared() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => thread::sleep(ATTEMPT_WAIT),
            Err(TryLockError::Error(error)) => return Err(lock.failed(error)),
        }
    }
    Err(OpenError::Locked { path: path.to_owned() })
}

impl Lock {
    /// Allows shares beside this one.
    pub(crate) fn share(self) -> Result<Self, OpenError> {
        match self.file.try_lock_shared() {
            Ok(()) => Ok(self),
            // It is let go before it is taken (flock(2)).
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: self.path }),
            Err(TryLockError::Error(error)) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: std::io::Error) -> OpenError {
        OpenError::Io { path: lock_path(&self.path), error }
    }
}

fn lock_path(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.lock", path.display()))
}

fn open(path: &Path) -> Result<Lock, OpenError> {
    let folder = schema::folder(path);
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| OpenError::Io { path, error }
    };
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.is_dir()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io(folder))?;
    // Folders, too, must be found again after a power cut.
    for made in missing {
        schema::sync(schema::folder(made)).map_err(io(made))?;
    }
    let lock_path = lock_path(path);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
    Ok(Lock { file: file.map_err(io(&lock_path))?, path: path.to_owned() })
}

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

/// How often, and after how long, it is tried again: a command that is alone with the store opens it, and lets go.
const ATTEMPTS: usize = 40;
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

/// Takes the store, if need be after a while.
pub(crate) fn first(path: &Path) -> Result<Lock, OpenError> {
    open(path)?.wait(File::try_lock)
}

/// Takes a share of the store, beside whoever has one.
pub(crate) fn beside(path: &Path) -> Result<Lock, OpenError> {
    open(path)?.wait(File::try_lock_shared)
}

impl Lock {
    fn wait(self, attempt: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Self, OpenError> {
        for _ in 0..ATTEMPTS {
            match attempt(&self.file) {
                Ok(()) => return Ok(self),
                Err(TryLockError::WouldBlock) => thread::sleep(ATTEMPT_WAIT),
                Err(TryLockError::Error(error)) => return Err(self.failed(error)),
            }
        }
        Err(OpenError::Locked { path: self.path })
    }

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

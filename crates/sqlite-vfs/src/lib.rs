//! Layers between SQLite and its files: what SQLite reads and writes passes through safe Rust code first.
//!
//! Depends on `rusqlite`. A layer is a SQLite VFS (sqlite.org/vfs.html) on top of another one; layers stack. Locks and
//! shared memory pass by; what is mapped says when something was committed ([`last_commit`]). All `unsafe` code of the workspace is in `shim.rs`, which is as small as it can be.

#[cfg(feature = "disk")]
pub mod disk;
mod shim;

use std::{
    ffi::{CString, c_int},
    path::Path,
    sync::Arc,
};

use rusqlite::{Connection, ffi};

pub use shim::Below;

/// What the files of an open database pass through.
pub trait Layer: Send + Sync + 'static {
    /// A file is about to be opened. `path` is absolute.
    ///
    /// # Errors
    /// Whatever SQLite is to be told instead; then the file is not opened.
    fn open(&self, path: &Path, kind: Kind) -> Result<Box<dyn Handle>, Failure>;

    /// A file is about to be deleted.
    ///
    /// # Errors
    /// Whatever SQLite is to be told instead; then the file is not deleted.
    fn delete(&self, _path: &Path) -> Result<(), Failure> {
        Ok(())
    }
}

/// One open file of a layer. What is not overridden passes to the file `below`.
///
/// One thread at a time uses it. A panic ends the process: there is C code above.
pub trait Handle: Send {
    /// Reads `data.len()` bytes at `offset`. Where the file ends before, the rest is zero, and the failure is
    /// [`Failure::SHORT_READ`].
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&mut self, below: &mut Below<'_>, data: &mut [u8], offset: u64) -> Result<(), Failure> {
        below.read(data, offset)
    }

    /// Writes `data` at `offset`.
    ///
    /// # Errors
    /// If it cannot be written.
    fn write(&mut self, below: &mut Below<'_>, data: &[u8], offset: u64) -> Result<(), Failure> {
        below.write(data, offset)
    }

    /// Brings the file to `size` bytes.
    ///
    /// # Errors
    /// If it cannot be.
    fn truncate(&mut self, below: &mut Below<'_>, size: u64) -> Result<(), Failure> {
        below.truncate(size)
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// If it may not be.
    fn sync(&mut self, below: &mut Below<'_>) -> Result<(), Failure> {
        below.sync()
    }

    /// The file's size in bytes.
    ///
    /// # Errors
    /// If it is not known.
    fn size(&mut self, below: &mut Below<'_>) -> Result<u64, Failure> {
        below.size()
    }
}

/// What a file is to SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The database itself.
    Database,
    /// Its write-ahead log.
    WriteAheadLog,
    /// Anything else: rollback journals, temporary files.
    Other,
}

/// How SQLite is told that something failed: one of its result codes (sqlite.org/rescode.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SQLite's result code {0}")]
pub struct Failure(c_int);

impl Failure {
    /// Reading failed.
    pub const READ: Self = Self(ffi::SQLITE_IOERR_READ);
    /// The file ends before what was to be read.
    pub const SHORT_READ: Self = Self(ffi::SQLITE_IOERR_SHORT_READ);
    /// What was read is not what was written.
    pub const DAMAGED: Self = Self(ffi::SQLITE_IOERR_DATA);
    /// Writing failed.
    pub const WRITE: Self = Self(ffi::SQLITE_IOERR_WRITE);
    /// The disk is full.
    pub const FULL: Self = Self(ffi::SQLITE_FULL);
    /// What was written may not be durable.
    pub const SYNC: Self = Self(ffi::SQLITE_IOERR_FSYNC);
    /// Changing the size failed.
    pub const TRUNCATE: Self = Self(ffi::SQLITE_IOERR_TRUNCATE);
    /// Asking for the size failed.
    pub const SIZE: Self = Self(ffi::SQLITE_IOERR_FSTAT);
    /// Deleting failed.
    pub const DELETE: Self = Self(ffi::SQLITE_IOERR_DELETE);
    /// Opening failed.
    pub const OPEN: Self = Self(ffi::SQLITE_CANTOPEN);
}

/// Why a layer cannot be put in place.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The name holds U+0000.
    #[error("a VFS's name must not hold U+0000")]
    Name,
    /// SQLite knows no VFS to build on.
    #[error("SQLite has no VFS")]
    NothingBelow,
    /// SQLite did not take it.
    #[error(transparent)]
    Refused(Failure),
}

/// Puts `layer` on top of the VFS that is now SQLite's default, for as long as the process runs. Databases pass
/// through it that are opened with the VFS `name`, or with none if `is_default`.
///
/// Call it once a name: SQLite keeps the last of a name, and what is below stays below.
///
/// # Errors
/// See [`RegisterError`].
pub fn register(name: &str, layer: Arc<dyn Layer>, is_default: bool) -> Result<(), RegisterError> {
    let name = CString::new(name).map_err(|_| RegisterError::Name)?;
    shim::register(name, layer, is_default)
}

/// How many words the header of the write-ahead log's index has (sqlite.org/walformat.html, section 2.1).
const INDEX_HEADER_WORDS: usize = 12;

/// A commit: while it is the last one, the database holds the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit([u32; INDEX_HEADER_WORDS]);

/// The last commit to the database of `connection`, by whatever process: no lock is taken, and nothing asked of the system.
///
/// It is in the header of the log's index, which counts transactions and has the length and the checksum of the log; to write
/// that is what makes a commit visible. `None` while it is written, and as long as the connection has read nothing, or
/// has no layer.
pub fn last_commit(connection: &Connection) -> Option<Commit> {
    let [first, second] = shim::index_header(connection)?;
    (first == second).then_some(Commit(first))
}

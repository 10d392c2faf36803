//! A checksum in every page of the database, so that what a disk has changed is never taken for what was written.
//!
//! SQLite leaves the last bytes of each page to us (`SQLITE_FCNTL_RESERVE_BYTES`); they are written when a page goes
//! into the database file, and compared when it is read from there. Pages in the write-ahead log have checksums of
//! SQLite's own.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use sqlite_vfs::{Below, Failure, Handle, Kind, Layer, RegisterError};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The name of the VFS that writes and compares checksums. Whoever else writes to a store must open it with this one.
pub const VFS: &str = "metagate";

/// How many bytes of a page its checksum takes.
pub(crate) const CHECKSUM_BYTES: usize = 8;

/// Where a database says how many bytes at the end of each page are reserved (sqlite.org/fileformat.html).
const RESERVED_AT: usize = 20;

/// The database's header, at the start of the first page, in bytes.
const HEADER_BYTES: usize = 100;

/// What a database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The smallest page, in bytes: what is shorter is a part of the header.
pub(crate) const PAGE_BYTES_MIN: u64 = 512;

/// Makes [`VFS`] known to SQLite, on top of what is its default when this is first called.
pub(crate) fn register() -> Result<(), &'static RegisterError> {
    static REGISTERED: OnceLock<Result<(), RegisterError>> = OnceLock::new();
    REGISTERED.get_or_init(|| sqlite_vfs::register(VFS, Arc::new(Checksums), false)).as_ref().copied()
}

/// Whether the file is a database without checksums, as the first versions made them.
pub(crate) fn lacks(file: &mut File) -> io::Result<bool> {
    let mut header = [0; HEADER_BYTES];
    match file.read_exact(&mut header) {
        Ok(()) => Ok(header.starts_with(MAGIC) && header[RESERVED_AT] == 0),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

struct Checksums;

impl Layer for Checksums {
    fn open(&self, path: &Path, kind: Kind) -> Result<Box<dyn Handle>, Failure> {
        Ok(match kind {
            Kind::Database => Box::new(Database { path: path.to_owned(), has_checksums: None }),
            Kind::WriteAheadLog | Kind::Other => Box::new(PassedBy),
        })
    }
}

struct PassedBy;

impl Handle for PassedBy {}

struct Database {
    path: PathBuf,
    /// `None` until the header was seen.
    has_checksums: Option<bool>,
}

impl Database {
    /// Whether pages have checksums: the header says so.
    fn has_checksums(&mut self, below: &mut Below<'_>) -> Result<bool, Failure> {
        if let Some(known) = self.has_checksums {
            return Ok(known);
        }
        let mut header = [0; HEADER_BYTES];
        match below.read(&mut header, 0) {
            Ok(()) => {
                self.see(&header);
                Ok(self.has_checksums.unwrap_or_default())
            }
            // A new file: what is written first will tell.
            Err(Failure::SHORT_READ) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    fn see(&mut self, header: &[u8]) {
        self.has_checksums = header.get(RESERVED_AT).map(|&reserved| usize::from(reserved) == CHECKSUM_BYTES);
    }
}

impl Handle for Database {
    fn read(&mut self, below: &mut Below<'_>, data: &mut [u8], offset: u64) -> Result<(), Failure> {
        let read = below.read(data, offset);
        if (data.len() as u64) < PAGE_BYTES_MIN || !self.has_checksums(below)? {
            return read;
        }
        let harm = match read {
            // SQLite would take what is missing for zeros. It never asks for what it has not written, but for the
            // first page.
            Err(Failure::SHORT_READ) if offset > 0 => "the file ends before it does",
            Err(failure) => return Err(failure),
            Ok(()) => match data.split_last_chunk() {
                Some((content, checksum)) if *checksum != sum(content, offset) => {
                    "its checksum is not that of its content"
                }
                _ => return Ok(()),
            },
        };
        let (path, page) = (self.path.display(), offset / data.len() as u64 + 1);
        tracing::error!(%path, page, "a page is damaged: {harm}");
        Err(Failure::DAMAGED)
    }

    fn write(&mut self, below: &mut Below<'_>, data: &[u8], offset: u64) -> Result<(), Failure> {
        if offset == 0 && data.len() >= HEADER_BYTES {
            self.see(data);
        }
        if (data.len() as u64) < PAGE_BYTES_MIN || !self.has_checksums(below)? {
            return below.write(data, offset);
        }
        let mut page = data.to_vec();
        if let Some((content, checksum)) = page.split_last_chunk_mut() {
            *checksum = sum(content, offset);
        }
        below.write(&page, offset)
    }
}

/// The checksum of a page's content; of another place it would be another, so that a page in a wrong place is found.
fn sum(content: &[u8], offset: u64) -> [u8; CHECKSUM_BYTES] {
    xxh3_64_with_seed(content, offset).to_be_bytes()
}

//! A checksum in every page of the database, so that what a disk has changed is never taken for what was written.
//!
//! SQLite leaves the last bytes of each page to us (`SQLITE_FCNTL_RESERVE_BYTES`); they are written when a page goes
//! into the database file, and compared when it is read from there. Pages in the write-ahead log have checksums of
//! SQLite's own, which it compares when it opens the log.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use sqlite_vfs::{Below, Failure, Handle, Kind, Layer, RegisterError};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The name of the VFS that writes and compares checksums, for stores that have been opened before. Whoever else writes
/// to a store must open it with this one.
pub const VFS: &str = "metagate";

/// The name of the VFS for the first connection to a store: it makes the log durable again, and takes a database without
/// checksums.
pub(crate) const OPENING_VFS: &str = "metagate-opening";

/// How many bytes of a page its checksum takes.
pub(crate) const CHECKSUM_BYTES: usize = 8;

/// Where a database says how many bytes at the end of each page are reserved (sqlite.org/fileformat.html).
const RESERVED_AT: usize = 20;

/// The database's header, at the start of the first page, in bytes.
const HEADER_BYTES: usize = 100;

/// The largest page, in bytes.
const PAGE_BYTES_MAX: u64 = 65_536;

/// How much of a log is renewed at once, in bytes: SQLite's own VFS writes less than 128 KiB in one go.
const RENEWED_BYTES: usize = 64 * 1024;

/// What a database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The smallest page, in bytes: what is shorter is a part of the header.
pub(crate) const PAGE_BYTES_MIN: u64 = 512;

/// Makes both known to SQLite, on top of what is its default when this is first called.
pub(crate) fn register() -> Result<(), &'static RegisterError> {
    static REGISTERED: OnceLock<Result<(), RegisterError>> = OnceLock::new();
    REGISTERED
        .get_or_init(|| {
            sqlite_vfs::register(VFS, Arc::new(Checksums { is_opening: false }), false)?;
            sqlite_vfs::register(OPENING_VFS, Arc::new(Checksums { is_opening: true }), false)
        })
        .as_ref()
        .copied()
}

/// What the first page says of checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is no database yet, or something else, which SQLite will tell.
    Nothing,
    /// A database with checksums.
    Checksums,
    /// A database without them, as the first versions made it.
    None,
    /// Neither is true.
    Damage,
}

/// Looks at the database in `file`.
pub(crate) fn find(file: &File) -> io::Result<Found> {
    let mut page = Vec::new();
    file.take(PAGE_BYTES_MAX).read_to_end(&mut page)?;
    let Some(header) = page.first_chunk::<HEADER_BYTES>().filter(|header| header.starts_with(MAGIC)) else {
        return Ok(Found::Nothing);
    };
    // 1 stands for the largest.
    let size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => usize::from(size),
    };
    let reserved = header[RESERVED_AT];
    page.truncate(size);
    if let Some(at) = page.get_mut(RESERVED_AT) {
        *at = CHECKSUM_BYTES as u8;
    }
    let matches = page.split_last_chunk().is_some_and(|(content, checksum)| *checksum == sum(content, 0));
    Ok(match (usize::from(reserved), matches) {
        (CHECKSUM_BYTES, _) => Found::Checksums,
        (0, false) => Found::None,
        _ => Found::Damage,
    })
}

struct Checksums {
    is_opening: bool,
}

impl Layer for Checksums {
    fn open(&self, path: &Path, kind: Kind) -> Result<Box<dyn Handle>, Failure> {
        Ok(match kind {
            Kind::Database => {
                let has_checksums = (!self.is_opening).then_some(true);
                Box::new(Database { path: path.to_owned(), has_checksums })
            }
            Kind::WriteAheadLog if self.is_opening => Box::new(Log { is_renewed: false }),
            Kind::WriteAheadLog | Kind::Other => Box::new(PassedBy),
        })
    }
}

/// The log as it was left by whoever had it before. What a failed sync has left behind is seen and still not on the disk,
/// and no later sync would write it; to commit behind such a hole is to lose what follows at a power cut.
struct Log {
    is_renewed: bool,
}

impl Log {
    /// Writes once more what is there, until that has worked.
    fn renew(&mut self, below: &mut Below<'_>) -> Result<(), Failure> {
        if self.is_renewed {
            return Ok(());
        }
        let size = below.size()?;
        let mut data = vec![0; RENEWED_BYTES];
        let mut offset = 0;
        while offset < size {
            data.truncate(usize::try_from(size - offset).unwrap_or(usize::MAX));
            below.read(&mut data, offset)?;
            below.write(&data, offset)?;
            offset += data.len() as u64;
        }
        if size > 0 {
            below.sync()?;
        }
        self.is_renewed = true;
        Ok(())
    }
}

impl Handle for Log {
    fn size(&mut self, below: &mut Below<'_>) -> Result<u64, Failure> {
        self.renew(below)?;
        below.size()
    }

    fn read(&mut self, below: &mut Below<'_>, data: &mut [u8], offset: u64) -> Result<(), Failure> {
        self.renew(below)?;
        below.read(data, offset)
    }

    fn write(&mut self, below: &mut Below<'_>, data: &[u8], offset: u64) -> Result<(), Failure> {
        self.renew(below)?;
        below.write(data, offset)
    }
}

struct PassedBy;

impl Handle for PassedBy {}

struct Database {
    path: PathBuf,
    /// `None` until the header was seen, for the first connection.
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

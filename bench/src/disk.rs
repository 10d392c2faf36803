//! What the disk itself can do.

use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use crate::{Error, figures::rate};

/// A page of the file system, and of SQLite.
const BLOCK: [u8; 4_096] = [0x5a; 4_096];

/// How often a second a block is appended to a file in `folder` and made durable by `fdatasync`, one after the other.
pub fn append_rate(folder: &Path, duration: Duration) -> Result<f64, Error> {
    let path = folder.join("append");
    let mut file = File::create(&path)?;
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < duration {
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = rate(count, start.elapsed());
    std::fs::remove_file(&path)?;
    Ok(rate)
}

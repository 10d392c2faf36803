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
    let start = Instant::now();
    let count = append_latencies(folder, duration)?.len();
    Ok(rate(count, start.elapsed()))
}

/// How long each takes, in microseconds, in ascending order.
pub fn append_latencies(folder: &Path, duration: Duration) -> Result<Vec<u32>, Error> {
    let path = folder.join("append");
    let mut file = File::create(&path)?;
    let mut latencies = Vec::new();
    let start = Instant::now();
    while start.elapsed() < duration {
        let start = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        latencies.push(start.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
    }
    std::fs::remove_file(&path)?;
    latencies.sort_unstable();
    Ok(latencies)
}

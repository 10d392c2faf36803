//! A SQLite store of many organizations: its start, and the memory of the server that serves it.

use std::{fs, path::Path, sync::Arc, time::Instant};

use storage_sqlite::SqliteArchive;

use crate::{
    Error, Extent,
    binaries::{self, Binaries},
    call::Calls,
    figures::Spread,
    filled,
    start::first_answer,
    targets::Target,
};

const VALUE_BYTES: usize = 100;

/// How many keys each organization has.
pub const KEYS: u64 = 10;

/// How many calls follow a start, each in another organization.
pub const CALLS: usize = 20_000;

/// What was seen of it.
pub struct Scale {
    pub organizations: usize,
    /// The file, in bytes.
    pub file_bytes: u64,
    /// Imported records a second.
    pub import_rate: f64,
    /// From before the process is made to the end of the answer to an authenticated Get, in milliseconds.
    pub first_answer: Spread,
    /// Memory that is resident after it, in MB of a million bytes.
    pub resident: Spread,
    /// The most memory that was resident during the calls.
    pub peak: Spread,
}

/// Fills a store, and starts servers on it.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Scale, Error> {
    let organizations = if extent.is_quick { 10_000 } else { 1_000_000 };
    let path = folder.join("scale.db");
    eprintln!("filling SQLite with {organizations} organizations");
    let start = Instant::now();
    let each = (0..organizations).map(|index| (index, KEYS));
    filled::fill(&SqliteArchive::for_writing(&path)?, each, VALUE_BYTES).await?;
    let records = organizations as f64 * (KEYS as f64 + 1.0);
    let import_rate = records / start.elapsed().as_secs_f64();
    let storage = binaries::sqlite(&path);
    let calls = Arc::new(Calls::scattered(organizations, KEYS as usize, VALUE_BYTES)?);
    let (mut first_answers, mut resident, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..extent.pairs {
        let command = binaries.metagate(folder, &storage)?;
        let (server, mut connection, took) = first_answer(command, &calls).await?;
        first_answers.push(took);
        resident.push(server.resident_bytes()? as f64 / 1e6);
        server.reset_peak()?;
        connection.run(&calls, CALLS).await?;
        peaks.push(server.peak_bytes()? as f64 / 1e6);
        server.stop()?;
    }
    Ok(Scale {
        organizations,
        file_bytes: fs::metadata(&path)?.len(),
        import_rate,
        first_answer: Spread::of(first_answers),
        resident: Spread::of(resident),
        peak: Spread::of(peaks),
    })
}

impl Scale {
    /// What is asked of the figures.
    pub fn targets(&self) -> Vec<Target> {
        vec![
            Target::at_most("a million organizations: to the first answer, ms", self.first_answer, 1_000.0),
            Target::at_most("a million organizations: most memory, MB", self.peak, 100.0),
        ]
    }
}

//! metagate with a layer below its store that counts how often SQLite makes a file durable.

use std::{
    error::Error,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::Parser;
use metagate::{config::Flags, serve};
use sqlite_vfs::{Below, Failure, Handle, Kind, Layer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// metagate, counting.
#[derive(Parser)]
struct Cli {
    /// Where the count is written, as 8 bytes with the lowest first.
    count: PathBuf,
    #[command(flatten)]
    flags: Flags,
}

fn main() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    let count = Arc::new(Count { file: File::create(cli.count)?, syncs: AtomicU64::new(0) });
    // The store puts its own layer on top of what is the default when it opens.
    sqlite_vfs::register("counted", Arc::new(Counted(count)), true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve::run(cli.flags))?;
    Ok(())
}

struct Count {
    file: File,
    syncs: AtomicU64,
}

struct Counted(Arc<Count>);

impl Layer for Counted {
    fn open(&self, _: &Path, _: Kind) -> Result<Box<dyn Handle>, Failure> {
        Ok(Box::new(CountedFile(self.0.clone())))
    }
}

struct CountedFile(Arc<Count>);

impl Handle for CountedFile {
    fn sync(&mut self, below: &mut Below<'_>) -> Result<(), Failure> {
        below.sync()?;
        let syncs = self.0.syncs.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.file.write_all_at(&syncs.to_le_bytes(), 0).map_err(|_| Failure::SYNC)
    }
}

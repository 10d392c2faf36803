//! Writers to SQLite, beside the disk and beside the memory store.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    Error, Extent,
    binaries::{self, Binaries},
    call::{Calls, Encoding, Operation},
    disk,
    figures::{Spread, rate},
    load::Connections,
    process::Server,
    side::fill,
    targets::Target,
};

/// How many write at once.
const WRITERS: [usize; 3] = [1, 16, 64];

const ENCODING: Encoding = Encoding::Grpc;

const VALUE_BYTES: usize = 100;

/// Calls of the first round of a writer: it does not count, and tells how many a longer one may have.
const WARM_UP_CALLS: usize = 20;

/// What a number of writers achieved.
pub struct Writers {
    pub count: usize,
    /// Blocks a second that are appended to a file and synced, one after the other, by one thread.
    pub raw: Spread,
    /// Acknowledged writes a second, on SQLite.
    pub sqlite: Spread,
    /// Acknowledged writes a second, on the memory store.
    pub memory: Spread,
    /// SQLite's rate to that of the disk, of measurements that followed each other.
    pub to_raw: Spread,
    /// SQLite's rate to that of the memory store, of measurements that followed each other.
    pub to_memory: Spread,
    /// SQLite's rate to what 64 writers should have, of measurements that followed each other.
    pub to_target: Spread,
    pub syncs: Syncs,
}

/// The server's sync calls, in a run of their own.
#[derive(Clone, Copy, Debug)]
pub struct Syncs {
    pub calls: u64,
    /// Acknowledged writes.
    pub writes: u64,
}

/// How many writes a second 64 writers should have acknowledged: 20 times what the disk can do, or 0.6 times what the
/// memory store can, where this is less.
fn target(raw: f64, memory: f64) -> f64 {
    (20.0 * raw).min(0.6 * memory)
}

impl Syncs {
    /// How many there are for each batch, at least: it may hold what is in flight, one write of each writer.
    fn each_batch(self, writers: usize) -> f64 {
        self.calls as f64 * writers as f64 / self.writes as f64
    }

    /// By how many writes a sync was shared.
    fn writes_each(self) -> f64 {
        self.writes as f64 / self.calls as f64
    }
}

/// What is asked of the figures.
pub fn targets(all: &[Writers]) -> Vec<Target> {
    let syncs = |Writers { count, syncs, .. }: &Writers| {
        let each = Spread::of([syncs.each_batch(*count)]);
        Target::at_least(format!("SQLite, {count} writers: syncs for each batch"), each, 1.0)
    };
    let mut targets: Vec<_> = all.iter().map(syncs).collect();
    if let Some(Writers { count, syncs, to_target, .. }) = all.last() {
        let what = format!("SQLite, {count} writers");
        let shared = Spread::of([syncs.writes_each()]);
        targets.push(Target::at_least(format!("{what}: writes for each sync"), shared, 8.0));
        let rate = "rate, to the smaller of 20 × raw and 0.6 × the memory store";
        targets.push(Target::at_least(format!("{what}: {rate}"), *to_target, 1.0));
    }
    targets
}

/// Measures all.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Vec<Writers>, Error> {
    let storage = binaries::sqlite(&folder.join("writers.db"));
    let sqlite = Server::start(binaries.metagate(folder, &storage)?)?;
    let memory = Server::start(binaries.metagate(folder, "memory:")?)?;
    for server in [&sqlite, &memory] {
        fill(server, ENCODING, VALUE_BYTES).await?;
    }
    let calls = Arc::new(Calls::new(ENCODING, Operation::Set, VALUE_BYTES)?);
    let mut all = Vec::new();
    for count in WRITERS {
        eprintln!("{count} writers");
        let mut on_sqlite = Load::open(&sqlite, &calls, count, extent.duration).await?;
        let mut on_memory = Load::open(&memory, &calls, count, extent.duration).await?;
        let mut rates = Vec::new();
        for _ in 0..extent.pairs {
            let raw = disk::append_rate(folder, extent.duration)?;
            rates.push((raw, on_sqlite.round().await?, on_memory.round().await?));
        }
        let to_raw: Vec<_> = rates.iter().map(|(raw, sqlite, _)| (*sqlite, *raw)).collect();
        let to_memory: Vec<_> = rates.iter().map(|(_, sqlite, memory)| (*sqlite, *memory)).collect();
        let to_target: Vec<_> =
            rates.iter().map(|(raw, sqlite, memory)| (*sqlite, target(*raw, *memory))).collect();
        all.push(Writers {
            count,
            raw: Spread::of(rates.iter().map(|rates| rates.0)),
            sqlite: Spread::of(rates.iter().map(|rates| rates.1)),
            memory: Spread::of(rates.iter().map(|rates| rates.2)),
            to_raw: Spread::of_ratios(&to_raw),
            to_memory: Spread::of_ratios(&to_memory),
            to_target: Spread::of_ratios(&to_target),
            syncs: syncs(binaries, folder, &calls, count, extent.duration).await?,
        });
    }
    Ok(all)
}

/// Writers to a server.
pub struct Load<'a> {
    connections: Connections,
    calls: &'a Arc<Calls>,
    /// Calls of a round.
    count: usize,
}

impl<'a> Load<'a> {
    /// Connects, and finds out how many calls a round of `duration` has.
    pub async fn open(
        server: &Server,
        calls: &'a Arc<Calls>,
        writers: usize,
        duration: Duration,
    ) -> Result<Self, Error> {
        let mut connections = Connections::open(server.address, calls.protocol, writers).await?;
        let warm_up = WARM_UP_CALLS * writers;
        let elapsed = connections.run(calls, warm_up).await?.elapsed;
        let count = warm_up.max((rate(warm_up, elapsed) * duration.as_secs_f64()) as usize);
        Ok(Self { connections, calls, count })
    }

    /// Acknowledged writes a second.
    pub async fn round(&mut self) -> Result<f64, Error> {
        let elapsed = self.connections.run(self.calls, self.count).await?.elapsed;
        Ok(rate(self.count, elapsed))
    }
}

/// Counts the sync calls of a server of its own.
async fn syncs(
    binaries: &Binaries,
    folder: &Path,
    calls: &Arc<Calls>,
    writers: usize,
    duration: Duration,
) -> Result<Syncs, Error> {
    let storage = binaries::sqlite(&folder.join("syncs.db"));
    let (server, counter) = binaries.counted(folder, &storage)?;
    let server = Server::start(server)?;
    let mut load = Load::open(&server, calls, writers, duration).await?;
    let before = counter.read()?;
    load.round().await?;
    let calls = counter.read()? - before;
    server.stop()?;
    Ok(Syncs { calls, writes: load.count as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_the_two_targets_counts() {
        assert_eq!(target(500.0, 20_000.0), 10_000.0);
        assert_eq!(target(5_000.0, 20_000.0), 12_000.0);
    }

    #[test]
    fn a_sync_for_every_batch_and_many_writes_for_every_sync() {
        for (calls, writes, writers, each_batch, writes_each) in
            [(100, 100, 1, 1.0, 1.0), (99, 99 * 64, 64, 1.0, 64.0), (800, 6_400, 64, 8.0, 8.0)]
        {
            let syncs = Syncs { calls, writes };
            assert_eq!(syncs.each_batch(writers), each_batch, "{syncs:?} {writers}");
            assert_eq!(syncs.writes_each(), writes_each, "{syncs:?}");
        }
    }
}

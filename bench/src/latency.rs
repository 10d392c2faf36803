//! How long calls take at half of what a server can do, each server at half of its own peak.

use std::{path::Path, sync::Arc};

use crate::{
    Error, Extent,
    binaries::{self, Binaries},
    call::{Calls, Encoding, Operation},
    disk,
    figures::{Spread, percentile, rate},
    load::Connections,
    process::Server,
    side::{CASES, SMALL, fill},
    targets::Target,
};

/// Connections over HTTP/1.1, and calls in flight over HTTP/2, at most. What is due beyond them waits.
pub const CONNECTIONS: usize = 64;

/// The servers, in the order of the tables; the first is what the others are held against.
const SERVERS: [&str; 3] = ["axum + tonic-web", "metagate, memory", "metagate, SQLite"];

/// All cases.
pub struct Latencies {
    pub cases: Vec<Case>,
    /// How long the disk takes to append a block and make it durable, in microseconds.
    pub disk_p50: u32,
    pub disk_p99: Spread,
}

/// One operation in one encoding.
pub struct Case {
    pub encoding: Encoding,
    pub operation: Operation,
    pub servers: Vec<AtHalf>,
    /// The p99 on memory to that of the bare mux, of rounds that followed each other.
    memory: Spread,
    /// The p99 on SQLite to 1.5 times that of the bare mux and three times that of the disk.
    sqlite: Spread,
}

/// A server at half of its peak.
pub struct AtHalf {
    pub name: &'static str,
    /// Calls a second at the peak.
    pub peak: f64,
    /// In microseconds, of all rounds.
    pub p50: u32,
    pub p99: u32,
    pub p999: u32,
    /// In microseconds, by round.
    pub p99s: Spread,
}

/// Measures all.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Latencies, Error> {
    let storage = binaries::sqlite(&folder.join("latency.db"));
    let servers = [
        Server::start(binaries.bare(&["mux"]))?,
        Server::start(binaries.metagate(folder, "memory:")?)?,
        Server::start(binaries.metagate(folder, &storage)?)?,
    ];
    for server in &servers {
        fill(server, Encoding::Grpc, SMALL).await?;
    }
    let (mut cases, mut disk_all, mut disk_p99s) = (Vec::new(), Vec::new(), Vec::new());
    for (encoding, operation) in CASES {
        eprintln!("latency: {} {operation:?}", encoding.name());
        let calls = Arc::new(Calls::new(encoding, operation, SMALL)?);
        let mut loads = Vec::new();
        for server in &servers {
            loads.push(Load::open(server, &calls, extent).await?);
        }
        let (mut memory, mut sqlite) = (Vec::new(), Vec::new());
        for round in 0..extent.pairs {
            let disk = disk::append_latencies(folder, extent.duration / 4)?;
            for index in 0..loads.len() {
                let turn = (usize::from(round) + index) % loads.len();
                loads[turn].round(&calls, extent).await?;
            }
            let [bare, on_memory, on_sqlite] =
                [0, 1, 2].map(|index: usize| loads[index].p99s.last().copied().unwrap_or(f64::NAN));
            let disk_p99 = f64::from(percentile(&disk, 99.0));
            memory.push(on_memory / bare);
            sqlite.push(on_sqlite / (1.5 * bare + 3.0 * disk_p99));
            disk_p99s.push(disk_p99);
            disk_all.extend(disk);
        }
        let servers = SERVERS.into_iter().zip(loads).map(|(name, load)| load.figures(name)).collect();
        let (memory, sqlite) = (Spread::of(memory), Spread::of(sqlite));
        cases.push(Case { encoding, operation, servers, memory, sqlite });
    }
    disk_all.sort_unstable();
    Ok(Latencies { cases, disk_p50: percentile(&disk_all, 50.0), disk_p99: Spread::of(disk_p99s) })
}

impl Latencies {
    /// What is asked of the figures.
    pub fn targets(&self) -> Vec<Target> {
        let of_case = |case: &Case| {
            let what = format!("{} {:?}, 100 B, half of the peak: p99", case.encoding.name(), case.operation);
            let on_sqlite = "on SQLite, to 1.5 × the bare mux and 3 × fdatasync";
            [
                Target::at_most(format!("{what} on memory, to the bare mux"), case.memory, 1.5),
                Target::at_most(format!("{what} {on_sqlite}"), case.sqlite, 1.0),
            ]
        };
        self.cases.iter().flat_map(of_case).collect()
    }
}

/// Calls to one server.
struct Load {
    connections: Connections,
    peak: f64,
    latencies: Vec<u32>,
    p99s: Vec<f64>,
}

impl Load {
    /// Connects, and finds out what the server can do.
    async fn open(server: &Server, calls: &Arc<Calls>, extent: &Extent) -> Result<Self, Error> {
        let mut connections = Connections::open(server.address, calls.protocol, CONNECTIONS).await?;
        let mut count = 4 * CONNECTIONS;
        let mut rates = Vec::new();
        for _ in 0..4 {
            let elapsed = connections.run(calls, count).await?.elapsed;
            let peak = rate(count, elapsed);
            rates.push(peak);
            count = (peak * extent.duration.as_secs_f64() / 2.0) as usize + CONNECTIONS;
        }
        // The first one was too short, and cold.
        let peak = Spread::of(rates.into_iter().skip(1)).median;
        Ok(Self { connections, peak, latencies: Vec::new(), p99s: Vec::new() })
    }

    async fn round(&mut self, calls: &Arc<Calls>, extent: &Extent) -> Result<(), Error> {
        let half = self.peak / 2.0;
        let count = (half * extent.duration.as_secs_f64()) as usize;
        let mut latencies = self.connections.at_rate(calls, half, count).await?;
        latencies.sort_unstable();
        self.p99s.push(percentile(&latencies, 99.0).into());
        self.latencies.extend(latencies);
        Ok(())
    }

    fn figures(mut self, name: &'static str) -> AtHalf {
        self.latencies.sort_unstable();
        let [p50, p99, p999] = [50.0, 99.0, 99.9].map(|percent| percentile(&self.latencies, percent));
        AtHalf { name, peak: self.peak, p50, p99, p999, p99s: Spread::of(self.p99s) }
    }
}

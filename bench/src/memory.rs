//! The memory of a server with large values in flight, and with many connections that have nothing to say.

use std::{path::Path, sync::Arc, time::Duration};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{
    Error, Extent,
    binaries::{self, Binaries},
    call::{Calls, Encoding, Operation},
    figures::Spread,
    load::Connections,
    process::Server,
    side::SMALL,
    targets::Target,
};

/// How many send and receive large values at once, each over a connection of its own.
pub const CLIENTS: usize = 64;
const LARGE: usize = 500_000;

const ENCODINGS: [Encoding; 3] = [Encoding::Rest, Encoding::Grpc, Encoding::GrpcWebText];

/// What was resident.
pub struct Memory {
    /// By store and encoding: the most in MB, while each client sets and gets a value again and again.
    pub large: Vec<(&'static str, Encoding, f64)>,
    pub idle: Idle,
}

/// Connections without a call, in MB.
pub struct Idle {
    pub connections: usize,
    /// Without any.
    pub before: f64,
    /// With all of them, over HTTP/1.1.
    pub http1: f64,
    /// The same over HTTP/2.
    pub http2: f64,
}

/// Measures all.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Memory, Error> {
    let mut large = Vec::new();
    for (store, file) in [("memory", None), ("SQLite", Some("memory.db"))] {
        let storage = file.map_or("memory:".to_owned(), |file| binaries::sqlite(&folder.join(file)));
        for encoding in ENCODINGS {
            eprintln!("memory: {CLIENTS} clients, {store}, {}", encoding.name());
            let server = Server::start(binaries.metagate(folder, &storage)?)?;
            let mut clients = Connections::open_apart(server.address, encoding.protocol(), CLIENTS).await?;
            server.reset_peak()?;
            let rounds = if extent.is_quick { 2 } else { 20 };
            // The requests of a Set are fewer than the keys; Gets must not ask for others.
            let sets = Arc::new(Calls::new(encoding, Operation::Set, LARGE)?);
            let mut gets = Calls::new(encoding, Operation::Get, LARGE)?;
            gets.requests.truncate(sets.requests.len());
            let gets = Arc::new(gets);
            for _ in 0..rounds {
                clients.run(&sets, 2 * CLIENTS).await?;
                clients.run(&gets, 2 * CLIENTS).await?;
            }
            large.push((store, encoding, megabytes(server.peak_bytes()?)));
        }
    }
    Ok(Memory { large, idle: idle(binaries, folder, extent).await? })
}

/// How many connections are opened at once, and how long it takes until they rest.
const WAVE: usize = 500;
const REST: Duration = Duration::from_millis(2_500);

/// Connections that have made a call each, and then say nothing.
async fn idle(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Idle, Error> {
    let connections = if extent.is_quick { 1_000 } else { 10_000 };
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // The server inherits it.
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    if most < connections as u64 + 100 {
        return Err(format!("this process may have {most} files open, too few for the connections").into());
    }
    let mut idle = Idle { connections, before: 0.0, http1: 0.0, http2: 0.0 };
    for (encoding, resident) in [(Encoding::Rest, &mut idle.http1), (Encoding::Grpc, &mut idle.http2)] {
        eprintln!("memory: {connections} idle connections, {}", encoding.name());
        let server = Server::start(binaries.metagate(folder, "memory:")?)?;
        idle.before = megabytes(server.resident_bytes()?);
        let sets = Arc::new(Calls::fill(Encoding::Grpc, SMALL)?);
        Connections::open(server.address, sets.protocol, 1).await?.run(&sets, sets.requests.len()).await?;
        let gets = Calls::new(encoding, Operation::Get, SMALL)?;
        let mut waves = Vec::new();
        for _ in 0..connections / WAVE {
            let mut wave = Connections::open_apart(server.address, encoding.protocol(), WAVE).await?;
            wave.each_once(&gets).await?;
            waves.push(wave);
            tokio::time::sleep(REST).await;
        }
        *resident = megabytes(server.resident_bytes()?);
        // They were all open, and still are.
        for wave in &mut waves {
            wave.each_once(&gets).await?;
        }
    }
    Ok(idle)
}

impl Memory {
    /// What is asked of the figures.
    pub fn targets(&self) -> Vec<Target> {
        let large = |(store, encoding, peak): &(&str, Encoding, f64)| {
            let what = format!("{CLIENTS} clients, 500 KB, {}, {store}: most memory, MB", encoding.name());
            Target::at_most(what, Spread::of([*peak]), 150.0)
        };
        let mut targets: Vec<_> = self.large.iter().map(large).collect();
        for (protocol, resident) in [("HTTP/1.1", self.idle.http1), ("HTTP/2", self.idle.http2)] {
            let what = format!("{} idle connections, {protocol}: memory, MB", self.idle.connections);
            targets.push(Target::at_most(what, Spread::of([resident]), 100.0));
        }
        targets
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

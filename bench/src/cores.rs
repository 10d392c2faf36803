//! A server that may use one core, beside one that may use them all.

use std::{path::Path, process::Command, sync::Arc, thread};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::{
    Error, Extent,
    binaries::Binaries,
    call::{Calls, Encoding, Operation},
    figures::Spread,
    process::Server,
    side::{CASES, SMALL, Side, fill, rounds},
};

/// All cases.
pub struct Cores {
    /// How many there are, for the second server.
    pub count: usize,
    pub cases: Vec<Case>,
}

/// One operation in one encoding.
pub struct Case {
    pub encoding: Encoding,
    pub operation: Operation,
    /// Microseconds of CPU a call, with one core.
    pub one: Spread,
    /// With all.
    pub all: Spread,
    /// The latter to the former, of rounds that followed each other.
    pub ratio: Spread,
    /// Calls a second, with one and with all.
    pub rates: [f64; 2],
}

/// Measures all.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Cores, Error> {
    let count = thread::available_parallelism()?.get();
    let servers = [
        Server::start(binaries.metagate(folder, "memory:")?)?,
        pinned(binaries.metagate(folder, "memory:")?)?,
    ];
    for server in &servers {
        fill(server, Encoding::Grpc, SMALL).await?;
    }
    let mut cases = Vec::new();
    for (encoding, operation) in CASES {
        eprintln!("cores: {} {operation:?}", encoding.name());
        let calls = Arc::new(Calls::new(encoding, operation, SMALL)?);
        let [all, one] = &servers;
        let mut sides =
            [Side::open(all, calls.clone(), extent).await?, Side::open(one, calls, extent).await?];
        rounds(&mut sides, extent).await?;
        let [all, one] = sides;
        let ratio = all.to(&one);
        let (all, one) = (all.figures()?, one.figures()?);
        let rates = [one.rate, all.rate];
        cases.push(Case { encoding, operation, one: one.cpu, all: all.cpu, ratio, rates });
    }
    Ok(Cores { count, cases })
}

/// Starts a server that sees one core, the first that this program may use, and so has one worker.
fn pinned(command: Command) -> Result<Server, Error> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let first = (0..CpuSet::count()).find(|&core| allowed.is_set(core).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(first.ok_or("there is no core")?)?;
    // What a thread starts inherits its cores. So this one is not the runtime's, and ends.
    let started = thread::spawn(move || {
        sched_setaffinity(this, &one)?;
        Server::start(command)
    });
    started.join().map_err(|_| "the thread that starts a server panicked")?
}

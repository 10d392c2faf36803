//! A Get on SQLite, beside the memory store behind the same server.

use std::{path::Path, sync::Arc};

use crate::{
    Error, Extent,
    binaries::Binaries,
    call::{Calls, Encoding, Operation},
    figures::Spread,
    process::Server,
    side::{Side, fill, in_turn},
    targets::Target,
};

const VALUE_BYTES: usize = 100;

/// Gets in one encoding.
pub struct Reads {
    pub encoding: Encoding,
    /// Microseconds of the server's CPU a call.
    pub sqlite: Spread,
    pub memory: Spread,
    /// Of rounds that followed each other.
    pub to_memory: Spread,
}

/// Measures all.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Vec<Reads>, Error> {
    let storage = format!("sqlite:{}", folder.join("reads.db").display());
    let sqlite = Server::start(binaries.metagate(folder, &storage)?)?;
    let memory = Server::start(binaries.metagate(folder, "memory:")?)?;
    for server in [&sqlite, &memory] {
        fill(server, Encoding::Grpc, VALUE_BYTES).await?;
    }
    let mut all = Vec::new();
    for encoding in [Encoding::Rest, Encoding::Grpc] {
        eprintln!("Get on SQLite: {}", encoding.name());
        let calls = Arc::new(Calls::new(encoding, Operation::Get, VALUE_BYTES)?);
        let mut sides =
            [Side::open(&sqlite, calls.clone(), extent).await?, Side::open(&memory, calls, extent).await?];
        for round in 0..extent.pairs {
            in_turn(&mut sides, round).await?;
        }
        let [ours, theirs] = sides;
        let pairs: Vec<_> = ours.cpu().iter().copied().zip(theirs.cpu().iter().copied()).collect();
        all.push(Reads {
            encoding,
            sqlite: Spread::of(ours.cpu().iter().copied()),
            memory: Spread::of(theirs.cpu().iter().copied()),
            to_memory: Spread::of_ratios(&pairs),
        });
    }
    Ok(all)
}

/// What is asked of the figures.
pub fn targets(all: &[Reads]) -> Vec<Target> {
    let target = |reads: &Reads| {
        let what = format!("{} Get, 100 B, SQLite: CPU, to the memory store", reads.encoding.name());
        Target::at_most(what, reads.to_memory, 1.5)
    };
    all.iter().map(target).collect()
}

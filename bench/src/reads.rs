//! A Get on SQLite, beside the memory store behind the same server.

use std::{path::Path, sync::Arc};

use crate::{
    Error, Extent,
    binaries::Binaries,
    call::{Calls, Encoding, Operation},
    comparison::{Side, fill},
    figures::Spread,
    process::Server,
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
        let mut ours = Side::open(&sqlite, calls.clone(), extent.requests).await?;
        let mut theirs = Side::open(&memory, calls, extent.requests).await?;
        for pair in 0..extent.pairs {
            let [first, second] =
                if pair % 2 == 0 { [&mut ours, &mut theirs] } else { [&mut theirs, &mut ours] };
            first.round().await?;
            second.round().await?;
        }
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

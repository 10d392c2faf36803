//! From the start of a server to its first answer, and what it needs when it has nothing to do.

use std::{path::Path, process::Command, sync::Arc, time::Instant};

use crate::{
    Error, Extent,
    binaries::{self, Binaries},
    call::{Calls, Encoding, Operation},
    figures::Spread,
    load::Connections,
    process::Server,
    side::fill,
    targets::Target,
};

const VALUE_BYTES: usize = 100;

/// What the starts took.
pub struct Starts {
    pub count: u16,
    /// From before the process is made to the end of the answer to an authenticated Get, in milliseconds.
    pub first_answer: Spread,
    /// Memory that is resident after it, in MB of a million bytes.
    pub resident: Spread,
}

/// Starts a server again and again, on a store that an earlier one has filled.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Starts, Error> {
    let storage = binaries::sqlite(&folder.join("start.db"));
    let first = Server::start(binaries.metagate(folder, &storage)?)?;
    fill(&first, Encoding::Grpc, VALUE_BYTES).await?;
    first.stop()?;
    let calls = Arc::new(Calls::new(Encoding::Rest, Operation::Get, VALUE_BYTES)?);
    eprintln!("{} starts", extent.starts);
    let (mut first_answers, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..extent.starts {
        let (server, _, took) = first_answer(binaries.metagate(folder, &storage)?, &calls).await?;
        first_answers.push(took);
        resident.push(server.resident_bytes()? as f64 / 1e6);
        server.stop()?;
    }
    Ok(Starts {
        count: extent.starts,
        first_answer: Spread::of(first_answers),
        resident: Spread::of(resident),
    })
}

/// Starts a server and has it answer the first of `calls`. Returns the server, the connection, and how long that took from
/// before the process was made, in milliseconds.
pub async fn first_answer(command: Command, calls: &Arc<Calls>) -> Result<(Server, Connections, f64), Error> {
    let start = Instant::now();
    let server = Server::start(command)?;
    let mut connection = Connections::open(server.address, calls.protocol, 1).await?;
    connection.run(calls, 1).await?;
    Ok((server, connection, start.elapsed().as_secs_f64() * 1e3))
}

impl Starts {
    /// What is asked of the figures.
    pub fn targets(&self) -> Vec<Target> {
        vec![
            Target::at_most("start, SQLite: to the first answer, ms", self.first_answer, 50.0),
            Target::at_most("start, SQLite: resident memory, MB", self.resident, 20.0),
        ]
    }
}

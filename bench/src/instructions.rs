//! How many instructions a call takes, counted by valgrind: the same however busy the machine is.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use crate::{
    Error, Extent,
    binaries::Binaries,
    call::{Calls, Encoding, Operation, PAGE},
    load::Connections,
    process::Server,
};

/// The encodings, operations and sizes.
const CASES: [(Encoding, Operation, usize); 10] = [
    (Encoding::Rest, Operation::Set, 100),
    (Encoding::Rest, Operation::Get, 100),
    (Encoding::Rest, Operation::List, 100),
    (Encoding::Grpc, Operation::Set, 100),
    (Encoding::Grpc, Operation::Get, 100),
    (Encoding::Grpc, Operation::List, 100),
    (Encoding::GrpcWeb, Operation::Set, 100),
    (Encoding::GrpcWeb, Operation::Get, 100),
    (Encoding::Rest, Operation::Set, 100_000),
    (Encoding::Grpc, Operation::Get, 100_000),
];

/// Instructions of the whole server, a call.
pub struct Instructions {
    pub encoding: Encoding,
    pub operation: Operation,
    pub value_bytes: usize,
    pub metagate: f64,
    /// Of axum and tonic-web on one port.
    pub mux: f64,
}

/// Counts them; or says why it cannot.
pub async fn run(
    binaries: &Binaries,
    folder: &Path,
    extent: &Extent,
) -> Result<Result<Vec<Instructions>, String>, Error> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Ok(Err("there is no valgrind".to_owned()));
    }
    let calls = if extent.is_quick { 20 } else { 200 };
    let mut all = Vec::new();
    for (encoding, operation, value_bytes) in CASES {
        eprintln!("instructions: {} {operation:?}, {value_bytes} B", encoding.name());
        let case = (encoding, operation, value_bytes);
        let metagate = of_server(|| binaries.metagate(folder, "memory:"), folder, case, calls).await?;
        let mux = of_server(|| Ok(binaries.bare(&["mux"])), folder, case, calls).await?;
        all.push(Instructions { encoding, operation, value_bytes, metagate, mux });
    }
    Ok(Ok(all))
}

/// The difference of two runs, one with twice as many calls, so that start, filling and end fall out.
async fn of_server(
    command: impl Fn() -> Result<Command, Error>,
    folder: &Path,
    case: (Encoding, Operation, usize),
    calls: usize,
) -> Result<f64, Error> {
    let once = of_run(&command()?, folder, case, calls).await?;
    let twice = of_run(&command()?, folder, case, 2 * calls).await?;
    Ok((twice as f64 - once as f64) / calls as f64)
}

/// All instructions of a server, from its start to its end.
async fn of_run(
    command: &Command,
    folder: &Path,
    (encoding, operation, value_bytes): (Encoding, Operation, usize),
    calls: usize,
) -> Result<u64, Error> {
    let counted = folder.join("callgrind");
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--quiet").arg("--tool=callgrind");
    valgrind.arg(format!("--callgrind-out-file={}", counted.display()));
    valgrind.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => valgrind.env(name, value),
            None => valgrind.env_remove(name),
        };
    }
    let server = Server::start(valgrind)?;
    let mut sets = Calls::fill(Encoding::Grpc, value_bytes)?;
    // As many as a page has: the more there are, the longer this takes.
    sets.requests.truncate(PAGE as usize);
    let keys = sets.requests.len();
    Connections::open(server.address, sets.protocol, 1).await?.run(&Arc::new(sets), keys).await?;
    let mut requests = Calls::new(encoding, operation, value_bytes)?;
    requests.requests.truncate(keys);
    let mut connection = Connections::open(server.address, requests.protocol, 1).await?;
    connection.run(&Arc::new(requests), calls).await?;
    drop(connection);
    // It writes what it has counted when it ends, however that is.
    server.end()?;
    total(&fs::read_to_string(&counted)?)
}

/// The count at the end of callgrind's file.
fn total(text: &str) -> Result<u64, Error> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    Ok(line.ok_or("callgrind counted nothing")?.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_total_counts() {
        assert_eq!(total("events: Ir\nfn=(1) main\n3 7\ntotals: 1234\n").unwrap(), 1234);
        assert!(total("events: Ir\n").is_err());
    }
}

//! How many instructions a call takes, counted by valgrind: the same however busy the machine is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use crate::{
    Error, Extent,
    binaries::Binaries,
    call::{Calls, Encoding, Operation, PAGE},
    load::Connections,
    process::Server,
    side::SMALL,
};

/// In bytes.
const SIZES: [usize; 2] = [SMALL, 100_000];
const ENCODINGS: [Encoding; 3] = [Encoding::Rest, Encoding::Grpc, Encoding::GrpcWeb];

/// Calls that come before those that are counted.
const WARM_UP_CALLS: usize = 10;

/// Instructions of the whole server, a call.
pub struct Instructions {
    pub encoding: Encoding,
    pub operation: Operation,
    pub value_bytes: usize,
    pub metagate: f64,
    /// Of axum and tonic-web on one port.
    pub mux: f64,
}

/// Counts them.
///
/// # Errors
/// If there is no valgrind, or it may not do here what it needs to.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Vec<Instructions>, Error> {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    version.map_err(|error| format!("there is no valgrind: {error}"))?;
    let calls = if extent.is_quick { 20 } else { 200 };
    let mut all = Vec::new();
    for value_bytes in SIZES {
        let command = binaries.metagate(folder, "memory:")?;
        let mut metagate = Counted::start(&command, folder, "metagate", value_bytes).await?;
        let mut mux = Counted::start(&binaries.bare(&["mux"]), folder, "mux", value_bytes).await?;
        for encoding in ENCODINGS {
            // A large page would take valgrind minutes.
            let operations = Operation::ALL.into_iter().filter(|operation| {
                value_bytes == SMALL || matches!(operation, Operation::Set | Operation::Get)
            });
            for operation in operations {
                eprintln!("instructions: {} {operation:?}, {value_bytes} B", encoding.name());
                let metagate = metagate.each(encoding, operation, calls).await?;
                let mux = mux.each(encoding, operation, calls).await?;
                all.push(Instructions { encoding, operation, value_bytes, metagate, mux });
            }
        }
    }
    Ok(all)
}

/// A server under valgrind.
struct Counted {
    server: Server,
    value_bytes: usize,
    /// What it has counted is written here, with a number behind the name.
    file: PathBuf,
    written: usize,
}

impl Counted {
    /// Starts it, and fills a page. More keys would take longer, and cost each call the same.
    async fn start(command: &Command, folder: &Path, name: &str, value_bytes: usize) -> Result<Self, Error> {
        let file = folder.join(format!("instructions-{name}-{value_bytes}"));
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--tool=callgrind"]);
        valgrind.arg(format!("--callgrind-out-file={}", file.display()));
        valgrind.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => valgrind.env(name, value),
                None => valgrind.env_remove(name),
            };
        }
        let server = Server::start(valgrind)?;
        let mut sets = Calls::fill(Encoding::Grpc, value_bytes)?;
        sets.requests.truncate(PAGE as usize);
        let count = sets.requests.len();
        Connections::open(server.address, sets.protocol, 1).await?.run(&Arc::new(sets), count).await?;
        server.settle().await?;
        Ok(Self { server, value_bytes, file, written: 0 })
    }

    /// Instructions a call, of calls one after the other, behind some that are not counted.
    async fn each(&mut self, encoding: Encoding, operation: Operation, calls: usize) -> Result<f64, Error> {
        let mut requests = Calls::new(encoding, operation, self.value_bytes)?;
        requests.requests.truncate(PAGE as usize);
        let requests = Arc::new(requests);
        let mut connection = Connections::open(self.server.address, requests.protocol, 1).await?;
        connection.run(&requests, WARM_UP_CALLS).await?;
        self.tell("zero")?;
        connection.run(&requests, calls).await?;
        self.tell("dump")?;
        self.written += 1;
        let text = fs::read_to_string(format!("{}.{}", self.file.display(), self.written))?;
        Ok(total(&text)? as f64 / calls as f64)
    }

    /// Gives valgrind a command, and waits until it has done it.
    fn tell(&self, command: &str) -> Result<(), Error> {
        let pid = format!("--pid={}", self.server.pid());
        let output = Command::new("vgdb").args([&pid, command]).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("vgdb: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }
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

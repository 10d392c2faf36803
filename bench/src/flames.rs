//! Where the time of some calls goes: stacks that perf has sampled, as pictures.

mod picture;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use crate::{
    Error, Extent,
    binaries::Binaries,
    call::{Calls, Encoding, Operation},
    load::Connections,
    machine,
    process::Server,
    side::{IN_FLIGHT, fill},
};

/// The encodings, operations and sizes, and what the files are called after.
const CASES: [(Encoding, Operation, usize, &str); 6] = [
    (Encoding::Rest, Operation::Set, 100, "rest-set-100-b"),
    (Encoding::Rest, Operation::Get, 100, "rest-get-100-b"),
    (Encoding::Grpc, Operation::Set, 100, "grpc-set-100-b"),
    (Encoding::Grpc, Operation::Get, 100, "grpc-get-100-b"),
    (Encoding::Rest, Operation::Set, 100_000, "rest-set-100-kb"),
    (Encoding::Grpc, Operation::Set, 100_000, "grpc-set-100-kb"),
];

/// How often a second a stack is taken: a prime, so as not to go with anything that happens regularly.
const SAMPLES_A_SECOND: &str = "997";

/// How often each stack was seen: frames from the outermost to the innermost.
pub type Stacks = BTreeMap<Vec<String>, u64>;

/// Draws all into `results`, and returns the files; or says why it cannot.
pub async fn run(
    binaries: &Binaries,
    folder: &Path,
    results: &Path,
    extent: &Extent,
) -> Result<Result<Vec<PathBuf>, String>, Error> {
    if Command::new("perf").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Ok(Err("there is no perf".to_owned()));
    }
    let metagate = binaries.with_stacks()?;
    let mut files = Vec::new();
    for (encoding, operation, value_bytes, name) in CASES {
        eprintln!("flames: {name}");
        let server = Server::start(Binaries::other_build(&metagate, folder)?)?;
        fill(&server, Encoding::Grpc, value_bytes).await?;
        let calls = Arc::new(Calls::new(encoding, operation, value_bytes)?);
        let mut connections = Connections::open(server.address, calls.protocol, IN_FLIGHT).await?;
        let samples = folder.join("perf.data");
        let seconds = if extent.is_quick { "1" } else { "5" };
        let mut perf = Command::new("perf")
            .args(["record", "--quiet", "--freq", SAMPLES_A_SECOND, "--call-graph", "fp", "--pid"])
            .arg(server.pid().to_string())
            .arg("--output")
            .arg(&samples)
            .args(["--", "sleep", seconds])
            .stderr(Stdio::null())
            .spawn()?;
        while perf.try_wait()?.is_none() {
            connections.run(&calls, 10 * IN_FLIGHT).await?;
        }
        let script = Command::new("perf")
            .args(["script", "--no-inline", "--fields", "ip,sym", "--input"])
            .arg(&samples)
            .stderr(Stdio::null())
            .output()?;
        let stacks = fold(&String::from_utf8_lossy(&script.stdout));
        if stacks.is_empty() {
            return Ok(Err("perf sees no stacks here".to_owned()));
        }
        fs::create_dir_all(results)?;
        let file = results.join(format!("{}-flame-{name}.svg", machine::date()));
        let title = format!("{} {operation:?}, values of {value_bytes} B", encoding.name());
        fs::write(&file, picture::draw(&title, &stacks))?;
        files.push(file);
    }
    Ok(Ok(files))
}

/// Reads what `perf script` prints: a line for each frame, the innermost first, and an empty line behind each stack.
fn fold(script: &str) -> Stacks {
    let mut stacks = Stacks::new();
    for stack in script.split("\n\n") {
        let frames = stack.lines().filter_map(|line| line.trim_start().split_once(' '));
        let mut frames: Vec<_> = frames.map(|(_, symbol)| short(symbol.trim())).collect();
        frames.reverse();
        if !frames.is_empty() {
            *stacks.entry(frames).or_default() += 1;
        }
    }
    stacks
}

/// A symbol without the hash at its end.
fn short(symbol: &str) -> String {
    match symbol.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 => name.to_owned(),
        _ => symbol.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_counted_from_the_outermost_frame() {
        let script = "\n\t  55d0 leaf::h0123456789abcdef\n\t  55d1 main\n\n\t  55d0 leaf::h0123456789abcdef\n\t  55d1 main\n\n\t  55d1 main\n\n";
        let stack = |frames: &[&str]| frames.iter().map(|&frame| frame.to_owned()).collect::<Vec<_>>();
        let want = Stacks::from([(stack(&["main", "leaf"]), 2), (stack(&["main"]), 1)]);
        assert_eq!(fold(script), want);
    }
}

//! Peers that misbehave, and a well-behaved one beside them that must not notice.
//!
//! A suite of its own, `cargo test --workspace --test peers`: for each peer it prints what it cost the server and the
//! others, and fails if a limit does not strike, if a call beside it fails, or if calls become slow. With names as
//! arguments, only those peers come. A peer is a process of its own, with the lowest priority: the machine's time is not
//! what it is to take.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

#[path = "../outside/client.rs"]
mod client;
mod frames;
mod peer;
mod probe;
#[path = "../outside/server.rs"]
mod server;

use std::{
    fs,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use peer::Peer;
use probe::Probe;
use server::Server;

/// How long the probe runs alone before each peer comes.
const CALM: Duration = Duration::from_secs(2);

/// How long a peer stays at least; it comes again until then.
const STAY: Duration = Duration::from_secs(3);

/// Where calls are slow beside a peer, it comes again, so often in all: others use the machine too.
const VISITS_MAX: usize = 8;

/// How much slower the slowest of a hundred calls may be beside a peer.
const SLOWER_MAX: u32 = 5;

/// Faster than this a call is fast, whatever it was before: where server, peer and client share few processors, some
/// slices of the scheduler pass until it is somebody's turn.
const FAST: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let [first, name, address] = &arguments[..]
        && first == "as-peer"
    {
        let start = Instant::now();
        while start.elapsed() < STAY {
            peer::find(name).unwrap().come(address.parse().unwrap()).await;
        }
        return ExitCode::SUCCESS;
    }
    println!("| peer | limit | struck | peak memory, MB (before) | calls beside it | p99, ms (before) |");
    println!("|---|---|---|---|---|---|");
    let mut complaints = Vec::new();
    for peer in peer::ALL {
        if arguments.is_empty() || arguments.iter().any(|name| name == peer.name) {
            let mut visit = receive(peer).await;
            for _ in 1..VISITS_MAX {
                if !(visit.complaints.is_empty() && visit.is_slow) {
                    break;
                }
                visit = receive(peer).await;
            }
            if visit.is_slow {
                visit.complaints.push("calls beside it became slow".to_owned());
            }
            complaints.extend(visit.complaints.iter().map(|complaint| format!("{}: {complaint}", peer.name)));
        }
    }
    for complaint in &complaints {
        println!("FAILED: {complaint}");
    }
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How a peer's visit went.
struct Visit {
    complaints: Vec<String>,
    /// Whether calls beside it were slow. That may also be somebody else's doing.
    is_slow: bool,
}

/// Has a peer come to a server of its own, and prints its row.
async fn receive(peer: &Peer) -> Visit {
    let server = Server::start_with(&[&["--storage", "memory:"], peer.settings].concat());
    let mut probe = Probe::start(server.address).await;
    tokio::time::sleep(CALM).await;
    let before = probe.take();
    let memory_before = memory(&server, "VmRSS:");
    fs::write(format!("/proc/{}/clear_refs", server.id()), "5").unwrap();

    let mut process = Command::new("nice");
    process.args(["-n", "19"]).arg(std::env::current_exe().unwrap());
    process.args(["as-peer", peer.name, &server.address.to_string()]);
    let status = tokio::task::spawn_blocking(move || process.status().unwrap()).await.unwrap();

    let during = probe.take();
    let memory_peak = memory(&server, "VmHWM:");
    let struck = match peer.limit {
        "" => 0.0,
        limit => probe.metric(&format!("metagate_limits_struck_total{{limit=\"{limit}\"}}")).await,
    };
    println!(
        "| {} | {} | {struck} | {:.0} ({:.0}) | {} | {:.1} ({:.1}) |",
        peer.name,
        if peer.limit.is_empty() { "–" } else { peer.limit },
        memory_peak,
        memory_before,
        during.calls,
        during.p99.as_secs_f64() * 1e3,
        before.p99.as_secs_f64() * 1e3,
    );
    let mut complaints = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            complaints.push(what);
        }
    };
    check(status.success(), format!("the peer was not answered as it should be: {status}"));
    check(peer.limit.is_empty() || struck > 0.0, format!("{} did not strike", peer.limit));
    check(during.failures.is_empty(), format!("calls beside it failed: {:?}", during.failures));
    check(during.calls > 0, "no call was made beside it".to_owned());
    let cost = memory_peak - memory_before;
    check(cost <= peer.memory_max, format!("it cost {cost:.0} MB"));
    Visit { complaints, is_slow: during.p99 > FAST.max(before.p99 * SLOWER_MAX) }
}

/// A figure of the server's process, in MB.
fn memory(server: &Server, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

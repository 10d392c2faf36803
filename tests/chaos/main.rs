//! metagate and its database while both are killed, cut apart and replaced, under load: what was acknowledged is there.
//!
//! A suite of its own, `cargo test --release --workspace --test chaos`: each part prints one line of what was done and
//! counted. With names as arguments, only those parts run. Parts that need PostgreSQL are skipped where it is not
//! installed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

mod caller;
#[path = "../outside/client.rs"]
mod client;
mod crashes;
mod cuts;
#[path = "../outside/dialect.rs"]
mod dialect;
mod failover;
mod gateway;
mod hand_made;
mod history;
mod load;
mod part;
mod proxy;
mod registers;
#[path = "../outside/server.rs"]
mod server;

use std::{panic::AssertUnwindSafe, pin::Pin, process::ExitCode, time::Instant};

use futures_util::FutureExt;
use part::Outcome;

type Part = (&'static str, fn() -> Pin<Box<dyn Future<Output = Outcome>>>);

/// In the order in which they run.
const PARTS: &[Part] = &[
    ("hand-made", || Box::pin(hand_made::judge())),
    ("stale", || Box::pin(registers::stale())),
    ("registers-memory", || Box::pin(registers::memory())),
    ("registers-sqlite", || Box::pin(registers::sqlite())),
    ("registers-postgres", || Box::pin(registers::postgres())),
    ("gateway-killed", || Box::pin(crashes::gateway(1))),
    ("gateway-of-two-killed", || Box::pin(crashes::gateway(2))),
    ("database-killed", || Box::pin(crashes::database(1))),
    ("database-of-two-killed", || Box::pin(crashes::database(2))),
    ("cut", || Box::pin(cuts::cut())),
    ("registers-cut", || Box::pin(cuts::registers())),
    ("refused", || Box::pin(cuts::refused())),
    ("unreachable", || Box::pin(cuts::unreachable())),
    ("failover", || Box::pin(failover::follow())),
];

#[tokio::main]
async fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let mut is_well = true;
    for (name, part) in PARTS {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let start = Instant::now();
        // What a part found is in its panic, which was printed.
        match AssertUnwindSafe(part()).catch_unwind().await {
            Ok(Outcome::Done(what)) => println!("{name}: {what} ({:.0} s)", start.elapsed().as_secs_f64()),
            Ok(Outcome::Skipped(reason)) => println!("skipped: {name}: {reason}"),
            Err(_) => {
                println!("FAILED: {name}; again: cargo test --release --workspace --test chaos {name}");
                is_well = false;
            }
        }
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

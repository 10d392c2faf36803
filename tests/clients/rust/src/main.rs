//! Plays the scenarios by ZITADEL's SDK for Rust, the crate `zitadel`: gRPC, in cleartext.
//!
//! Arguments: the address of a server, and the file of a descriptor set. The environment: LOGIN, KEYS and ROWS.

mod caller;
mod scenarios;

use std::{
    collections::HashMap, env, error::Error, fs::OpenOptions, io::Write, process::ExitCode, time::Instant,
};

use prost_reflect::DescriptorPool;

use crate::{
    caller::{Caller, Management, send},
    scenarios::{Step, outcome_of},
};

const ORGANIZATION: &str = "org-0";
const SERVICE: &str = "zitadel.management.v1.ManagementService";

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let [_, address, descriptors] = &env::args().collect::<Vec<_>>()[..] else {
        return Err("usage: metagate-clients ADDRESS DESCRIPTOR-SET".into());
    };
    let pool = DescriptorPool::decode(std::fs::read(descriptors)?.as_slice())?;
    let login = env::var("LOGIN")?;
    let started = Instant::now();
    let mut clients: HashMap<Option<String>, Management> = HashMap::new();
    let (mut passed, mut failed, mut not_sent) = (0, 0, 0);
    for step in Step::all(ORGANIZATION)? {
        let Some(method) = step.method_of(SERVICE) else {
            not_sent += 1;
            continue;
        };
        if !clients.contains_key(&step.token) {
            let caller = Caller::login(&login, &format!("http://{address}"), step.token.as_deref())?;
            clients.insert(step.token.clone(), caller.connect(&format!("http://{address}")).await?);
        }
        let client = clients.get_mut(&step.token).ok_or("a client that is there")?;
        let answer = send(client, method, &step.request(&pool)?, step.headers()?).await?;
        let got = outcome_of(&pool, &step.rpc, answer)?;
        if got == step.want {
            passed += 1;
        } else {
            failed += 1;
            println!("zitadel (Rust): {}: got {got:.1000}, want {:.1000}", step.name, step.want);
        }
    }
    let seconds = started.elapsed().as_secs_f32();
    let note = format!("{not_sent} not sent: it has metadata in {SERVICE} only");
    let played = passed + failed;
    let mut rows = OpenOptions::new().append(true).open(env::var("ROWS")?)?;
    writeln!(rows, "zitadel (Rust)\t{}\tgRPC\t{login}\t{passed}/{played}\t{seconds:.1}\t{note}", version())?;
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The version of the SDK that is locked.
fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    lock.split("[[package]]")
        .find(|package| package.contains("name = \"zitadel\"\n"))
        .and_then(|package| package.split("version = \"").nth(1)?.split('"').next())
        .unwrap_or("?")
}

//! Calls on SQLite and PostgreSQL, beside the memory store behind the same server.

use std::{path::Path, sync::Arc};

use private_postgres::PrivatePostgres;

use crate::{
    Error, Extent,
    binaries::{self, Binaries},
    call::{Calls, Encoding, Operation},
    figures::Spread,
    process::Server,
    side::{Side, fill, rounds},
    targets::Target,
};

/// In bytes. What a store does has nothing to do with the encoding, so two of those are enough.
const SIZES: [usize; 3] = [100, 10_000, 100_000];
const ENCODINGS: [Encoding; 2] = [Encoding::Rest, Encoding::Grpc];

/// All cases.
pub struct Stores {
    pub cases: Vec<Case>,
    /// Why PostgreSQL is missing, if it is.
    pub without_postgres: Option<String>,
}

/// One operation in one encoding, on values of one size. CPU is the server's, in microseconds a call: PostgreSQL's is not in it.
pub struct Case {
    pub value_bytes: usize,
    pub encoding: Encoding,
    pub operation: Operation,
    pub memory: Spread,
    /// By store: its name, CPU, and CPU to that of the memory store, of rounds that followed each other.
    pub stores: Vec<(&'static str, Spread, Spread)>,
}

/// Measures all.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Stores, Error> {
    let (postgres, without_postgres) = match PrivatePostgres::start(&[]) {
        Ok(postgres) => (Some(postgres), None),
        Err(reason) => (None, Some(reason)),
    };
    let mut cases = Vec::new();
    for value_bytes in SIZES {
        let storage = binaries::sqlite(&folder.join(format!("stores-{value_bytes}.db")));
        let mut servers = vec![
            ("memory", Server::start(binaries.metagate(folder, "memory:")?)?),
            ("SQLite", Server::start(binaries.metagate(folder, &storage)?)?),
        ];
        if let Some(postgres) = &postgres {
            let url = postgres.url(&postgres.database(None));
            servers.push(("PostgreSQL", Server::start(binaries.metagate(folder, &url)?)?));
        }
        for (_, server) in &servers {
            fill(server, Encoding::Grpc, value_bytes).await?;
        }
        for encoding in ENCODINGS {
            for operation in Operation::ALL {
                cases.push(case(&servers, extent, value_bytes, encoding, operation).await?);
            }
        }
    }
    Ok(Stores { cases, without_postgres })
}

async fn case(
    servers: &[(&'static str, Server)],
    extent: &Extent,
    value_bytes: usize,
    encoding: Encoding,
    operation: Operation,
) -> Result<Case, Error> {
    eprintln!("stores: {} {operation:?}, {value_bytes} B", encoding.name());
    let calls = Arc::new(Calls::new(encoding, operation, value_bytes)?);
    let mut sides = Vec::new();
    for (_, server) in servers {
        sides.push(Side::open(server, calls.clone(), extent).await?);
    }
    rounds(&mut sides, extent).await?;
    let cpu = |side: &Side<'_>| Spread::of(side.cpu().iter().copied());
    let mut all = servers.iter().zip(&sides).map(|((name, _), side)| (*name, side));
    let (_, memory) = all.next().ok_or("no server was measured")?;
    let stores = all.map(|(name, side)| (name, cpu(side), side.to(memory))).collect();
    Ok(Case { value_bytes, encoding, operation, memory: cpu(memory), stores })
}

impl Stores {
    /// What is asked of the figures.
    pub fn targets(&self) -> Vec<Target> {
        let gets =
            self.cases.iter().filter(|case| case.operation == Operation::Get && case.value_bytes == 100);
        let sqlite = gets.filter_map(|case| {
            let (_, _, ratio) = case.stores.iter().find(|(name, ..)| *name == "SQLite")?;
            let what = format!("{} Get, 100 B, SQLite: CPU, to the memory store", case.encoding.name());
            Some(Target::at_most(what, *ratio, 1.5))
        });
        sqlite.collect()
    }
}

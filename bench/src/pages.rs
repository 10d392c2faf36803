//! A page of an organization, however many keys that has.

use std::{path::Path, sync::Arc};

use private_postgres::PrivatePostgres;
use storage_postgres::PostgresStore;
use storage_sqlite::SqliteArchive;

use crate::{
    Error, Extent,
    binaries::{self, Binaries},
    call::{Calls, PAGE},
    figures::{Spread, micros_each},
    filled,
    load::Connections,
    process::Server,
};

const VALUE_BYTES: usize = 100;

/// What is asked for: a name, the prefix of a filter, and the offset.
pub const PAGES: [(&str, Option<&str>, u64); 4] = [
    ("the first", None, 0),
    ("at offset 500", None, 500),
    ("of a prefix that 100 keys have", Some("key-0000"), 0),
    ("of a prefix that all keys have", Some("key-"), 0),
];

/// One page, of organizations of different sizes.
pub struct Pages {
    pub store: &'static str,
    pub page: &'static str,
    /// By size of the organization, in microseconds from the request to the end of the answer.
    pub took: Vec<Spread>,
}

/// How many keys the organizations have.
pub fn sizes(extent: &Extent) -> [u64; 3] {
    if extent.is_quick { [1_000, 10_000, 20_000] } else { [1_000, 100_000, 1_000_000] }
}

/// Measures all.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Vec<Pages>, Error> {
    let mut all = Vec::new();
    let path = folder.join("pages.db");
    let organizations = || sizes(extent).into_iter().enumerate();
    eprintln!("filling SQLite with organizations of {:?} keys", sizes(extent));
    filled::fill(&SqliteArchive::for_writing(&path)?, organizations(), VALUE_BYTES).await?;
    let storage = binaries::sqlite(&path);
    of_store(binaries, folder, extent, "SQLite", &storage, &mut all).await?;
    match PrivatePostgres::start(&[]) {
        Err(reason) => eprintln!("skipped: {reason}"),
        Ok(postgres) => {
            let database = postgres.database(None);
            let url = postgres.url(&database);
            eprintln!("filling PostgreSQL likewise");
            let (address, settings) = (url.parse()?, storage_postgres::Settings::default());
            let store = PostgresStore::open(&address, &settings, || None, Arc::new(|_| {})).await?;
            filled::fill(&store, organizations(), VALUE_BYTES).await?;
            postgres.sql(&database, "VACUUM ANALYZE");
            of_store(binaries, folder, extent, "PostgreSQL", &url, &mut all).await?;
        }
    }
    Ok(all)
}

async fn of_store(
    binaries: &Binaries,
    folder: &Path,
    extent: &Extent,
    store: &'static str,
    storage: &str,
    all: &mut Vec<Pages>,
) -> Result<(), Error> {
    let server = Server::start(binaries.metagate(folder, storage)?)?;
    for (page, prefix, offset) in PAGES {
        eprintln!("{store}: a page {page}");
        let mut took = Vec::new();
        for (index, keys) in sizes(extent).into_iter().enumerate() {
            // What is counted grows with the organization.
            let calls_count = if prefix == Some("key-") { 400_000 / keys as usize } else { 200 };
            let calls_count = calls_count.clamp(3, 200);
            let calls = Arc::new(Calls::page(index, prefix, offset, VALUE_BYTES * PAGE as usize)?);
            let mut connections = Connections::open(server.address, calls.protocol, 1).await?;
            connections.run(&calls, 2).await?;
            let mut rounds = Vec::new();
            for _ in 0..extent.pairs {
                let round = connections.run(&calls, calls_count).await?;
                rounds.push(micros_each(calls_count, round.elapsed));
            }
            took.push(Spread::of(rounds));
        }
        all.push(Pages { store, page, took });
    }
    Ok(())
}

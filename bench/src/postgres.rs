//! Writers to PostgreSQL, beside pgbench on the same server.

use std::{path::Path, time::Duration};

use private_postgres::PrivatePostgres;

use crate::{
    Error, Extent,
    binaries::Binaries,
    call::{Calls, Encoding},
    figures::{Spread, rate},
    process::Server,
    streams::Writers,
    targets::Target,
};

/// How many write at once.
pub const WRITERS: usize = 64;

/// How many clients pgbench has.
pub const CLIENTS: usize = 16;

/// Over how many organizations they write.
const ORGANIZATIONS: [usize; 2] = [1, 200];

const VALUE_BYTES: usize = 100;

/// Calls of the first round of a writer: it does not count, and tells how many a longer one may have.
const WARM_UP_CALLS: usize = 20;

/// How often the log is read: well before the pipe is full.
const LOG_PAUSE: Duration = Duration::from_millis(2);

/// What pgbench does: as metagate would if it had nothing to keep but values.
const TABLE: &str = "CREATE TABLE entry (key bigint PRIMARY KEY, value bytea NOT NULL)";
const UPSERT: &str = "\\set key random(1, 1000)\n\
     INSERT INTO entry VALUES (:key, decode(repeat('ab', 100), 'hex')) \
     ON CONFLICT (key) DO UPDATE SET value = excluded.value;\n";

/// What writers to a number of organizations achieved.
pub struct Writes {
    pub organizations: usize,
    /// Transactions a second.
    pub pgbench: Spread,
    /// Acknowledged writes a second.
    pub metagate: Spread,
    /// Of measurements that followed each other.
    pub to_pgbench: Spread,
}

/// Measures all; or says why it cannot.
pub fn run(
    binaries: &Binaries,
    folder: &Path,
    extent: &Extent,
) -> Result<Result<Vec<Writes>, String>, Error> {
    let postgres = match PrivatePostgres::start(&[]) {
        Ok(postgres) => postgres,
        Err(reason) => return Ok(Err(reason)),
    };
    let database = postgres.database(None);
    postgres.sql(&database, TABLE);
    let seconds = extent.duration.as_secs().max(1).to_string();
    let (clients, threads) = (CLIENTS.to_string(), "2");
    let options = ["-c", &clients, "-j", threads, "-T", &seconds, "-M", "prepared"];
    let most = ORGANIZATIONS.into_iter().max().unwrap_or_default();
    let server =
        Server::start_read(binaries.metagate_of(folder, &postgres.url(&database), most)?, LOG_PAUSE)?;
    let mut all = Vec::new();
    for organizations in ORGANIZATIONS {
        eprintln!("PostgreSQL: {organizations} organizations");
        let calls = Calls::spread(Encoding::Grpc, VALUE_BYTES, organizations)?;
        let mut writers = Writers::open(server.address, &calls, WRITERS)?;
        let warm_up = WARM_UP_CALLS * WRITERS;
        let elapsed = writers.run(warm_up)?;
        let count = warm_up.max((rate(warm_up, elapsed) * extent.duration.as_secs_f64()) as usize);
        let mut round = || writers.run(count).map(|elapsed| rate(count, elapsed));
        let mut rates = Vec::new();
        for pair in 0..extent.pairs {
            let bench = || postgres.pgbench(&database, UPSERT, &options);
            rates.push(if pair % 2 == 0 {
                (round()?, bench())
            } else {
                let pgbench = bench();
                (round()?, pgbench)
            });
        }
        all.push(Writes {
            organizations,
            pgbench: Spread::of(rates.iter().map(|rates| rates.1)),
            metagate: Spread::of(rates.iter().map(|rates| rates.0)),
            to_pgbench: Spread::of_ratios(&rates),
        });
    }
    Ok(Ok(all))
}

/// What is asked of the figures.
pub fn targets(all: &[Writes]) -> Vec<Target> {
    let target = |writes: &Writes| {
        let what = format!("PostgreSQL, organizations: {}; rate of writes, to pgbench", writes.organizations);
        Target::at_least(what, writes.to_pgbench, 0.9)
    };
    all.iter().map(target).collect()
}

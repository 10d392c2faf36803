//! Gateways and databases are killed at random moments, under load.

use std::time::Duration;

use private_postgres::PrivatePostgres;

use crate::{
    gateway::{Gateways, is_ready},
    load::{Ledger, Load},
    part::{Counts, Outcome, moment, until},
};

const ROUNDS: usize = 30;

/// How long a load goes on before something dies.
const LOAD: Duration = Duration::from_millis(250);

/// A start after a crash syncs every single file else, which takes seconds.
pub const SETTINGS: [&str; 1] = ["recovery_init_sync_method=syncfs"];

/// A gateway is killed, of so many.
pub async fn gateway(count: usize) -> Outcome {
    let server = match PrivatePostgres::start(&SETTINGS) {
        Ok(server) => server,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let database = server.database(None);
    let gateways = Gateways::on(&server.url(&database));
    let mut running: Vec<_> = (0..count).map(|_| gateways.start()).collect();
    let (mut counts, mut ledgers) = (Counts::default(), Vec::new());
    for round in 0..ROUNDS {
        let addresses: Vec<_> = running.iter().map(|gateway| gateway.address).collect();
        let load = Load::start(&addresses, round);
        load.goes_on().await;
        moment(LOAD).await;
        let killed = round % count;
        running[killed].kill();
        // The others do not notice, and nobody waits for locks of who is gone.
        load.goes_on().await;
        let of_round = load.stop().await;
        let failed: usize = of_round.iter().map(|ledger| ledger.failed().1).sum();
        assert_eq!(failed, 0, "round {round}: UNAVAILABLE, with a database that was there");
        running[killed] = gateways.start();
        settle(&server).await;
        for mut ledger in of_round {
            counts.add(ledger.check(running[killed].address).await);
            ledgers.push(ledger);
        }
    }
    check_again(&ledgers, running[0].address).await;
    Outcome::Done(format!("{count} gateway(s), one killed in each of {ROUNDS} rounds: {counts}"))
}

/// The database of so many gateways is killed, or shut down at once.
pub async fn database(count: usize) -> Outcome {
    let mut server = match PrivatePostgres::start(&SETTINGS) {
        Ok(server) => server,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let database = server.database(None);
    let gateways = Gateways::on(&server.url(&database));
    let running: Vec<_> = (0..count).map(|_| gateways.start()).collect();
    let addresses: Vec<_> = running.iter().map(|gateway| gateway.address).collect();
    let (mut counts, mut ledgers) = (Counts::default(), Vec::new());
    for round in 0..ROUNDS {
        let load = Load::start(&addresses, round);
        load.goes_on().await;
        moment(LOAD).await;
        server = tokio::task::spawn_blocking(move || {
            if round % 2 == 0 {
                server.crash();
            } else {
                server.kill();
            }
            server.begin();
            server
        })
        .await
        .unwrap();
        load.goes_on().await;
        for address in &addresses {
            until("ready again", async || is_ready(*address).await).await;
        }
        for mut ledger in load.stop().await {
            assert_eq!(ledger.failed().0, 0, "round {round}: no answer, of a gateway that was there");
            counts.add(ledger.check(addresses[round % count]).await);
            ledgers.push(ledger);
        }
    }
    check_again(&ledgers, addresses[0]).await;
    Outcome::Done(format!(
        "{count} gateway(s), their database killed or shut down at once in {ROUNDS} rounds: {counts}"
    ))
}

/// Waits until what a gateway has left behind is done.
pub async fn settle(server: &PrivatePostgres) {
    let active =
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND application_name = 'metagate'";
    until("nothing under way", async || server.sql("postgres", active) == "0").await;
}

/// What was there is there after all that came behind it.
pub async fn check_again(ledgers: &[Ledger], gateway: std::net::SocketAddr) {
    for ledger in ledgers {
        ledger.check_again(gateway).await;
    }
}

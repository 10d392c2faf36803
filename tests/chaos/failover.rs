//! The primary dies under load, its standby takes over, and the gateway follows by itself.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use private_postgres::{PrivatePostgres, USER};

use crate::{
    crashes::SETTINGS,
    gateway::{Gateways, is_ready},
    load::Load,
    part::{Counts, Outcome, moment, until},
};

const ROUNDS: usize = 5;

/// How long a load goes on before the primary dies.
const LOAD: Duration = Duration::from_millis(500);

/// Each round has servers of its own.
pub async fn follow() -> Outcome {
    let mut counts = Counts::default();
    for round in 0..ROUNDS {
        let mut primary = match PrivatePostgres::start(&SETTINGS) {
            Ok(server) => server,
            Err(reason) => return Outcome::Skipped(reason),
        };
        let database = primary.database(None);
        let standby = primary.standby(&SETTINGS);
        // Not before there is one: every commit would wait for it.
        primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        primary.sql("postgres", "SELECT pg_reload_conf()");
        let follows = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        until("the standby follows", async || primary.sql("postgres", follows) == "1").await;

        let hosts = [&primary, &standby].map(|server| {
            utf8_percent_encode(&server.folder().to_string_lossy(), NON_ALPHANUMERIC).to_string()
        });
        let gateways = Gateways::on(&format!("postgres://{USER}@{}/{database}", hosts.join(",")));
        let gateway = gateways.start();
        let load = Load::start(&[gateway.address], round);
        load.goes_on().await;
        moment(LOAD).await;
        let standby = tokio::task::spawn_blocking(move || {
            if round % 2 == 0 {
                primary.crash();
            } else {
                primary.kill();
            }
            standby.promote();
            standby
        })
        .await
        .unwrap();
        load.goes_on().await;
        until("ready again", async || is_ready(gateway.address).await).await;
        for mut ledger in load.stop().await {
            assert_eq!(ledger.failed().0, 0, "round {round}: no answer, of a gateway that was there");
            counts.add(ledger.check(gateway.address).await);
        }
        drop(standby);
    }
    Outcome::Done(format!("{ROUNDS} primaries died and their standbys took over: {counts}"))
}

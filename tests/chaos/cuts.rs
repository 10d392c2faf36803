//! The way between gateways and their database is bad.

use std::{
    net::SocketAddr,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use private_postgres::PrivatePostgres;

use crate::{
    caller::Caller,
    crashes::{SETTINGS, check_again, settle},
    dialect::REST,
    gateway::{Gateways, is_ready, organization},
    load::{Ledger, Load, ORGANIZATIONS},
    part::{Counts, Outcome, moment, until},
    proxy::{Mode, Proxy},
    registers::record,
    server::Server,
};

/// How long a load goes on.
const LOAD: Duration = Duration::from_secs(1);

/// How long the database is out of reach.
const OUTAGE: Duration = Duration::from_secs(2);

/// How often nobody gets through; every other mode has twice as many rounds.
const OUTAGES: usize = 3;

/// Two gateways that reach their database through a proxy.
struct Place {
    server: PrivatePostgres,
    proxy: Proxy,
    gateways: [Server; 2],
    _settings: Gateways,
    ledgers: Vec<Ledger>,
    counts: Counts,
    failed: usize,
}

impl Place {
    fn new() -> Result<Self, String> {
        let server = PrivatePostgres::start(&SETTINGS)?;
        let database = server.database(None);
        let proxy = Proxy::start(server.folder());
        let settings = Gateways::on(&proxy.url(&database));
        let gateways = [settings.start(), settings.start()];
        let (ledgers, counts) = (Vec::new(), Counts::default());
        Ok(Self { server, proxy, gateways, _settings: settings, ledgers, counts, failed: 0 })
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        self.gateways.each_ref().map(|gateway| gateway.address)
    }

    fn start(&self) -> Load {
        Load::start(&self.addresses(), self.ledgers.len() / ORGANIZATIONS)
    }

    /// Ends a load on a good way, and compares.
    async fn end(&mut self, load: Load) {
        self.proxy.set(Mode::Pass);
        load.goes_on().await;
        let ledgers = load.stop().await;
        settle(&self.server).await;
        for mut ledger in ledgers {
            let (cut, unavailable) = ledger.failed();
            assert_eq!(cut, 0, "no answer, of a gateway that was there");
            self.failed += unavailable;
            self.counts.add(ledger.check(self.gateways[0].address).await);
            self.ledgers.push(ledger);
        }
    }

    async fn done(&self, what: String) -> Outcome {
        check_again(&self.ledgers, self.gateways[1].address).await;
        Outcome::Done(format!("{what}: {}", self.counts))
    }
}

/// Connections are dropped, slowed down, and cut when a write was sent and not answered.
pub async fn cut() -> Outcome {
    let mut place = match Place::new() {
        Ok(place) => place,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let mut reads = 0;
    for mode in [Mode::Delay(Duration::from_millis(20)), Mode::Drop(50), Mode::Cut(4)] {
        for _ in 0..2 * OUTAGES {
            let load = place.start();
            place.proxy.set(mode);
            reads += read(&place).await;
            place.end(load).await;
        }
    }
    let done = &place.proxy.done;
    let (dropped, cut) = (done.dropped.load(Ordering::Relaxed), done.cut.load(Ordering::Relaxed));
    assert!(dropped > 0 && cut > 0 && place.counts.found > 0, "nothing was disturbed");
    let what = format!(
        "{dropped} connections dropped, {cut} cut behind a write, {reads} reads, none of which failed"
    );
    place.done(what).await
}

/// Reads for as long as a load goes on. It makes no difference how often, so nobody need notice what was disturbed.
async fn read(place: &Place) -> usize {
    let (start, mut reads) = (Instant::now(), 0);
    let mut callers = place.addresses().map(|address| Caller::of_gateway(REST, address, &organization(0)));
    while start.elapsed() < LOAD {
        for caller in &mut callers {
            caller.list().await.unwrap();
            caller.count("-").await.unwrap();
            reads += 2;
        }
    }
    reads
}

/// What clients see of a few keys while writes are cut from their answers.
pub async fn registers() -> Outcome {
    let place = match Place::new() {
        Ok(place) => place,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let mut open = 0;
    for number in 0..2 * OUTAGES {
        place.proxy.set(Mode::Cut(20));
        let history = record(&place.addresses(), &organization(number), number, 1_000).await;
        history.check().unwrap_or_else(|complaint| panic!("history {number}: {complaint}"));
        open += history.open();
    }
    assert!(open > 0, "nothing was disturbed");
    Outcome::Done(format!("{} histories, {open} calls in them open, all linearizable", 2 * OUTAGES))
}

/// Every third write is refused as one that lost to another.
pub async fn refused() -> Outcome {
    let mut place = match Place::new() {
        Ok(place) => place,
        Err(reason) => return Outcome::Skipped(reason),
    };
    for _ in 0..2 * OUTAGES {
        place.proxy.set(Mode::Refuse);
        let load = place.start();
        moment(LOAD).await;
        place.end(load).await;
    }
    let refused = place.proxy.done.refused.load(Ordering::Relaxed);
    assert!(refused > 0, "nothing was refused");
    assert_eq!(place.failed, 0, "callers noticed");
    place.done(format!("{refused} writes answered 40001 in place of the database, and nobody noticed")).await
}

/// Nobody gets through for a while.
pub async fn unreachable() -> Outcome {
    let mut place = match Place::new() {
        Ok(place) => place,
        Err(reason) => return Outcome::Skipped(reason),
    };
    for _ in 0..OUTAGES {
        place.proxy.set(Mode::Unreachable);
        let (start, load) = (Instant::now(), place.start());
        for address in place.addresses() {
            until("not ready", async || !is_ready(address).await).await;
        }
        tokio::time::sleep(OUTAGE.saturating_sub(start.elapsed())).await;
        place.proxy.set(Mode::Pass);
        for address in place.addresses() {
            until("ready again", async || is_ready(address).await).await;
        }
        place.end(load).await;
    }
    let turned_away = place.proxy.done.turned_away.load(Ordering::Relaxed);
    let what = format!(
        "out of reach for {} s, {OUTAGES} times, {turned_away} connections turned away, {} calls UNAVAILABLE",
        OUTAGE.as_secs(),
        place.failed
    );
    place.done(what).await
}

//! Many clients on few keys, in every encoding: what they see must be the work of one register for each key.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use domain::{Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query};
use private_postgres::PrivatePostgres;
use storage::{MemoryStore, Standing, Store, StoreError};
use tokio::task::JoinSet;

use crate::{
    caller::{Answer, Caller, Entries, Open, Write},
    dialect::{GET, dialects},
    gateway::{Gateways, organization},
    history::{Act, Numbers, Operation, are_in_order, linearize},
    part::{Outcome, below},
};

const CLIENTS: usize = 16;

const KEYS: [&str; 3] = ["a", "b", "c"];

/// How many calls make a history.
const CALLS: usize = 3_000;

/// How many histories each store has, each in an organization of its own.
const HISTORIES: usize = 6;

/// What clients saw.
#[derive(Default)]
pub struct History {
    operations: [Vec<Operation>; KEYS.len()],
    writes: Vec<Numbers>,
    /// The number of each value, by key and value, as its write was told.
    numbers: BTreeMap<(usize, u64), u64>,
    /// What was read: key, value, and the value's number.
    seen: Vec<(usize, u64, u64)>,
    snapshots: Vec<Entries>,
    open: usize,
}

/// Two gateways on one database.
pub async fn postgres() -> Outcome {
    let server = match PrivatePostgres::start(&[]) {
        Ok(server) => server,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let gateways = Gateways::on(&server.url(&server.database(None)));
    let gateways = [gateways.start(), gateways.start()];
    Outcome::Done(of_gateways(&gateways.each_ref().map(|gateway| gateway.address)).await)
}

/// One gateway.
pub async fn sqlite() -> Outcome {
    alone("sqlite:metagate.db").await
}

/// One gateway.
pub async fn memory() -> Outcome {
    alone("memory:").await
}

async fn alone(storage: &str) -> Outcome {
    let gateways = Gateways::on(storage);
    let gateway = gateways.start();
    Outcome::Done(of_gateways(&[gateway.address]).await)
}

/// Who judges must see that a store answers old values.
pub async fn stale() -> Outcome {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let right = of_store(store.clone()).await.check();
    assert_eq!(right, Ok(()), "a store that is right");
    let mut complaints = Vec::new();
    for lag in [1, 2, 8] {
        let stale = Stale { store: Arc::new(MemoryStore::new()), lag, old: Mutex::default() };
        let history = of_store(Arc::new(stale)).await;
        complaints.push(history.check().expect_err("an old value was not noticed"));
    }
    Outcome::Done(format!("reads 1, 2 and 8 writes old were noticed, such as: {}", complaints[0]))
}

/// Makes histories and checks them.
async fn of_gateways(addresses: &[SocketAddr]) -> String {
    let (mut calls, mut open) = (0, 0);
    for number in 0..HISTORIES {
        let history = record(addresses, &organization(number), number, CALLS).await;
        open += history.open;
        calls += CALLS;
        history.check().unwrap_or_else(|complaint| panic!("history {number}: {complaint}"));
    }
    assert_eq!(open, 0, "calls failed");
    format!(
        "{HISTORIES} histories of {CLIENTS} clients on {} keys, in {} encodings, {} gateway(s): {calls} calls, all linearizable",
        KEYS.len(),
        dialects().len(),
        addresses.len()
    )
}

async fn of_store(store: Arc<dyn Store>) -> History {
    store.create_organization(&OrganizationId::new("o").unwrap(), "o").await.unwrap();
    play((0..CLIENTS).map(|_| Caller::of_store(store.clone(), "o")).collect(), CALLS).await
}

/// The history of calls to gateways; each client has an encoding of its own.
pub async fn record(addresses: &[SocketAddr], organization: &str, round: usize, calls: usize) -> History {
    let dialects = dialects();
    let caller = |number: usize| {
        let dialect = dialects[(number + round * CLIENTS) % dialects.len()];
        Caller::of_gateway(dialect, addresses[number % addresses.len()], organization)
    };
    play((0..CLIENTS).map(caller).collect(), calls).await
}

async fn play(callers: Vec<Caller>, calls: usize) -> History {
    let (history, begun) = (Arc::new(Mutex::new(History::default())), Arc::new(AtomicUsize::new(0)));
    let (values, clock) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut clients = JoinSet::new();
    for mut caller in callers {
        let (history, begun, values) = (history.clone(), begun.clone(), values.clone());
        clients.spawn(async move {
            while begun.fetch_add(1, Ordering::Relaxed) < calls {
                call(&mut caller, &values, clock, &history).await;
                // A store in memory never waits, and would leave others no turn.
                tokio::task::yield_now().await;
            }
        });
    }
    clients.join_all().await;
    Arc::into_inner(history).unwrap().into_inner().unwrap()
}

/// One call of any kind.
async fn call(caller: &mut Caller, values: &AtomicU64, clock: Instant, history: &Mutex<History>) {
    let now = || clock.elapsed().as_nanos() as u64;
    let index = below(KEYS.len() as u64) as usize;
    let key = KEYS[index].to_owned();
    let (knows_keys, start) = (caller.speaks(GET), now());
    let (write, keys) = match below(10) {
        0..4 if knows_keys => {
            let found = caller.get(&key).await;
            return history.lock().unwrap().read(index, found, start, now());
        }
        0..4 => {
            let found = caller.list().await;
            return history.lock().unwrap().list(found, start, now());
        }
        4 | 5 if knows_keys => (Write::Remove(key), vec![index]),
        4..8 => (Write::Set(key, values.fetch_add(1, Ordering::Relaxed)), vec![index]),
        _ => {
            let keys = [index, (index + 1) % KEYS.len()];
            let names = keys.map(|index| KEYS[index].to_owned()).to_vec();
            (Write::Bulk(names, values.fetch_add(1, Ordering::Relaxed)), keys.to_vec())
        }
    };
    let answer = caller.write(&write).await;
    history.lock().unwrap().wrote(&write, &keys, answer, start, now());
}

impl History {
    fn read(&mut self, key: usize, found: Result<Option<(u64, u64)>, Open>, start: u64, end: u64) {
        let Ok(found) = found else {
            self.open += 1;
            return;
        };
        let act = Act::Read(found.map(|(value, _)| value));
        self.operations[key].push(Operation { act, start, end: Some(end), number: None });
        self.seen.extend(found.map(|(value, number)| (key, value, number)));
    }

    fn list(&mut self, found: Result<Entries, Open>, start: u64, end: u64) {
        match found {
            Err(_) => self.open += 1,
            Ok(entries) => {
                for (key, name) in KEYS.iter().enumerate() {
                    self.read(key, Ok(entries.get(*name).copied()), start, end);
                }
                self.snapshots.push(entries);
            }
        }
    }

    fn wrote(&mut self, write: &Write, keys: &[usize], answer: Answer, start: u64, end: u64) {
        let (act, value) = match write {
            Write::Set(_, value) | Write::Bulk(_, value) => (Act::Write(Some(*value)), Some(*value)),
            Write::Remove(_) => (Act::Take, None),
        };
        let count = keys.len() as u64;
        let (act, end, first) = match answer {
            Answer::Written(last) => {
                self.writes.push(Numbers { first: last + 1 - count, last, start, end });
                (act, Some(end), Some(last + 1 - count))
            }
            Answer::Absent => (Act::Read(None), Some(end), None),
            Answer::Open(open) => {
                self.open += 1;
                if open == Open::Refused {
                    return;
                }
                // Of what is removed and absent, nothing changes either.
                (Act::Write(value), None, None)
            }
        };
        for (&key, place) in keys.iter().zip(0..) {
            let number = first.map(|first| first + place);
            self.numbers.extend(value.zip(number).map(|(value, number)| ((key, value), number)));
            self.operations[key].push(Operation { act, start, end, number });
        }
    }

    /// How many calls were answered that nothing is known of.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Whether one register for each key, written to in the order of the numbers, explains it all.
    ///
    /// # Errors
    /// What it does not explain.
    pub fn check(&self) -> Result<(), String> {
        are_in_order(&self.writes)?;
        let mut numbers = self.numbers.clone();
        for &(key, value, number) in &self.seen {
            let known = *numbers.entry((key, value)).or_insert(number);
            if known != number {
                return Err(format!("{value} of {:?} is of {number}, and was of {known}", KEYS[key]));
            }
        }
        for (key, operations) in self.operations.iter().enumerate() {
            // Of a write without an answer, who read it tells the number.
            let numbered = operations.iter().map(|operation| match operation.act {
                Act::Write(Some(value)) => {
                    Operation { number: numbers.get(&(key, value)).copied(), ..*operation }
                }
                _ => *operation,
            });
            linearize(&numbered.collect::<Vec<_>>())
                .map_err(|complaint| format!("key {:?}: {complaint}", KEYS[key]))?;
        }
        // Of what a page shows, nothing may be older than what was there at the time of its latest entry.
        for page in &self.snapshots {
            let latest = page.values().map(|(_, number)| *number).max().unwrap_or_default();
            for (&(key, value), &number) in &numbers {
                let is_older = page.get(KEYS[key]).is_some_and(|(_, shown)| *shown < number);
                if is_older && number <= latest {
                    return Err(format!("a page with {latest} is without {value} of {number}: {page:?}"));
                }
            }
        }
        Ok(())
    }
}

/// A store whose reads are some writes old.
struct Stale {
    store: Arc<dyn Store>,
    /// How many writes.
    lag: usize,
    /// What keys held, after each write.
    old: Mutex<Vec<BTreeMap<Key, Entry>>>,
}

#[async_trait]
impl Store for Stale {
    async fn apply(&self, id: &OrganizationId, changes: Vec<Change>) -> Result<Details, StoreError> {
        let details = self.store.apply(id, changes).await?;
        let page = self.store.list(id, Query::default()).await?;
        let entries = page.entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        self.old.lock().unwrap().push(entries);
        Ok(details)
    }

    async fn get(&self, _: &OrganizationId, key: &Key) -> Result<Option<Entry>, StoreError> {
        let old = self.old.lock().unwrap();
        let index = old.len().checked_sub(1 + self.lag);
        Ok(index.and_then(|index| old[index].get(key).cloned()))
    }

    async fn list(&self, id: &OrganizationId, query: Query) -> Result<Page, StoreError> {
        self.store.list(id, query).await
    }

    async fn standing(&self, id: &OrganizationId) -> Result<Standing, StoreError> {
        self.store.standing(id).await
    }

    async fn create_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization, StoreError> {
        self.store.create_organization(id, name).await
    }

    async fn set_organization_state(
        &self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError> {
        self.store.set_organization_state(id, state).await
    }
}

//! Writers whose every write leaves a trace of its own, so that the fate of each can be told afterwards.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::task::JoinSet;

use crate::{
    caller::{Answer, Caller, Entries, Open, Write},
    dialect::{REMOVE, dialects},
    gateway::organization,
    history::{Numbers, are_in_order},
    part::{Counts, below, until},
};

const WRITERS: usize = 8;

/// How many organizations a load writes to.
pub const ORGANIZATIONS: usize = 2;

/// How many keys a bulk has.
const BULK: usize = 3;

/// The value of what is written in the end.
const SEAL: u64 = 0;

/// A write, and what came of it.
#[derive(Clone, Debug)]
struct Event {
    write: Write,
    answer: Answer,
    start: u64,
    end: u64,
}

/// Writers at work.
pub struct Load {
    round: usize,
    writers: JoinSet<(usize, Vec<Event>)>,
    stop: Arc<AtomicBool>,
    /// What each has had acknowledged; `u64::MAX` once it has nobody to talk to.
    acknowledged: Vec<Arc<AtomicU64>>,
    clock: Instant,
}

/// What writers remember of one organization.
pub struct Ledger {
    pub organization: String,
    events: Vec<Event>,
}

impl Load {
    /// Writers of a round, each in another encoding than in the one before, shared out to the gateways.
    pub fn start(gateways: &[SocketAddr], round: usize) -> Self {
        let (dialects, clock, stop) = (dialects(), Instant::now(), Arc::new(AtomicBool::new(false)));
        let mut load = Self { round, writers: JoinSet::new(), stop, acknowledged: Vec::new(), clock };
        for number in 0..WRITERS {
            let dialect = dialects[(round * WRITERS + number) % dialects.len()];
            let gateway = gateways[number / ORGANIZATIONS % gateways.len()];
            let caller = Caller::of_gateway(dialect, gateway, &load.organization(number % ORGANIZATIONS));
            let acknowledged = Arc::new(AtomicU64::new(0));
            load.acknowledged.push(acknowledged.clone());
            load.writers.spawn(write(number, caller, clock, load.stop.clone(), acknowledged));
        }
        load
    }

    fn organization(&self, index: usize) -> String {
        organization(self.round * ORGANIZATIONS + index)
    }

    /// Waits until everybody who has somebody to talk to has had another write acknowledged.
    pub async fn goes_on(&self) {
        let before: Vec<_> = self.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        until("all writers go on", async || {
            let now = self.acknowledged.iter().map(|count| count.load(Ordering::Relaxed));
            now.zip(&before).all(|(now, before)| now > *before || now == u64::MAX)
        })
        .await;
    }

    /// Ends it. Who needs an answer waits for it.
    pub async fn stop(mut self) -> Vec<Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        let mut ledgers: Vec<_> = (0..ORGANIZATIONS)
            .map(|index| Ledger { organization: self.organization(index), events: Vec::new() })
            .collect();
        while let Some(done) = self.writers.join_next().await {
            let (number, events) = done.unwrap();
            ledgers[number % ORGANIZATIONS].events.extend(events);
        }
        ledgers
    }
}

async fn write(
    number: usize,
    mut caller: Caller,
    clock: Instant,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
) -> (usize, Vec<Event>) {
    let now = || clock.elapsed().as_nanos() as u64;
    let mut events = Vec::new();
    // Keys that are certainly there.
    let mut present: Vec<String> = Vec::new();
    let mut value = SEAL;
    while !stop.load(Ordering::Relaxed) {
        value += 1;
        let key = |index: usize| format!("{number}-{value}-{index}");
        let write = match below(4) {
            0 => Write::Set(key(0), value),
            1 if caller.speaks(REMOVE) && !present.is_empty() => Write::Remove(present.remove(0)),
            _ => Write::Bulk((0..BULK).map(key).collect(), value),
        };
        let start = now();
        let answer = caller.write(&write).await;
        match answer {
            Answer::Written(_) => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                if let Write::Set(key, _) = &write {
                    present.push(key.clone());
                }
            }
            // Its gateway is gone.
            Answer::Open(Open::Refused) => break,
            Answer::Open(_) | Answer::Absent => {}
        }
        events.push(Event { write, answer, start, end: now() });
    }
    acknowledged.store(u64::MAX, Ordering::Relaxed);
    (number, events)
}

impl Ledger {
    /// How many calls had no answer at all, and how many were UNAVAILABLE.
    pub fn failed(&self) -> (usize, usize) {
        let count = |open| self.events.iter().filter(|event| event.answer == Answer::Open(open)).count();
        (count(Open::Cut), count(Open::Unavailable))
    }

    /// Compares what is there with what the writers remember, when nothing of theirs is under way any more; and writes
    /// something, the number of which counts all events before.
    ///
    /// # Panics
    /// If a write was lost, done twice or by halves, or a number was left out or given twice.
    pub async fn check(&mut self, gateway: SocketAddr) -> Counts {
        let dialects = dialects();
        let dialect = dialects[below(dialects.len() as u64) as usize];
        let mut caller = Caller::of_gateway(dialect, gateway, &self.organization);
        let write = Write::Set("seal".to_owned(), SEAL);
        let answer = caller.write(&write).await;
        let after = self.events.iter().map(|event| event.end).max().unwrap_or_default() + 1;
        self.events.push(Event { write, answer, start: after, end: after });
        self.compare(&caller.list().await.unwrap())
            .unwrap_or_else(|complaint| panic!("{}: {complaint}", self.organization))
    }

    /// Compares once more, some time later.
    ///
    /// # Panics
    /// See [`Ledger::check`].
    pub async fn check_again(&self, gateway: SocketAddr) {
        let dialects = dialects();
        let dialect = dialects[below(dialects.len() as u64) as usize];
        let listed = Caller::of_gateway(dialect, gateway, &self.organization).list().await.unwrap();
        self.compare(&listed).unwrap_or_else(|complaint| panic!("{}, later: {complaint}", self.organization));
    }

    fn compare(&self, listed: &Entries) -> Result<Counts, String> {
        let mut listed = listed.clone();
        let mut counts = Counts::default();
        let mut numbers = Vec::new();
        let mut known = BTreeSet::from([1]); // An organization's creation.
        // Removals leave nothing but their number, and those without an answer not even that.
        let mut hidden = 0;
        let mut removed = BTreeSet::new();
        for Event { write, answer, .. } in &self.events {
            if let (Write::Remove(key), Answer::Written(_) | Answer::Open(_)) = (write, answer) {
                let is_gone = !listed.contains_key(key);
                if matches!(answer, Answer::Written(_)) && !is_gone {
                    return Err(format!("{key} is there, and was removed"));
                }
                if is_gone {
                    removed.insert(key.clone());
                }
            }
        }
        for event in &self.events {
            let Event { write, answer, start, end } = event;
            let keys: Vec<&String> = match write {
                Write::Set(key, _) | Write::Remove(key) => vec![key],
                Write::Bulk(keys, _) => keys.iter().collect(),
            };
            let count = keys.len() as u64;
            let last = match *answer {
                Answer::Written(last) => {
                    counts.acknowledged += 1;
                    numbers.push(Numbers { first: last + 1 - count, last, start: *start, end: *end });
                    Some(last)
                }
                Answer::Open(_) => {
                    counts.open += 1;
                    None
                }
                Answer::Absent => return Err(format!("refused, and it was there: {event:?}")),
            };
            let last = if let (Write::Set(_, value) | Write::Bulk(_, value), false) =
                (write, keys.iter().all(|key| removed.contains(*key)))
            {
                let found: Vec<_> = keys.iter().map(|key| listed.remove(*key)).collect();
                let found_last = found.last().copied().flatten().map(|(_, number)| number);
                let last = last.or(found_last);
                let want = keys.iter().zip(1..).map(|(_, place)| Some((*value, last? + place - count)));
                if found != want.collect::<Vec<_>>() {
                    return Err(format!("{event:?}, but there is {found:?}"));
                }
                counts.found += usize::from(matches!(answer, Answer::Open(_)) && last.is_some());
                last
            } else if let (Write::Remove(key), None) = (write, last) {
                hidden += usize::from(removed.contains(key));
                counts.found += usize::from(removed.contains(key));
                None
            } else {
                last
            };
            if let Some(last) = last {
                for number in last + 1 - count..=last {
                    if !known.insert(number) {
                        return Err(format!("{number} was given twice: {event:?}"));
                    }
                }
            }
        }
        if let Some(stranger) = listed.first_key_value() {
            return Err(format!("nobody has written {stranger:?}"));
        }
        let latest = known.last().copied().unwrap_or_default();
        let left_out: Vec<u64> = (1..=latest).filter(|number| !known.contains(number)).collect();
        if left_out.len() != hidden {
            return Err(format!(
                "{hidden} removals without an answer, and these numbers left out: {left_out:?}"
            ));
        }
        are_in_order(&numbers)?;
        Ok(counts)
    }
}

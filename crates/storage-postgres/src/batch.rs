//! Writes of metadata: what waits shares a transaction.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use domain::{Change, Details, OrganizationId, Timestamp};
use storage::{Commit, Observer, StoreError};
use tokio_postgres::{Row, types::Type};

use crate::{
    database::Database,
    error::Failure,
    lanes::{Asked, Work},
    read::count,
};

/// How many writes share a transaction at most, and how many bytes of values: the first must not wait for ever.
const BATCH_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The answer of `apply_1` to a write whose organization is absent.
const NO_ORGANIZATION: i32 = -1;

/// The changes of one call. Dropped before it was sent to the database, it is not sent; after that, it may happen or not.
pub(crate) struct Write {
    pub organization: OrganizationId,
    pub changes: Vec<Change>,
    pub deadline: Option<Instant>,
}

/// Does writes. An answer means that a write is durable.
pub(crate) struct Batches {
    database: Database,
    observer: Observer,
    /// Organizations that a transaction under way has writes of: another would only wait for it.
    busy: Mutex<HashSet<OrganizationId>>,
}

impl Work for Batches {
    type Question = Write;
    type Answer = Details;

    fn take(&self, waiting: &mut VecDeque<Asked<Self>>) -> Vec<Asked<Self>> {
        let mut busy = self.busy();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut passed = HashSet::new();
        for asked in mem::take(waiting) {
            let Write { organization, changes, .. } = &asked.question;
            let size = size(changes);
            let fits = batch.is_empty() || (batch.len() < BATCH_MAX && bytes + size <= BATCH_BYTES_MAX);
            // Who comes later must not go first.
            if fits && !busy.contains(organization) && !passed.contains(organization) {
                bytes += size;
                batch.push(asked);
            } else {
                passed.insert(organization.clone());
                waiting.push_back(asked);
            }
        }
        busy.extend(batch.iter().map(|asked| asked.question.organization.clone()));
        batch
    }

    async fn perform(&self, mut batch: Vec<Asked<Self>>) {
        let _held = Held {
            batches: self,
            organizations: batch.iter().map(|asked| asked.question.organization.clone()).collect(),
        };
        let mut retry = self.database.retry();
        loop {
            let start = Instant::now();
            let failure = match self.attempt(&mut batch).await {
                Ok(outcomes) => {
                    (self.observer)(Commit { operations: batch.len(), took: start.elapsed() });
                    for (asked, outcome) in batch.into_iter().zip(outcomes) {
                        asked.answer(outcome);
                    }
                    return;
                }
                Err(failure) => failure,
            };
            if let Err(failure) = retry.after(failure).await {
                let error = failure.into_error();
                for asked in batch {
                    asked.answer(Err(error.copy()));
                }
                return;
            }
        }
    }
}

impl Batches {
    pub(crate) fn new(database: Database, observer: Observer) -> Self {
        Self { database, observer, busy: Mutex::default() }
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<OrganizationId>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One transaction.
    async fn attempt(
        &self,
        batch: &mut Vec<Asked<Self>>,
    ) -> Result<Vec<Result<Details, StoreError>>, Failure> {
        let mut lease = self.database.lease().await?;
        batch.retain(Asked::is_wanted);
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let writes = || batch.iter().map(|asked| &asked.question);
        // The last one's; none, if somebody has none.
        let deadlines: Option<Vec<Instant>> = writes().map(|write| write.deadline).collect();
        let deadline = deadlines.and_then(|all| all.into_iter().max());
        let arguments = Arguments::of(writes());
        let statement = "SELECT refused, sequence, at FROM metagate.apply_1($1, $2, $3, $4, $5, $6, $7, $8)";
        let parameters: &[_] = &[
            (&arguments.organizations as _, Type::TEXT_ARRAY),
            (&arguments.key_owners as _, Type::INT4_ARRAY),
            (&arguments.keys as _, Type::TEXT_ARRAY),
            (&arguments.owners as _, Type::INT4_ARRAY),
            (&arguments.counts as _, Type::INT4_ARRAY),
            (&arguments.kinds as _, Type::INT2_ARRAY),
            (&arguments.entries as _, Type::INT4_ARRAY),
            (&arguments.values as _, Type::BYTEA_ARRAY),
        ];
        let rows = lease.query_until(deadline, statement, parameters).await?;
        if rows.len() != batch.len() {
            return Err(Failure::Final(StoreError::unavailable("the database answered another question")));
        }
        rows.iter().map(outcome_of).collect()
    }
}

/// Organizations that are busy, for as long as it lives.
struct Held<'a> {
    batches: &'a Batches,
    organizations: HashSet<OrganizationId>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.batches.busy().retain(|organization| !self.organizations.contains(organization));
    }
}

/// What a row of `apply_1` says.
fn outcome_of(row: &Row) -> Result<Result<Details, StoreError>, Failure> {
    let refused: Option<i32> = row.try_get(0).map_err(Failure::of_statement)?;
    Ok(match refused {
        None => {
            let sequence = count(row.try_get(1).map_err(Failure::of_statement)?);
            let at = Timestamp::from_micros(row.try_get(2).map_err(Failure::of_statement)?);
            Ok(Details { sequence, at })
        }
        Some(NO_ORGANIZATION) => Err(StoreError::OrganizationNotFound),
        Some(index) => Err(StoreError::KeyAbsent { index: usize::try_from(index).unwrap_or_default() }),
    })
}

/// The arguments of `apply_1`. Indices count from 1, as the database's do.
#[derive(Default)]
struct Arguments<'a> {
    organizations: Vec<&'a str>,
    key_owners: Vec<i32>,
    keys: Vec<&'a str>,
    owners: Vec<i32>,
    counts: Vec<i32>,
    kinds: Vec<i16>,
    entries: Vec<i32>,
    values: Vec<Option<&'a [u8]>>,
}

impl<'a> Arguments<'a> {
    fn of(writes: impl Iterator<Item = &'a Write> + Clone) -> Self {
        let mut all = Self::default();
        all.organizations.extend(writes.clone().map(|write| write.organization.as_str()));
        all.organizations.sort_unstable();
        all.organizations.dedup();
        let mut entries = HashMap::new();
        for Write { organization, changes, .. } in writes {
            let (Ok(index) | Err(index)) = all.organizations.binary_search(&organization.as_str());
            let owner = number(index + 1);
            all.owners.push(owner);
            all.counts.push(number(changes.len()));
            for change in changes {
                let (kind, key, value) = match change {
                    Change::Set { key, value } => (1, key, Some(&value[..])),
                    Change::SetIfDifferent { key, value } => (2, key, Some(&value[..])),
                    Change::Remove { key } => (3, key, None),
                    Change::RemoveIfPresent { key } => (4, key, None),
                };
                let entry = *entries.entry((owner, key.as_str())).or_insert_with(|| {
                    all.key_owners.push(owner);
                    all.keys.push(key.as_str());
                    number(all.keys.len())
                });
                all.kinds.push(kind);
                all.entries.push(entry);
                all.values.push(value);
            }
        }
        all
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn size(changes: &[Change]) -> usize {
    let of = |change: &Change| match change {
        Change::Set { value, .. } | Change::SetIfDifferent { value, .. } => value.len(),
        Change::Remove { .. } | Change::RemoveIfPresent { .. } => 0,
    };
    changes.iter().map(of).sum()
}

//! Writes of metadata: what waits for the same organizations shares a transaction, and organizations go side by side.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use domain::{Change, Details, OrganizationId, Timestamp};
use storage::{Commit, Observer, StoreError};
use tokio::sync::oneshot;
use tokio_postgres::{Row, types::Type};

use crate::{database::Database, error::Failure, read::count};

/// How many transactions are under way at once. More would find less to share.
const LANES_MAX: usize = 4;

/// How many writes share a transaction at most, and how many bytes of values: the first must not wait for ever.
const BATCH_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A transaction waits for the company that the one before had, up to so many writes: those who were just answered come
/// again, and a commit costs more than the wait. A lone writer waits for nobody.
const COMPANY_MAX: usize = 8;
const COMPANY_WAIT: Duration = Duration::from_millis(1);

/// The answer of `apply_1` to a write whose organization is absent.
const NO_ORGANIZATION: i32 = -1;

/// A write, until it is answered.
struct Write {
    organization: OrganizationId,
    changes: Vec<Change>,
    deadline: Option<Instant>,
    /// Closed once nobody waits any more.
    reply: oneshot::Sender<Result<Details, StoreError>>,
}

/// Takes writes, and sees that they are done. A write is done at once if less than [`LANES_MAX`] transactions are under
/// way; what comes meanwhile shares the next one.
#[derive(Clone)]
pub(crate) struct Batches(Arc<Shared>);

struct Shared {
    database: Database,
    observer: Observer,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    writes: VecDeque<Write>,
    /// Organizations that a transaction under way has writes of: another would only wait for it.
    busy: HashSet<OrganizationId>,
    lanes: usize,
}

impl Batches {
    pub(crate) fn new(database: Database, observer: Observer) -> Self {
        Self(Arc::new(Shared { database, observer, waiting: Mutex::default() }))
    }

    /// Has a write done, and waits until it is durable. Dropped before it was sent to the database, it is not sent;
    /// after that, it may happen or not.
    pub(crate) async fn apply(
        &self,
        organization: OrganizationId,
        changes: Vec<Change>,
    ) -> Result<Details, StoreError> {
        let (reply, answer) = oneshot::channel();
        let deadline = self.0.database.deadline();
        {
            let mut waiting = self.0.lock();
            waiting.writes.push_back(Write { organization, changes, deadline, reply });
            if waiting.lanes < LANES_MAX {
                waiting.lanes += 1;
                tokio::spawn(lane(self.0.clone()));
            }
        }
        answer.await.map_err(|_| StoreError::unavailable("the write was lost"))?
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what waits, until there is nothing more.
async fn lane(shared: Arc<Shared>) {
    let mut lane = Lane { shared, organizations: Vec::new(), counts: true };
    while let Some(batch) = lane.next() {
        let company = batch.len().min(COMPANY_MAX);
        lane.perform(batch).await;
        if lane.shared.lock().writes.len() < company - 1 {
            tokio::time::sleep(COMPANY_WAIT).await;
        }
    }
}

/// One transaction after the other.
struct Lane {
    shared: Arc<Shared>,
    /// Those that are busy with this lane.
    organizations: Vec<OrganizationId>,
    /// Whether it counts among the lanes.
    counts: bool,
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut waiting = self.shared.lock();
        for organization in &self.organizations {
            waiting.busy.remove(organization);
        }
        if self.counts {
            waiting.lanes -= 1;
        }
    }
}

impl Lane {
    /// The next writes to share a transaction, sorted by organization, those of one in the order in which they came.
    fn next(&mut self) -> Option<Vec<Write>> {
        let shared = self.shared.clone();
        let mut waiting = shared.lock();
        for organization in self.organizations.drain(..) {
            waiting.busy.remove(&organization);
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut passed = HashSet::new();
        let mut left = VecDeque::new();
        for write in mem::take(&mut waiting.writes) {
            if write.reply.is_closed() {
                continue;
            }
            let size = size(&write.changes);
            let fits = batch.is_empty() || (batch.len() < BATCH_MAX && bytes + size <= BATCH_BYTES_MAX);
            // Who comes later must not go first.
            if fits && !waiting.busy.contains(&write.organization) && !passed.contains(&write.organization) {
                bytes += size;
                batch.push(write);
            } else {
                passed.insert(write.organization.clone());
                left.push_back(write);
            }
        }
        waiting.writes = left;
        batch.sort_by(|a, b| a.organization.cmp(&b.organization));
        for write in &batch {
            if waiting.busy.insert(write.organization.clone()) {
                self.organizations.push(write.organization.clone());
            }
        }
        if batch.is_empty() {
            // At once: who comes next must see that nobody would take him along.
            (waiting.lanes, self.counts) = (waiting.lanes - 1, false);
            return None;
        }
        Some(batch)
    }

    /// Does the writes, and answers.
    async fn perform(&self, mut batch: Vec<Write>) {
        let mut retry = self.shared.database.retry();
        loop {
            let start = Instant::now();
            let failure = match self.attempt(&mut batch).await {
                Ok(outcomes) => {
                    (self.shared.observer)(Commit { operations: batch.len(), took: start.elapsed() });
                    for (write, outcome) in batch.into_iter().zip(outcomes) {
                        // Nobody waits any more: the write stands.
                        let _ = write.reply.send(outcome);
                    }
                    return;
                }
                Err(failure) => failure,
            };
            if let Err(failure) = retry.after(failure).await {
                let error = failure.into_error();
                for write in batch {
                    let _ = write.reply.send(Err(error.copy()));
                }
                return;
            }
        }
    }

    /// One transaction.
    async fn attempt(&self, batch: &mut Vec<Write>) -> Result<Vec<Result<Details, StoreError>>, Failure> {
        let mut lease = self.shared.database.lease().await?;
        batch.retain(|write| !write.reply.is_closed());
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let expected = batch.len();
        let mut arguments = Arguments::default();
        let mut deadline = Some(Instant::now());
        for write in batch.iter() {
            arguments.push(&write.organization, &write.changes);
            // The last one's; none, if somebody has none.
            deadline = deadline.zip(write.deadline).map(|(one, other)| one.max(other));
        }
        let statement = "SELECT refused, sequence, at FROM metagate.apply_1($1, $2, $3, $4, $5)";
        let parameters: &[_] = &[
            (&arguments.organizations as _, Type::TEXT_ARRAY),
            (&arguments.counts as _, Type::INT4_ARRAY),
            (&arguments.kinds as _, Type::INT2_ARRAY),
            (&arguments.keys as _, Type::TEXT_ARRAY),
            (&arguments.values as _, Type::BYTEA_ARRAY),
        ];
        let rows = lease.query_until(deadline, statement, parameters).await?;
        if rows.len() != expected {
            return Err(Failure::Final(StoreError::unavailable("the database answered another question")));
        }
        rows.iter().map(outcome_of).collect()
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

/// The arguments of `apply_1`.
#[derive(Default)]
struct Arguments<'a> {
    organizations: Vec<&'a str>,
    counts: Vec<i32>,
    kinds: Vec<i16>,
    keys: Vec<&'a str>,
    values: Vec<Option<&'a [u8]>>,
}

impl<'a> Arguments<'a> {
    fn push(&mut self, organization: &'a OrganizationId, changes: &'a [Change]) {
        self.organizations.push(organization.as_str());
        self.counts.push(i32::try_from(changes.len()).unwrap_or(i32::MAX));
        for change in changes {
            let (kind, key, value) = match change {
                Change::Set { key, value } => (1, key, Some(&value[..])),
                Change::SetIfDifferent { key, value } => (2, key, Some(&value[..])),
                Change::Remove { key } => (3, key, None),
                Change::RemoveIfPresent { key } => (4, key, None),
            };
            self.kinds.push(kind);
            self.keys.push(key.as_str());
            self.values.push(value);
        }
    }
}

fn size(changes: &[Change]) -> usize {
    let of = |change: &Change| match change {
        Change::Set { value, .. } | Change::SetIfDifferent { value, .. } => value.len(),
        Change::Remove { .. } | Change::RemoveIfPresent { .. } => 0,
    };
    changes.iter().map(of).sum()
}

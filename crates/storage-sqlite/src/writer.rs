//! The one thread that writes: what is waiting shares a commit, and is acknowledged after it.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use domain::{Change, Details, Key, Organization, OrganizationId, OrganizationState, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use storage::{Effect, StoreError, judge};
use tokio::sync::{mpsc, oneshot};

use crate::{Organizations, Row, schema};

/// Values up to this size, in bytes, stand beside their keys.
pub(crate) const INLINE_BYTES_MAX: usize = 2_048;

/// How many operations may wait; who comes later waits to be let in.
const QUEUE_MAX: usize = 1_024;

/// How many operations share a commit at most: the first must not wait for ever.
const BATCH_MAX: usize = 256;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to write.
pub(crate) enum Operation {
    Apply { organization: OrganizationId, changes: Vec<Change>, reply: Reply<Details> },
    Create { id: OrganizationId, name: String, reply: Reply<Organization> },
    SetState { id: OrganizationId, state: OrganizationState, reply: Reply<Organization> },
}

/// The way to the thread that writes.
pub(crate) struct Writer {
    /// `None` once the store is being closed.
    queue: Option<mpsc::Sender<Operation>>,
    thread: Option<JoinHandle<()>>,
    running: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection, organizations: Organizations) -> io::Result<Self> {
        let (queue, operations) = mpsc::channel(QUEUE_MAX);
        let (running, commits) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let work =
            Work { connection, organizations, running: Running(running.clone()), commits: commits.clone() };
        let thread =
            thread::Builder::new().name("store-writer".to_owned()).spawn(move || work.run(operations))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), running, commits })
    }

    /// Hands over an operation and waits until it is durable. Once handed over it is done, whoever waits.
    pub(crate) async fn run<T>(
        &self,
        operation: impl FnOnce(Reply<T>) -> Operation,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::unavailable("the store has stopped writing");
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(operation(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread finishes what is queued, and ends.
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes has panicked");
        }
    }
}

struct Work {
    connection: Connection,
    organizations: Organizations,
    running: Running,
    commits: Arc<AtomicU64>,
}

/// Says that the thread has ended, however it did.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Tells somebody how it went; takes what kept the transaction from being committed.
type Answer = Box<dyn FnOnce(Option<String>)>;

impl Work {
    fn run(self, mut operations: mpsc::Receiver<Operation>) {
        while let Some(first) = operations.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX
                && let Ok(next) = operations.try_recv()
            {
                batch.push(next);
            }
            if let Err(error) = self.commit(batch) {
                // What is on the disk now is open; to go on as if nothing had happened could lose what follows.
                drop(self.running);
                tracing::error!(%error, "cannot write, and will not try again: restart when the cause is mended");
                return;
            }
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "cannot tidy up the write-ahead log; nothing is lost");
        }
    }

    /// Does all of a batch in one transaction, and answers.
    ///
    /// # Errors
    /// If the transaction does not begin or commit; everybody has been told.
    fn commit(&self, batch: Vec<Operation>) -> rusqlite::Result<()> {
        let mut answers: Vec<Answer> = Vec::with_capacity(batch.len());
        let mut changed = HashMap::new();
        let committed = self.connection.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
            for operation in batch {
                answers.push(self.perform(operation, &mut changed)?);
            }
            self.connection.execute_batch("COMMIT")
        });
        if committed.is_ok() {
            self.commits.fetch_add(1, Ordering::Relaxed);
            self.organizations.extend(changed.into_values());
        }
        let failure = committed.as_ref().err().map(ToString::to_string);
        for answer in answers {
            answer(failure.clone());
        }
        committed
    }

    /// Does one operation; if it fails, it alone is undone.
    ///
    /// # Errors
    /// If it cannot be undone.
    fn perform(
        &self,
        operation: Operation,
        changed: &mut HashMap<OrganizationId, Row>,
    ) -> rusqlite::Result<Answer> {
        self.connection.prepare_cached("SAVEPOINT operation")?.execute([])?;
        let mut step =
            Step { connection: &self.connection, organizations: &self.organizations, changed, row: None };
        let (done, answer): (bool, Answer) = match operation {
            Operation::Apply { organization, changes, reply } => {
                finish(step.apply(&organization, changes), reply)
            }
            Operation::Create { id, name, reply } => finish(step.create(&id, name), reply),
            Operation::SetState { id, state, reply } => finish(step.set_state(&id, state), reply),
        };
        match step.row {
            Some(row) if done => {
                changed.insert(row.organization.id.clone(), row);
            }
            _ => self.connection.prepare_cached("ROLLBACK TO operation")?.execute([]).map(|_| ())?,
        }
        self.connection.prepare_cached("RELEASE operation")?.execute([])?;
        Ok(answer)
    }
}

fn finish<T: 'static>(outcome: Result<T, StoreError>, reply: Reply<T>) -> (bool, Answer) {
    let done = outcome.is_ok();
    let answer = move |failure: Option<String>| {
        let outcome = failure.map_or(outcome, |failure| Err(StoreError::unavailable(failure)));
        // Nobody waits any more: the deadline has passed, and the write stands.
        let _ = reply.send(outcome);
    };
    (done, Box::new(answer))
}

/// One operation inside a transaction.
struct Step<'a> {
    connection: &'a Connection,
    organizations: &'a Organizations,
    /// What earlier operations of the transaction did.
    changed: &'a HashMap<OrganizationId, Row>,
    /// What this one does to its organization's row.
    row: Option<Row>,
}

impl Step<'_> {
    fn find(&self, id: &OrganizationId) -> Option<Row> {
        self.changed.get(id).cloned().or_else(|| self.organizations.get(id))
    }

    fn apply(&mut self, id: &OrganizationId, changes: Vec<Change>) -> Result<Details, StoreError> {
        let row = self.find(id).filter(|row| row.organization.state != OrganizationState::Removed);
        let mut row = row.ok_or(StoreError::OrganizationNotFound)?;
        let effects = judge(changes, |key| self.stored(row.number, key).map_err(StoreError::unavailable))?;
        let at = Timestamp::now().max(row.last_event_at);
        if !effects.is_empty() {
            for effect in effects {
                row.organization.sequence += 1;
                self.write(&mut row, effect, at).map_err(StoreError::unavailable)?;
            }
            row.last_event_at = at;
            row.organization.last_metadata_event = Details { sequence: row.organization.sequence, at };
            self.update(&row).map_err(StoreError::unavailable)?;
        }
        let details = row.organization.last_metadata_event;
        self.row = Some(row);
        Ok(details)
    }

    fn create(&mut self, id: &OrganizationId, name: String) -> Result<Organization, StoreError> {
        let row = match self.find(id) {
            Some(row) => row,
            None => self.insert(id, name).map_err(StoreError::unavailable)?,
        };
        let organization = row.organization.clone();
        self.row = Some(row);
        Ok(organization)
    }

    fn set_state(
        &mut self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError> {
        let mut row = self.find(id).ok_or(StoreError::OrganizationNotFound)?;
        if row.organization.state != state {
            if row.organization.state == OrganizationState::Removed {
                return Err(StoreError::OrganizationNotFound);
            }
            row.organization.state = state;
            row.organization.sequence += 1;
            row.last_event_at = Timestamp::now().max(row.last_event_at);
            if state == OrganizationState::Removed {
                row.entries = 0;
                self.clear(row.number).map_err(StoreError::unavailable)?;
            }
            self.update(&row).map_err(StoreError::unavailable)?;
        }
        let organization = row.organization.clone();
        self.row = Some(row);
        Ok(organization)
    }

    fn stored(&self, organization: i64, key: &Key) -> rusqlite::Result<Option<Bytes>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT coalesce(value, (SELECT value FROM large_value WHERE number = large_value)) \
             FROM metadata WHERE organization = ?1 AND key = ?2",
        )?;
        let value: Option<Vec<u8>> =
            statement.query_row((organization, key.as_str()), |row| row.get(0)).optional()?;
        Ok(value.map(Bytes::from))
    }

    /// Makes one event happen; its number is the row's sequence.
    fn write(&self, row: &mut Row, Effect { key, value }: Effect, at: Timestamp) -> rusqlite::Result<()> {
        let (number, key) = (row.number, key.as_str());
        let mut find = self
            .connection
            .prepare_cached("SELECT large_value FROM metadata WHERE organization = ?1 AND key = ?2")?;
        let found: Option<Option<i64>> = find.query_row((number, key), |row| row.get(0)).optional()?;
        if let Some(Some(large)) = found {
            self.connection.prepare_cached("DELETE FROM large_value WHERE number = ?1")?.execute([large])?;
        }
        let Some(value) = value else {
            let mut delete = self
                .connection
                .prepare_cached("DELETE FROM metadata WHERE organization = ?1 AND key = ?2")?;
            row.entries -= delete.execute((number, key))? as u64;
            return Ok(());
        };
        let (inline, large) = if value.len() <= INLINE_BYTES_MAX {
            (Some(&value[..]), None)
        } else {
            self.connection
                .prepare_cached("INSERT INTO large_value (value) VALUES (?1)")?
                .execute([&value[..]])?;
            (None, Some(self.connection.last_insert_rowid()))
        };
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO metadata (organization, key, value, large_value, sequence, created_at, changed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) \
             ON CONFLICT DO UPDATE SET value = ?3, large_value = ?4, sequence = ?5, changed_at = ?6",
        )?;
        upsert.execute(params![number, key, inline, large, row.organization.sequence, at.as_micros()])?;
        if found.is_none() {
            row.entries += 1;
        }
        Ok(())
    }

    fn clear(&self, organization: i64) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "DELETE FROM large_value WHERE number IN (SELECT large_value FROM metadata WHERE organization = ?1)",
            )?
            .execute([organization])?;
        self.connection
            .prepare_cached("DELETE FROM metadata WHERE organization = ?1")?
            .execute([organization])?;
        Ok(())
    }

    fn insert(&self, id: &OrganizationId, name: String) -> rusqlite::Result<Row> {
        let created_at = Timestamp::now();
        let state = OrganizationState::Active;
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO organization (id, name, state, created_at, sequence, last_event_at, last_metadata_sequence, \
             last_metadata_at, entries) VALUES (?1, ?2, ?3, ?4, 1, ?4, 1, ?4, 0)",
        )?;
        insert.execute(params![id.as_str(), name, schema::number_of(state), created_at.as_micros()])?;
        let last_metadata_event = Details { sequence: 1, at: created_at };
        let organization =
            Organization { id: id.clone(), name, state, created_at, sequence: 1, last_metadata_event };
        Ok(Row {
            number: self.connection.last_insert_rowid(),
            organization,
            last_event_at: created_at,
            entries: 0,
        })
    }

    fn update(&self, row: &Row) -> rusqlite::Result<()> {
        let mut update = self.connection.prepare_cached(
            "UPDATE organization SET state = ?2, sequence = ?3, last_event_at = ?4, last_metadata_sequence = ?5, \
             last_metadata_at = ?6, entries = ?7 WHERE number = ?1",
        )?;
        let Organization {
            state,
            sequence,
            last_metadata_event: Details { sequence: metadata_sequence, at },
            ..
        } = &row.organization;
        update.execute(params![
            row.number,
            schema::number_of(*state),
            sequence,
            row.last_event_at.as_micros(),
            metadata_sequence,
            at.as_micros(),
            row.entries,
        ])?;
        Ok(())
    }
}

//! What the writer is asked to do: one operation in a transaction that others share.

use std::collections::HashMap;

use bytes::Bytes;
use domain::{Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use storage::{Effect, StoreError, judge, registry::RecordChange};
use tokio::sync::oneshot;

use crate::{Row, error::failure, registry, schema};

/// Values up to this size, in bytes, stand beside their keys.
pub(crate) const INLINE_BYTES_MAX: usize = 2_048;

/// Where who waits is told.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to write.
pub(crate) enum Operation {
    Apply { organization: OrganizationId, changes: Vec<Change>, reply: Reply<Details> },
    Create { id: OrganizationId, name: String, reply: Reply<Organization> },
    SetState { id: OrganizationId, state: OrganizationState, reply: Reply<Organization> },
    Change { expected: u64, changes: Vec<RecordChange>, reply: Reply<u64> },
}

impl Operation {
    /// Does it, in a transaction. Returns whether it failed, and how to tell who waits for it.
    pub(crate) fn perform(self, step: &mut Step<'_>) -> (Option<StoreError>, Answer) {
        match self {
            Self::Apply { organization, changes, reply } => finish(step.apply(&organization, changes), reply),
            Self::Create { id, name, reply } => finish(step.create(&id, name), reply),
            Self::SetState { id, state, reply } => finish(step.set_state(&id, state), reply),
            Self::Change { expected, changes, reply } => {
                finish(registry::change(step.connection, expected, changes), reply)
            }
        }
    }

    /// How to tell who waits that it was not even tried.
    pub(crate) fn into_answer(self) -> Answer {
        let untried = StoreError::unavailable("a write that shared the commit has failed");
        match self {
            Self::Apply { reply, .. } => finish(Err(untried), reply).1,
            Self::Create { reply, .. } | Self::SetState { reply, .. } => finish(Err(untried), reply).1,
            Self::Change { reply, .. } => finish(Err(untried), reply).1,
        }
    }
}

/// Tells somebody how it went; takes what kept the transaction from being committed.
pub(crate) type Answer = Box<dyn FnOnce(Option<&StoreError>)>;

/// Whether an operation failed, and how to tell who waits for it.
fn finish<T: 'static>(outcome: Result<T, StoreError>, reply: Reply<T>) -> (Option<StoreError>, Answer) {
    let failed = outcome.as_ref().err().map(StoreError::copy);
    let answer = move |uncommitted: Option<&StoreError>| {
        let outcome = match (uncommitted, outcome) {
            (None, outcome) | (Some(StoreError::Damaged(_)), outcome @ Err(StoreError::Damaged(_))) => {
                outcome
            }
            (Some(StoreError::Damaged(cause)), _) => {
                Err(StoreError::unavailable(format!("a write that shared the commit met damage: {cause}")))
            }
            (Some(error), _) => Err(error.copy()),
        };
        // Nobody waits any more: the deadline has passed, and the write stands.
        let _ = reply.send(outcome);
    };
    (failed, Box::new(answer))
}

/// One operation inside a transaction.
pub(crate) struct Step<'a> {
    connection: &'a Connection,
    /// What earlier operations of the transaction did.
    changed: &'a HashMap<OrganizationId, Row>,
    /// What this one does to its organization's row.
    pub(crate) row: Option<Row>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(connection: &'a Connection, changed: &'a HashMap<OrganizationId, Row>) -> Self {
        Self { connection, changed, row: None }
    }

    fn find(&self, id: &OrganizationId) -> Result<Option<Row>, StoreError> {
        match self.changed.get(id) {
            Some(row) => Ok(Some(row.clone())),
            None => schema::organization(self.connection, id).map_err(failure),
        }
    }

    fn apply(&mut self, id: &OrganizationId, changes: Vec<Change>) -> Result<Details, StoreError> {
        let row = self.find(id)?.filter(|row| row.organization.state != OrganizationState::Removed);
        let mut row = row.ok_or(StoreError::OrganizationNotFound)?;
        let effects = judge(changes, |key| self.stored(row.number, key).map_err(failure))?;
        let at = Timestamp::now().max(row.last_event_at);
        if !effects.is_empty() {
            for effect in effects {
                row.organization.sequence += 1;
                self.write(&mut row, effect, at).map_err(failure)?;
            }
            row.last_event_at = at;
            row.organization.last_metadata_event = Details { sequence: row.organization.sequence, at };
            self.update(&row).map_err(failure)?;
        }
        let details = row.organization.last_metadata_event;
        self.row = Some(row);
        Ok(details)
    }

    fn create(&mut self, id: &OrganizationId, name: String) -> Result<Organization, StoreError> {
        let row = match self.find(id)? {
            Some(row) => row,
            None => self.insert(id, name).map_err(failure)?,
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
        let mut row = self.find(id)?.ok_or(StoreError::OrganizationNotFound)?;
        if row.organization.state != state {
            if row.organization.state == OrganizationState::Removed {
                return Err(StoreError::OrganizationNotFound);
            }
            row.organization.state = state;
            row.organization.sequence += 1;
            row.last_event_at = Timestamp::now().max(row.last_event_at);
            if state == OrganizationState::Removed {
                row.entries = 0;
                clear(self.connection, row.number).map_err(failure)?;
            }
            self.update(&row).map_err(failure)?;
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
        let sequence = row.organization.sequence;
        match value {
            Some(value) => {
                let created_at = let_go(self.connection, row.number, &key)?;
                row.entries += u64::from(created_at.is_none());
                let created_at = created_at.unwrap_or(at);
                put(
                    self.connection,
                    row.number,
                    &Entry { key, value, sequence, created_at, changed_at: at },
                )?;
            }
            None => {
                if let_go(self.connection, row.number, &key)?.is_some() {
                    row.entries -= 1;
                    self.connection
                        .prepare_cached("DELETE FROM metadata WHERE organization = ?1 AND key = ?2")?
                        .execute((row.number, key.as_str()))?;
                }
            }
        }
        Ok(())
    }

    fn insert(&self, id: &OrganizationId, name: String) -> rusqlite::Result<Row> {
        let created_at = Timestamp::now();
        let state = OrganizationState::Active;
        let at = created_at.as_micros();
        let mut insert = self.connection.prepare_cached(schema::INSERT_ORGANIZATION)?;
        insert.execute(params![id.as_str(), name, state.number(), at, 1, at, 1, at])?;
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
            state.number(),
            sequence,
            row.last_event_at.as_micros(),
            metadata_sequence,
            at.as_micros(),
            row.entries,
        ])?;
        Ok(())
    }
}

/// Stores an entry of an organization, in the place of what [`let_go`] has found.
pub(crate) fn put(connection: &Connection, organization: i64, entry: &Entry) -> rusqlite::Result<()> {
    let Entry { key, value, sequence, created_at, changed_at } = entry;
    let (inline, large) = if value.len() <= INLINE_BYTES_MAX {
        (Some(&value[..]), None)
    } else {
        connection.prepare_cached("INSERT INTO large_value (value) VALUES (?1)")?.execute([&value[..]])?;
        (None, Some(connection.last_insert_rowid()))
    };
    let mut upsert = connection.prepare_cached(
        "INSERT INTO metadata (organization, key, value, large_value, sequence, created_at, changed_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT DO UPDATE SET value = ?3, large_value = ?4, sequence = ?5, created_at = ?6, changed_at = ?7",
    )?;
    upsert.execute(params![
        organization,
        key.as_str(),
        inline,
        large,
        sequence,
        created_at.as_micros(),
        changed_at.as_micros()
    ])?;
    Ok(())
}

/// Removes the large value that an entry may have. Returns when the entry was created, if it is there.
pub(crate) fn let_go(
    connection: &Connection,
    organization: i64,
    key: &Key,
) -> rusqlite::Result<Option<Timestamp>> {
    let mut find = connection.prepare_cached(
        "SELECT large_value, created_at FROM metadata WHERE organization = ?1 AND key = ?2",
    )?;
    let found: Option<(Option<i64>, i64)> =
        find.query_row((organization, key.as_str()), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    if let Some((Some(large), _)) = found {
        connection.prepare_cached("DELETE FROM large_value WHERE number = ?1")?.execute([large])?;
    }
    Ok(found.map(|(_, created_at)| Timestamp::from_micros(created_at)))
}

/// Removes all entries of an organization.
pub(crate) fn clear(connection: &Connection, organization: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM large_value WHERE number IN (SELECT large_value FROM metadata WHERE organization = ?1)",
        )?
        .execute([organization])?;
    connection.prepare_cached("DELETE FROM metadata WHERE organization = ?1")?.execute([organization])?;
    Ok(())
}

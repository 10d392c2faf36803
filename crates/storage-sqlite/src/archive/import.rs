//! Rows that come from elsewhere.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use domain::{Details, Organization, OrganizationState, Timestamp};
use rusqlite::{
    Connection, ErrorCode, MAIN_DB, OptionalExtension, TransactionBehavior, params, wal::CheckpointMode,
};
use storage::archive::{Import, ImportError, Record};

use crate::{Row, beside, error::failure, operation, schema};

/// How many pages of the write-ahead log are worth a checkpoint.
const LOG_PAGES_MAX: usize = 4_000;

/// How many records of an import there are.
pub(super) fn imported(connection: &Connection, source: &str) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT records FROM import WHERE source = ?1")?;
    Ok(statement.query_row([source], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// Writes beside whoever serves the store.
pub(super) struct Importer {
    connection: Connection,
    /// How long the write-ahead log was after the last commit.
    log_pages: Arc<AtomicUsize>,
}

impl Importer {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let mut connection = beside::connect(path)?;
        // Checkpoints are made by hand: SQLite would tell nobody if one failed.
        let log_pages = Arc::new(AtomicUsize::new(0));
        let seen = log_pages.clone();
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            seen.store(usize::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { connection, log_pages })
    }

    /// Stores a batch durably.
    pub(super) fn batch(
        &mut self,
        import: &Import,
        before: u64,
        records: Vec<Record>,
    ) -> Result<(), ImportError> {
        batch(&mut self.connection, import, before, records)?;
        if self.log_pages.load(Ordering::Relaxed) < LOG_PAGES_MAX {
            return Ok(());
        }
        match self.connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE) {
            // Who serves the store makes one too.
            Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => {
                Err(failure(error).into())
            }
            _ => Ok(()),
        }
    }

    /// Forgets how many records of an import there are.
    pub(super) fn finish(&self, source: &str) -> rusqlite::Result<()> {
        self.connection.execute("DELETE FROM import WHERE source = ?1", [source])?;
        Ok(())
    }
}

/// Stores a batch in one transaction.
fn batch(
    connection: &mut Connection,
    import: &Import,
    before: u64,
    records: Vec<Record>,
) -> Result<(), ImportError> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failure)?;
    let found = imported(&transaction, &import.source).map_err(failure)?;
    if found != before {
        return Err(ImportError::Overtaken { expected: before, found });
    }
    let count = records.len() as u64;
    // `None` for those that are removed.
    let mut organizations = HashMap::new();
    for record in records {
        match record {
            Record::Organization { organization, last_event_at } => {
                let (id, state) = (organization.id.clone(), organization.state);
                let number = put_organization(&transaction, import, organization, last_event_at)?;
                organizations.insert(id, (state != OrganizationState::Removed).then_some((number, 0)));
            }
            Record::Entry { organization, entry } => {
                if !organizations.contains_key(&organization) {
                    let row = schema::organization(&transaction, &organization).map_err(failure)?;
                    let row = row.ok_or_else(|| ImportError::Orphan(organization.clone()))?;
                    let is_there = row.organization.state != OrganizationState::Removed;
                    organizations.insert(organization.clone(), is_there.then_some((row.number, 0)));
                }
                if let Some(Some((number, added))) = organizations.get_mut(&organization) {
                    let found = operation::let_go(&transaction, *number, &entry.key).map_err(failure)?;
                    operation::put(&transaction, *number, &entry).map_err(failure)?;
                    *added += u64::from(found.is_none());
                }
            }
        }
    }
    for (number, added) in organizations.into_values().flatten().filter(|(_, added)| *added > 0) {
        transaction
            .prepare_cached("UPDATE organization SET entries = entries + ?2 WHERE number = ?1")
            .and_then(|mut statement| statement.execute((number, added)))
            .map_err(failure)?;
    }
    transaction
        .prepare_cached(
            "INSERT INTO import (source, records) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET records = ?2",
        )
        .and_then(|mut statement| statement.execute((&import.source, before + count)))
        .map_err(failure)?;
    transaction.commit().map_err(failure)?;
    Ok(())
}

/// Stores an organization without metadata; returns its number.
fn put_organization(
    connection: &Connection,
    import: &Import,
    organization: Organization,
    last_event_at: Timestamp,
) -> Result<i64, ImportError> {
    if let Some(Row { number, .. }) = schema::organization(connection, &organization.id).map_err(failure)? {
        if !import.replace {
            return Err(ImportError::Exists(organization.id));
        }
        operation::clear(connection, number).map_err(failure)?;
        connection
            .prepare_cached("DELETE FROM organization WHERE number = ?1")
            .and_then(|mut statement| statement.execute([number]))
            .map_err(failure)?;
    }
    let Organization { id, name, state, created_at, sequence, last_metadata_event } = organization;
    let Details { sequence: last_metadata_sequence, at: last_metadata_at } = last_metadata_event;
    let put = connection.prepare_cached(schema::INSERT_ORGANIZATION).and_then(|mut statement| {
        statement.execute(params![
            id.as_str(),
            name,
            state.number(),
            created_at.as_micros(),
            sequence,
            last_event_at.as_micros(),
            last_metadata_sequence,
            last_metadata_at.as_micros(),
        ])
    });
    put.map_err(failure)?;
    Ok(connection.last_insert_rowid())
}

//! Rows that come from elsewhere.

use std::collections::HashMap;

use domain::{Details, Organization, OrganizationId, Timestamp};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use storage::archive::{Import, ImportError, Record};

use crate::{error::failure, operation, schema};

/// How many records of an import there are.
pub(super) fn imported(connection: &Connection, source: &str) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT records FROM import WHERE source = ?1")?;
    Ok(statement.query_row([source], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// Forgets how many there are.
pub(super) fn finish(connection: &Connection, source: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM import WHERE source = ?1", [source])?;
    Ok(())
}

/// Stores a batch in one transaction.
pub(super) fn batch(
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
    let mut organizations = HashMap::new();
    for record in records {
        match record {
            Record::Organization { organization, last_event_at } => {
                let id = organization.id.clone();
                let number = put_organization(&transaction, import, organization, last_event_at)?;
                organizations.insert(id, (number, 0));
            }
            Record::Entry { organization, entry } => {
                if !organizations.contains_key(&organization) {
                    let number = number(&transaction, &organization)?;
                    let number = number.ok_or_else(|| ImportError::Orphan(organization.clone()))?;
                    organizations.insert(organization.clone(), (number, 0));
                }
                if let Some((number, added)) = organizations.get_mut(&organization) {
                    let is_new = operation::put(&transaction, *number, &entry).map_err(failure)?;
                    *added += u64::from(is_new);
                }
            }
        }
    }
    for (number, added) in organizations.into_values().filter(|(_, added)| *added > 0) {
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

fn number(connection: &Connection, id: &OrganizationId) -> Result<Option<i64>, ImportError> {
    let found = connection
        .prepare_cached("SELECT number FROM organization WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id.as_str()], |row| row.get(0)).optional());
    Ok(found.map_err(failure)?)
}

/// Stores an organization without metadata; returns its number.
fn put_organization(
    connection: &Connection,
    import: &Import,
    organization: Organization,
    last_event_at: Timestamp,
) -> Result<i64, ImportError> {
    if let Some(number) = number(connection, &organization.id)? {
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

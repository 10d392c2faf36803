//! The records that are shared.

use rusqlite::Connection;
use storage::{
    StoreError,
    registry::{Changes, RecordChange},
};

use crate::error::failure;

/// The number of the last change.
pub(crate) fn revision(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT revision FROM registry")?.query_row([], |row| row.get(0))
}

/// What has changed after the change of this number.
pub(crate) fn changes(connection: &Connection, since: u64) -> rusqlite::Result<Changes> {
    // Past the last number there is nothing.
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let snapshot = connection.unchecked_transaction()?;
    let mut select = snapshot.prepare_cached(
        "SELECT kind, id, body FROM record WHERE revision > ?1 AND (body IS NOT NULL OR ?1 > 0) ORDER BY kind, id",
    )?;
    let records = select.query_map([since], |row| {
        Ok(RecordChange { kind: row.get(0)?, id: row.get(1)?, body: row.get(2)? })
    })?;
    Ok(Changes { revision: revision(&snapshot)?, records: records.collect::<Result<_, _>>()? })
}

/// Makes all changes as one, in a transaction of the caller's.
pub(crate) fn change(
    connection: &Connection,
    expected: u64,
    changes: Vec<RecordChange>,
) -> Result<u64, StoreError> {
    let last = i64::try_from(expected).map_err(|_| StoreError::Conflict)?;
    let mut advance = connection
        .prepare_cached("UPDATE registry SET revision = revision + 1 WHERE revision = ?1")
        .map_err(failure)?;
    if advance.execute([last]).map_err(failure)? == 0 {
        return Err(StoreError::Conflict);
    }
    let mut put = connection
        .prepare_cached(
            "INSERT INTO record (kind, id, body, revision) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET body = ?3, revision = ?4",
        )
        .map_err(failure)?;
    for RecordChange { kind, id, body } in changes {
        put.execute((kind, id, body, last + 1)).map_err(failure)?;
    }
    Ok(expected + 1)
}

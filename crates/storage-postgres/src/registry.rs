//! The records that are shared.

use std::collections::BTreeMap;

use storage::{
    StoreError,
    registry::{Changes, RecordChange},
};
use tokio_postgres::types::Type;

use crate::{
    database::Database,
    error::Failure,
    read::{column, count},
};

/// What has changed after the change of this number; after a number that cannot be, nothing.
pub(crate) async fn changes(database: &Database, since: u64) -> Result<Changes, Failure> {
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let rows = database.query("SELECT * FROM metagate.changes_3($1)", &[(&since as _, Type::INT8)]).await?;
    let mut changes = Changes::default();
    for row in &rows {
        changes.revision = count(column(row, 0)?);
        // There is none if nothing has changed.
        if let Some(kind) = column(row, 1)? {
            changes.records.push(RecordChange { kind, id: column(row, 2)?, body: column(row, 3)? });
        }
    }
    Ok(changes)
}

/// Makes all changes as one.
pub(crate) async fn change(
    database: &Database,
    expected: u64,
    changes: Vec<RecordChange>,
) -> Result<u64, StoreError> {
    let last = i64::try_from(expected).map_err(|_| StoreError::Conflict)?;
    // The database takes each record once; the last of its changes counts.
    let changes: BTreeMap<_, _> =
        changes.into_iter().map(|change| ((change.kind, change.id), change.body)).collect();
    let (names, bodies): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
    let (kinds, ids): (Vec<_>, Vec<_>) = names.into_iter().unzip();
    let parameters: &[_] = &[
        (&last as _, Type::INT8),
        (&kinds as _, Type::TEXT_ARRAY),
        (&ids as _, Type::TEXT_ARRAY),
        (&bodies as _, Type::BYTEA_ARRAY),
    ];
    let mut retry = database.retry();
    let rows = loop {
        let answer = match database.lease().await {
            Ok(mut lease) => {
                let statement = "SELECT metagate.change_3($1, $2, $3, $4)";
                lease.query_until(database.deadline(), statement, parameters).await
            }
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(rows) => break rows,
            Err(failure) => retry.after(failure).await.map_err(Failure::into_error)?,
        }
    };
    let row = rows.first().ok_or_else(|| StoreError::unavailable("the database has not said what it did"))?;
    let is_made: bool = column(row, 0).map_err(Failure::into_error)?;
    if is_made { Ok(expected + 1) } else { Err(StoreError::Conflict) }
}

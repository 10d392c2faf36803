//! Statements of one organization or entry, and pages. Lookups of organizations are in `lookup.rs`, writes in `batch.rs`.

use bytes::Bytes;
use domain::{Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query, Timestamp};
use futures_util::{TryStreamExt, pin_mut};
use storage::StoreError;
use tokio_postgres::{
    Row,
    types::{FromSql, ToSql, Type},
};

use crate::{database::Database, error::Failure};

/// Creates an organization, or leaves it as it is.
pub(crate) async fn create(
    database: &Database,
    id: &OrganizationId,
    name: &str,
) -> Result<Organization, StoreError> {
    let parameters: &[_] = &[(&id.as_str() as _, Type::TEXT), (&name as _, Type::TEXT)];
    let rows = database.query("SELECT * FROM metagate.create_1($1, $2)", parameters).await;
    let rows = rows.map_err(Failure::into_error)?;
    let row = rows.first().ok_or_else(|| StoreError::unavailable("the organization was not created"))?;
    organization_of(row).map(|(organization, _)| organization).map_err(Failure::into_error)
}

/// Brings an organization to a state.
pub(crate) async fn set_state(
    database: &Database,
    id: &OrganizationId,
    state: OrganizationState,
) -> Result<Organization, StoreError> {
    let number = state.number();
    let parameters: &[_] = &[(&id.as_str() as _, Type::TEXT), (&number as _, Type::INT2)];
    let rows = database.query("SELECT * FROM metagate.set_state_1($1, $2)", parameters).await;
    let rows = rows.map_err(Failure::into_error)?;
    let row = rows.first().ok_or(StoreError::OrganizationNotFound)?;
    organization_of(row).map(|(organization, _)| organization).map_err(Failure::into_error)
}

/// The entry of a key.
pub(crate) async fn get(
    database: &Database,
    organization: &OrganizationId,
    key: &Key,
) -> Result<Option<Entry>, Failure> {
    let parameters: &[_] = &[(&organization.as_str() as _, Type::TEXT), (&key.as_str() as _, Type::TEXT)];
    let statement = "SELECT key, value, sequence, created_at, changed_at FROM metagate.get_1($1, $2)";
    let rows = database.query(statement, parameters).await?;
    rows.first().map(|row| entry_of(row, 0)).transpose()
}

/// A page, and the count of all that match, at one moment.
pub(crate) async fn list(
    database: &Database,
    organization: &OrganizationId,
    query: &Query,
) -> Result<Page, Failure> {
    // An offset past the end of the database's numbers is past the end of everything.
    let offset = i64::try_from(query.offset).unwrap_or(i64::MAX);
    if query.filters.iter().any(|filter| !filter.is_prefix()) {
        let mut retry = database.retry();
        loop {
            match scan(database, organization, query, offset).await {
                // It makes no difference how often it is read.
                Err(Failure::Open(error)) => retry.after(Failure::Again(error)).await?,
                Err(failure) => retry.after(failure).await?,
                page => return page,
            }
        }
    }
    let prefix = query.longest_prefix();
    // All must begin with the longest; a shorter one that it does not begin with leaves nothing.
    let is_empty =
        prefix.is_some_and(|longest| !query.filters.iter().all(|f| longest.starts_with(f.prefix())));
    if is_empty {
        return Ok(Page::default());
    }
    let below = prefix.and_then(domain::after_all_with);
    let limit = query.limit.map(i64::from);
    let parameters: &[_] = &[
        (&organization.as_str() as _, Type::TEXT),
        (&prefix as _, Type::TEXT),
        (&below as _, Type::TEXT),
        (&limit as _, Type::INT8),
        (&offset as _, Type::INT8),
    ];
    let rows = database.query("SELECT * FROM metagate.list_1($1, $2, $3, $4, $5)", parameters).await?;
    let Some((head, entries)) = rows.split_first() else { return Ok(Page::default()) };
    Ok(Page {
        total: count(column(head, 0)?),
        entries: entries.iter().map(|row| entry_of(row, 1)).collect::<Result<_, _>>()?,
    })
}

/// The keys of an organization in a range, whose end may be NULL.
const ALL_KEYS: &str = "SELECT m.key FROM metagate.organization AS o \
     JOIN metagate.metadata AS m ON m.organization = o.number \
     WHERE o.id = $1 AND o.state <> 3 AND m.key >= $2 AND ($3::text IS NULL OR m.key < $3) ORDER BY m.key";

/// Looks at keys alone, and reads only what is on the page: filters fold as `domain` does, which no collation of the
/// database does.
async fn scan(
    database: &Database,
    organization: &OrganizationId,
    query: &Query,
    offset: i64,
) -> Result<Page, Failure> {
    let mut lease = database.lease().await?;
    lease.begin("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let prefix = query.longest_prefix().unwrap_or_default();
    let below = domain::after_all_with(prefix);
    let limit = query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (mut keys, mut total) = (Vec::new(), 0_u64);
    {
        let (client, bounds) = lease.client()?;
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&organization.as_str(), Type::TEXT), (&prefix, Type::TEXT), (&below, Type::TEXT)];
        let read = async {
            let rows = client.query_typed_raw(ALL_KEYS, parameters).await?;
            pin_mut!(rows);
            while let Some(row) = rows.try_next().await? {
                let key: &str = row.try_get(0)?;
                if query.filters.iter().all(|filter| filter.matches(key)) {
                    if total >= offset.cast_unsigned() && keys.len() < limit {
                        keys.push(key.to_owned());
                    }
                    total += 1;
                }
            }
            Ok(())
        };
        bounds.answer(read).await?;
    }
    let entries = if keys.is_empty() {
        Vec::new()
    } else {
        let parameters: &[_] = &[(&organization.as_str() as _, Type::TEXT), (&keys as _, Type::TEXT_ARRAY)];
        let statement = "SELECT m.key, m.value, m.sequence, m.created_at, m.changed_at \
             FROM metagate.organization AS o JOIN metagate.metadata AS m ON m.organization = o.number \
             WHERE o.id = $1 AND m.key = ANY ($2) ORDER BY m.key";
        let rows = lease.query(statement, parameters).await?;
        rows.iter().map(|row| entry_of(row, 0)).collect::<Result<_, _>>()?
    };
    lease.end("COMMIT").await?;
    Ok(Page { entries, total })
}

/// A row that begins with the columns of the table `organization`: the organization, and the time of its last event.
pub(crate) fn organization_of(row: &Row) -> Result<(Organization, Timestamp), Failure> {
    let number = |index| column::<i64>(row, index);
    let time = |index| number(index).map(Timestamp::from_micros);
    let state: i16 = column(row, 3)?;
    let organization = Organization {
        id: OrganizationId::new(column(row, 1)?).map_err(damaged)?,
        name: column(row, 2)?,
        state: OrganizationState::from_number(state)
            .ok_or_else(|| damaged(format!("an organization of state {state}")))?,
        created_at: time(4)?,
        sequence: count(number(5)?),
        last_metadata_event: Details { sequence: count(number(7)?), at: time(8)? },
    };
    Ok((organization, time(6)?))
}

/// Key, value, sequence, and the two times, from column `first` on.
pub(crate) fn entry_of(row: &Row, first: usize) -> Result<Entry, Failure> {
    let value: &[u8] = column(row, first + 1)?;
    Ok(Entry {
        key: Key::new(column(row, first)?).map_err(damaged)?,
        value: Bytes::copy_from_slice(value),
        sequence: count(column(row, first + 2)?),
        created_at: Timestamp::from_micros(column(row, first + 3)?),
        changed_at: Timestamp::from_micros(column(row, first + 4)?),
    })
}

/// The value of a column.
pub(crate) fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Failure> {
    row.try_get(index).map_err(Failure::of_statement)
}

/// What counts from 0 up, and is a signed number to the database.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn damaged(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::Final(StoreError::Damaged(what.into()))
}

//! The store as its operator sees it.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use domain::{Entry, Organization, OrganizationId, OrganizationState};
use futures_util::{TryStreamExt, pin_mut};
use storage::{
    StoreError,
    archive::{
        self, Archive, Batch, Batches, Import, ImportError, LargeValue, PROBLEMS_MAX, Record, Records, Stats,
    },
};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::{
    PostgresStore,
    database::{Database, Lease, Parameters},
    error::Failure,
    read::{column, count, entry_of, organization_of},
};

/// What an operator reads may take its time. Organizations come in the order of their ids, and their entries in that of
/// their keys, from the indexes: nothing that grows with the store is sorted or hashed.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = 0; \
     SET LOCAL search_path = metagate";
const IN_ORDER: &str = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
     SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off";

const RECORDS: &str = "SELECT o.number, o.id, o.name, o.state, o.created_at, o.sequence, o.last_event_at, \
     o.last_metadata_sequence, o.last_metadata_at, m.key, m.value, m.sequence, m.created_at, m.changed_at \
     FROM organization AS o LEFT JOIN metadata AS m ON m.organization = o.number AND o.state <> 3 ORDER BY o.id, m.key";

/// How many columns of [`RECORDS`] are the organization's.
const ORGANIZATION_COLUMNS: usize = 9;

#[async_trait]
impl Archive for PostgresStore {
    fn records(&self) -> Records {
        let database = self.database.clone();
        archive::read_by(|batches| {
            tokio::spawn(async move {
                if let Err(failure) = read(&database, &batches).await {
                    // Whoever does not wait for it does not need it.
                    let _ = batches.send(Err(failure.into_error())).await;
                }
            })
        })
    }

    async fn import(&self, import: &Import, before: u64, records: Vec<Record>) -> Result<(), ImportError> {
        let rows = Rows::of(records);
        let mut retry = self.database.retry();
        loop {
            match self.try_import(import, before, &rows).await {
                Ok(outcome) => return outcome,
                Err(failure) => retry.after(failure).await.map_err(Failure::into_error)?,
            }
        }
    }

    async fn imported(&self, source: &str) -> Result<u64, StoreError> {
        let parameters: &[_] = &[(&source as _, Type::TEXT)];
        let rows = self.database.query("SELECT records FROM metagate.import WHERE source = $1", parameters);
        let found = async { rows.await?.first().map_or(Ok(0), |row| column(row, 0).map(count)) };
        found.await.map_err(Failure::into_error)
    }

    async fn finish_import(&self, source: &str) -> Result<(), StoreError> {
        let parameters: &[_] = &[(&source as _, Type::TEXT)];
        let rows = self.database.query("DELETE FROM metagate.import WHERE source = $1", parameters).await;
        rows.map(|_| ()).map_err(Failure::into_error)
    }

    async fn stats(&self, largest: u32) -> Result<Stats, StoreError> {
        let stats = async {
            let mut lease = self.begin(BEGIN).await?;
            let stats = stats(&mut lease, largest).await?;
            lease.end("COMMIT").await?;
            Ok(stats)
        };
        stats.await.map_err(Failure::into_error)
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        let check = async {
            let mut lease = self.begin(BEGIN).await?;
            let mut problems = Vec::new();
            for (rule, statement) in archive::RULES {
                let left = PROBLEMS_MAX - problems.len();
                for row in all(&mut lease, &format!("{statement} LIMIT {left}"), &[]).await? {
                    problems.push(archive::problem(rule, column(&row, 0)?, column(&row, 1)?));
                }
            }
            for row in all(&mut lease, "SELECT source, records FROM import", &[]).await? {
                problems.push(archive::unfinished(column(&row, 0)?, count(column(&row, 1)?)));
            }
            lease.end("COMMIT").await?;
            Ok(problems)
        };
        check.await.map_err(Failure::into_error)
    }
}

impl PostgresStore {
    async fn begin(&self, statement: &str) -> Result<Lease, Failure> {
        let mut lease = self.database.lease().await?;
        lease.begin(statement).await?;
        Ok(lease)
    }

    /// Imports a batch in one transaction.
    async fn try_import(
        &self,
        import: &Import,
        before: u64,
        rows: &Rows,
    ) -> Result<Result<(), ImportError>, Failure> {
        let mut lease = self.begin("BEGIN; SET LOCAL statement_timeout = 0").await?;
        let outcome = put(&mut lease, import, before, rows).await?;
        lease.end(if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        Ok(outcome)
    }
}

/// Reads until all is read, or nobody takes it any more.
async fn read(database: &Database, batches: &Batches) -> Result<(), Failure> {
    let mut lease = database.lease().await?;
    lease.begin(&format!("{BEGIN}; {IN_ORDER}")).await?;
    let mut batch = Batch::default();
    let mut current: Option<OrganizationId> = None;
    {
        let (client, _) = lease.client()?;
        let none: [(&(dyn ToSql + Sync), Type); 0] = [];
        let rows = client.query_typed_raw(RECORDS, none).await.map_err(Failure::of_statement)?;
        pin_mut!(rows);
        while let Some(row) = rows.try_next().await.map_err(Failure::of_statement)? {
            for record in records_of(&row, &mut current)? {
                if let Some(batch) = batch.push(record)
                    && batches.send(Ok(batch)).await.is_err()
                {
                    return Ok(());
                }
            }
        }
    }
    lease.end("COMMIT").await?;
    if let Some(batch) = batch.take() {
        // Nobody waits any more: there is nobody to tell.
        let _ = batches.send(Ok(batch)).await;
    }
    Ok(())
}

/// The organization of a row, unless it is the one before, and the entry, if there is one.
fn records_of(
    row: &Row,
    current: &mut Option<OrganizationId>,
) -> Result<impl Iterator<Item = Record> + use<>, Failure> {
    let id: &str = column(row, 1)?;
    let (mut organization, mut entry) = (None, None);
    if current.as_ref().is_none_or(|current| current.as_str() != id) {
        let (read, last_event_at) = organization_of(row)?;
        *current = Some(read.id.clone());
        organization = Some(Record::Organization { organization: read, last_event_at });
    }
    if let (Some(organization), Some(_)) = (&current, column::<Option<&str>>(row, ORGANIZATION_COLUMNS)?) {
        let organization = organization.clone();
        entry = Some(Record::Entry { organization, entry: entry_of(row, ORGANIZATION_COLUMNS)? });
    }
    Ok(organization.into_iter().chain(entry))
}

/// Runs a statement that may take its time.
async fn all(lease: &mut Lease, statement: &str, parameters: &Parameters<'_>) -> Result<Vec<Row>, Failure> {
    let (client, _) = lease.client()?;
    client.query_typed(statement, parameters).await.map_err(Failure::of_statement)
}

async fn stats(lease: &mut Lease, largest: u32) -> Result<Stats, Failure> {
    let mut stats = Stats::default();
    for row in all(lease, "SELECT state, count(*) FROM organization GROUP BY state", &[]).await? {
        let organizations = count(column(&row, 1)?);
        match column::<i16>(&row, 0)? {
            1 => stats.active = organizations,
            2 => stats.inactive = organizations,
            _ => stats.removed = organizations,
        }
    }
    let sum = "SELECT count(*), coalesce(sum(octet_length(value)), 0)::bigint FROM metadata";
    for row in all(lease, sum, &[]).await? {
        (stats.entries, stats.bytes) = (count(column(&row, 0)?), count(column(&row, 1)?));
    }
    let values = "SELECT o.id, m.key, m.bytes FROM \
         (SELECT organization, key, octet_length(value) AS bytes FROM metadata ORDER BY bytes DESC LIMIT $1) AS m \
         JOIN organization AS o ON o.number = m.organization ORDER BY m.bytes DESC, o.id, m.key";
    for row in all(lease, values, &[(&i64::from(largest), Type::INT8)]).await? {
        let bytes: i32 = column(&row, 2)?;
        let (organization, key) = (column(&row, 0)?, column(&row, 1)?);
        stats.largest.push(LargeValue { organization, key, bytes: count(bytes.into()) });
    }
    Ok(stats)
}

/// A batch, by tables.
struct Rows {
    count: u64,
    organizations: Vec<(Organization, i64)>,
    /// By organization, in the order of locks.
    entries: BTreeMap<OrganizationId, Vec<Entry>>,
}

impl Rows {
    fn of(records: Vec<Record>) -> Self {
        let mut rows =
            Self { count: records.len() as u64, organizations: Vec::new(), entries: BTreeMap::new() };
        for record in records {
            match record {
                Record::Organization { organization, last_event_at } => {
                    rows.organizations.push((organization, last_event_at.as_micros()));
                }
                Record::Entry { organization, entry } => {
                    rows.entries.entry(organization).or_default().push(entry);
                }
            }
        }
        rows.organizations.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        rows
    }
}

async fn put(
    lease: &mut Lease,
    import: &Import,
    before: u64,
    rows: &Rows,
) -> Result<Result<(), ImportError>, Failure> {
    if let Err(found) = advance(lease, import, before, before + rows.count).await? {
        return Ok(Err(ImportError::Overtaken { expected: before, found }));
    }
    let mut numbers = lock(lease, rows).await?;
    // Those that have come into being meanwhile are locked out of order: the database sees who waits in a circle.
    let replaced = put_organizations(lease, import, &rows.organizations).await?;
    if let Some((organization, _)) =
        rows.organizations.iter().find(|(organization, _)| !replaced.contains_key(&organization.id))
    {
        return Ok(Err(ImportError::Exists(organization.id.clone())));
    }
    numbers.extend(replaced);
    let mut entries = Vec::with_capacity(rows.entries.len());
    for (organization, of_it) in &rows.entries {
        match numbers.get(organization) {
            None => return Ok(Err(ImportError::Orphan(organization.clone()))),
            Some(Some(number)) => entries.extend(of_it.iter().map(|entry| (*number, entry))),
            Some(None) => {}
        }
    }
    put_entries(lease, &entries).await?;
    Ok(Ok(()))
}

/// Notes that an import has come from `before` records to `now`.
///
/// # Errors
/// How far it has come, if that is elsewhere.
async fn advance(
    lease: &mut Lease,
    import: &Import,
    before: u64,
    now: u64,
) -> Result<Result<(), u64>, Failure> {
    let source = (&import.source as _, Type::TEXT);
    let find = "SELECT records FROM metagate.import WHERE source = $1 FOR UPDATE";
    let found = all(lease, find, std::slice::from_ref(&source)).await?;
    let found = found.first().map_or(Ok(0), |row| column(row, 0).map(count))?;
    if found != before {
        return Ok(Err(found));
    }
    let (before, now) = (number(before), number(now));
    let advance = "INSERT INTO metagate.import AS i (source, records) VALUES ($1, $2) \
         ON CONFLICT (source) DO UPDATE SET records = $2 WHERE i.records = $3 RETURNING records";
    let parameters: &[_] = &[source, (&now as _, Type::INT8), (&before as _, Type::INT8)];
    if all(lease, advance, parameters).await?.is_empty() {
        let reason = "another has begun the same import at this moment";
        return Err(Failure::Again(StoreError::unavailable(reason)));
    }
    Ok(Ok(()))
}

/// Where the entries of organizations belong; nowhere, if they are removed.
type Numbers = HashMap<OrganizationId, Option<i64>>;

/// Locks the organizations of the batch that are there, as writes do.
async fn lock(lease: &mut Lease, rows: &Rows) -> Result<Numbers, Failure> {
    let mut ids: Vec<&str> = rows.entries.keys().map(OrganizationId::as_str).collect();
    ids.extend(rows.organizations.iter().map(|(organization, _)| organization.id.as_str()));
    let lock =
        "SELECT id, number, state FROM metagate.organization WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
    numbers(&all(lease, lock, &[(&ids, Type::TEXT_ARRAY)]).await?)
}

/// Stores organizations without metadata. Returns the numbers of those that were not there, or are to be replaced.
async fn put_organizations(
    lease: &mut Lease,
    import: &Import,
    organizations: &[(Organization, i64)],
) -> Result<Numbers, Failure> {
    if organizations.is_empty() {
        return Ok(Numbers::new());
    }
    let of = |value: fn(&Organization) -> i64| -> Vec<i64> {
        organizations.iter().map(|(organization, _)| value(organization)).collect()
    };
    let ids: Vec<&str> = organizations.iter().map(|(organization, _)| organization.id.as_str()).collect();
    let names: Vec<&str> = organizations.iter().map(|(organization, _)| organization.name.as_str()).collect();
    let states: Vec<i16> =
        organizations.iter().map(|(organization, _)| organization.state.number()).collect();
    let created = of(|organization| organization.created_at.as_micros());
    let sequences = of(|organization| number(organization.sequence));
    let last: Vec<i64> = organizations.iter().map(|(_, last_event_at)| *last_event_at).collect();
    let metadata_sequences = of(|organization| number(organization.last_metadata_event.sequence));
    let metadata_times = of(|organization| organization.last_metadata_event.at.as_micros());
    let put = "INSERT INTO metagate.organization AS o (id, name, state, created_at, sequence, last_event_at, \
         last_metadata_sequence, last_metadata_at, entries) \
         SELECT id, name, state, created_at, sequence, last_event_at, metadata_sequence, metadata_at, 0 \
         FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS n(id, name, state, created_at, sequence, last_event_at, \
         metadata_sequence, metadata_at) \
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, state = excluded.state, \
         created_at = excluded.created_at, sequence = excluded.sequence, last_event_at = excluded.last_event_at, \
         last_metadata_sequence = excluded.last_metadata_sequence, last_metadata_at = excluded.last_metadata_at, \
         entries = 0 WHERE $9 RETURNING o.id, o.number, o.state";
    let parameters: &Parameters<'_> = &[
        (&ids, Type::TEXT_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&states, Type::INT2_ARRAY),
        (&created, Type::INT8_ARRAY),
        (&sequences, Type::INT8_ARRAY),
        (&last, Type::INT8_ARRAY),
        (&metadata_sequences, Type::INT8_ARRAY),
        (&metadata_times, Type::INT8_ARRAY),
        (&import.replace, Type::BOOL),
    ];
    let put = all(lease, put, parameters).await?;
    if import.replace {
        let replaced = put.iter().map(|row| column(row, 1)).collect::<Result<Vec<i64>, _>>()?;
        let clear = "DELETE FROM metagate.metadata WHERE organization = ANY ($1)";
        all(lease, clear, &[(&replaced, Type::INT8_ARRAY)]).await?;
    }
    numbers(&put)
}

/// Stores entries, and counts those that are new.
async fn put_entries(lease: &mut Lease, entries: &[(i64, &Entry)]) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    let of =
        |value: fn(&Entry) -> i64| -> Vec<i64> { entries.iter().map(|(_, entry)| value(entry)).collect() };
    let organizations: Vec<i64> = entries.iter().map(|(organization, _)| *organization).collect();
    let keys: Vec<&str> = entries.iter().map(|(_, entry)| entry.key.as_str()).collect();
    let values: Vec<&[u8]> = entries.iter().map(|(_, entry)| &entry.value[..]).collect();
    let sequences = of(|entry| number(entry.sequence));
    let created = of(|entry| entry.created_at.as_micros());
    let changed = of(|entry| entry.changed_at.as_micros());
    let add = "UPDATE metagate.organization AS o SET entries = o.entries + n.added FROM ( \
         SELECT n.organization, count(*) AS added FROM unnest($1, $2) AS n(organization, key) \
         WHERE NOT EXISTS (SELECT 1 FROM metagate.metadata AS m \
         WHERE m.organization = n.organization AND m.key = n.key) GROUP BY n.organization) AS n \
         WHERE o.number = n.organization";
    all(lease, add, &[(&organizations, Type::INT8_ARRAY), (&keys, Type::TEXT_ARRAY)]).await?;
    let put = "INSERT INTO metagate.metadata (organization, key, value, sequence, created_at, changed_at) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6) ON CONFLICT (organization, key) DO UPDATE SET \
         value = excluded.value, sequence = excluded.sequence, created_at = excluded.created_at, \
         changed_at = excluded.changed_at";
    let parameters: &Parameters<'_> = &[
        (&organizations, Type::INT8_ARRAY),
        (&keys, Type::TEXT_ARRAY),
        (&values, Type::BYTEA_ARRAY),
        (&sequences, Type::INT8_ARRAY),
        (&created, Type::INT8_ARRAY),
        (&changed, Type::INT8_ARRAY),
    ];
    all(lease, put, parameters).await?;
    Ok(())
}

/// Of rows that have id, number and state.
fn numbers(rows: &[Row]) -> Result<Numbers, Failure> {
    let numbers = rows.iter().map(|row| {
        let id = OrganizationId::new(column(row, 0)?);
        let id = id.map_err(|error| Failure::Final(StoreError::Damaged(error.into())))?;
        let is_there = column::<i16>(row, 2)? != OrganizationState::Removed.number();
        Ok((id, if is_there { Some(column(row, 1)?) } else { None }))
    });
    numbers.collect()
}

/// What counts from 0 up, as a signed number of the database.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

//! The tables and functions, and how older ones are brought forward while gateways of two versions are at work.

use std::time::Duration;

use storage::StoreError;
use tokio_postgres::{Row, types::Type};

use crate::{
    OpenError,
    database::{Database, Lease},
    error::Failure,
};

/// What makes each version of the schema from the one before. A version adds; what the one before needs stays, until the
/// gateways that know only that are gone: functions are named after the version that brought them.
const MIGRATIONS: [&str; 3] = [include_str!("schema.sql"), IMPORTS, include_str!("registry.sql")];

/// How many records of an unfinished import are there.
const IMPORTS: &str =
    "CREATE TABLE metagate.import (source text COLLATE \"C\" PRIMARY KEY, records bigint NOT NULL)";

/// The schema's version that this program knows.
const VERSION: i32 = MIGRATIONS.len() as i32;

/// The oldest program that can work with the schema of this version.
const OLDEST: i32 = 1;

/// How often a start is tried that loses to another.
const ATTEMPTS_MAX: usize = 20;

/// Where versions are kept; its one row is also the lock of who migrates, which needs nothing of advisory locks.
const PREPARE: &str = "
    CREATE SCHEMA IF NOT EXISTS metagate;
    CREATE TABLE IF NOT EXISTS metagate.schema_version (
        sole    boolean PRIMARY KEY CHECK (sole),
        version integer NOT NULL,
        oldest  integer NOT NULL
    );
    INSERT INTO metagate.schema_version VALUES (true, 0, 0) ON CONFLICT DO NOTHING;
";

/// Brings the schema to this version, or leaves a newer one that this program can work with.
pub(crate) async fn migrate(database: &Database) -> Result<(), OpenError> {
    let mut attempt = 0;
    loop {
        let failed = match step(database).await {
            Ok(outcome) => return outcome,
            Err(failed) => words(failed),
        };
        attempt += 1;
        // `IF NOT EXISTS` may lose to somebody who does the same.
        if attempt == ATTEMPTS_MAX
            || !(failed.contains("already exists")
                || failed.contains("duplicate key")
                || failed.contains("concurrently"))
        {
            return Err(OpenError::Database(failed));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether there is a schema, of whatever version.
pub(crate) async fn is_there(database: &Database) -> Result<bool, OpenError> {
    let found = async { found(&mut database.lease().await?, "").await };
    let found = found.await.map_err(|failed| OpenError::Database(words(failed)))?;
    Ok(found.is_some_and(|(version, _)| version > 0))
}

/// What has failed, for whoever started the program.
fn words(failed: Failure) -> String {
    match failed.into_error() {
        StoreError::Unavailable(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

async fn step(database: &Database) -> Result<Result<(), OpenError>, Failure> {
    let mut lease = database.lease().await?;
    let encoding = lease.query("SELECT current_setting('server_encoding')", &[]).await?;
    let encoding: String = text(&encoding, 0)?;
    if encoding != "UTF8" {
        return Ok(Err(OpenError::Database(format!(
            "the database's encoding is {encoding}, and must be UTF8"
        ))));
    }
    if let Some((version, oldest)) = found(&mut lease, "").await?
        && version >= VERSION
    {
        return Ok(if oldest <= VERSION { Ok(()) } else { Err(newer(version, oldest)) });
    }
    lease.execute(PREPARE).await?;
    lease.begin("BEGIN").await?;
    let outcome = locked(&mut lease).await;
    lease.end(if matches!(outcome, Ok(Ok(()))) { "COMMIT" } else { "ROLLBACK" }).await?;
    outcome
}

/// Within a transaction that has the lock to its end.
async fn locked(lease: &mut Lease) -> Result<Result<(), OpenError>, Failure> {
    let (version, oldest) = found(lease, " FOR UPDATE").await?.unwrap_or_default();
    if oldest > VERSION {
        return Ok(Err(newer(version, oldest)));
    }
    let missing = usize::try_from(version).ok().and_then(|version| MIGRATIONS.get(version..));
    for migration in missing.unwrap_or_default() {
        lease.execute(migration).await?;
    }
    if version < VERSION {
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&VERSION, Type::INT4), (&OLDEST, Type::INT4)];
        lease.query("UPDATE metagate.schema_version SET version = $1, oldest = $2", &parameters).await?;
        tracing::info!(from = version, to = VERSION, "the database's schema was brought forward");
    }
    Ok(Ok(()))
}

/// The version, and the oldest program that can work with it.
async fn found(lease: &mut Lease, lock: &str) -> Result<Option<(i32, i32)>, Failure> {
    let is_there = lease.query("SELECT to_regclass('metagate.schema_version')::text", &[]).await?;
    let name: Option<String> = match is_there.first() {
        Some(row) => row.try_get(0).map_err(Failure::of_statement)?,
        None => None,
    };
    if name.is_none() {
        return Ok(None);
    }
    let rows =
        lease.query(&format!("SELECT version, oldest FROM metagate.schema_version{lock}"), &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let column = |index| row.try_get::<_, i32>(index).map_err(Failure::of_statement);
    Ok(Some((column(0)?, column(1)?)))
}

fn text(rows: &[Row], column: usize) -> Result<String, Failure> {
    rows.first().map_or(Ok(String::new()), |row| row.try_get(column).map_err(Failure::of_statement))
}

fn newer(found: i32, oldest: i32) -> OpenError {
    OpenError::NewerSchema { found, oldest, known: VERSION }
}

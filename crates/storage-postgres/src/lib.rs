//! The store for several gateways: PostgreSQL, or an engine that speaks its protocol and knows PL/pgSQL.
//!
//! Nothing is kept in memory: what one gateway has acknowledged, every other one sees. Writes that wait share a
//! transaction, and so do those who ask for organizations; each is one statement, in one round trip.

mod address;
mod archive;
mod batch;
mod database;
mod error;
mod lanes;
mod lookup;
mod read;
mod registry;
mod retry;
mod schema;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use domain::{Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query};
use storage::{
    Observer, Registry, Standing, Store, StoreError,
    registry::{Changes, RecordChange},
};

pub use address::{Address, without_password};
use batch::{Batches, Write};
use database::Database;
pub use error::OpenError;
use lanes::Lanes;
use lookup::Lookups;

/// How the database is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many connections are open at most.
    pub connections: usize,
    /// How long a call waits for one of them, or for a new one.
    pub wait: Duration,
    /// How long a statement may take; then it is given up, and what became of a write is open.
    pub statement_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { connections: 16, wait: Duration::from_secs(5), statement_wait: Duration::from_secs(30) }
    }
}

/// Tells when whoever calls now stops waiting, if he has said so: the database then stops too.
pub type CallersDeadline = fn() -> Option<Instant>;

/// A store in a PostgreSQL database, which it may share with others.
pub struct PostgresStore {
    database: Database,
    batches: Lanes<Batches>,
    lookups: Lanes<Lookups>,
}

impl PostgresStore {
    /// Connects, and brings the schema to this version. `observer` hears of commits.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        address: &Address,
        settings: &Settings,
        deadline: CallersDeadline,
        observer: Observer,
    ) -> Result<Self, OpenError> {
        let database = Database::new(address, settings, deadline)?;
        schema::migrate(&database).await?;
        database.opened();
        let batches = Lanes::new(Batches::new(database.clone(), observer));
        Ok(Self { batches, lookups: Lanes::new(Lookups { database: database.clone() }), database })
    }

    /// Connects to a database that a store was opened in before.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::Absent`].
    pub async fn open_existing(address: &Address, settings: &Settings) -> Result<Self, OpenError> {
        if !schema::is_there(&Database::new(address, settings, || None)?).await? {
            return Err(OpenError::Absent);
        }
        Self::open(address, settings, || None, Arc::new(|_| {})).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn apply(
        &self,
        organization: &OrganizationId,
        changes: Vec<Change>,
    ) -> Result<Details, StoreError> {
        let (organization, deadline) = (organization.clone(), self.database.deadline());
        self.batches.ask(Write { organization, changes, deadline }).await
    }

    async fn get(&self, organization: &OrganizationId, key: &Key) -> Result<Option<Entry>, StoreError> {
        read::get(&self.database, organization, key).await.map_err(error::Failure::into_error)
    }

    async fn list(&self, organization: &OrganizationId, query: Query) -> Result<Page, StoreError> {
        read::list(&self.database, organization, &query).await.map_err(error::Failure::into_error)
    }

    async fn standing(&self, id: &OrganizationId) -> Result<Standing, StoreError> {
        self.lookups.ask(id.clone()).await
    }

    async fn create_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization, StoreError> {
        read::create(&self.database, id, name).await
    }

    async fn set_organization_state(
        &self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError> {
        read::set_state(&self.database, id, state).await
    }

    fn is_healthy(&self) -> bool {
        self.database.is_reachable()
    }
}

#[async_trait]
impl Registry for PostgresStore {
    async fn revision(&self) -> Result<u64, StoreError> {
        let nothing = i64::MAX.cast_unsigned();
        Ok(registry::changes(&self.database, nothing).await.map_err(error::Failure::into_error)?.revision)
    }

    async fn changes(&self, since: u64) -> Result<Changes, StoreError> {
        registry::changes(&self.database, since).await.map_err(error::Failure::into_error)
    }

    async fn change(&self, expected: u64, changes: Vec<RecordChange>) -> Result<u64, StoreError> {
        storage::registry::check(&changes)?;
        registry::change(&self.database, expected, changes).await
    }
}

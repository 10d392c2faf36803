//! Several gateways on one database give the guarantees of one.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use domain::{Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query};
use storage::{Standing, Store, StoreError};
use storage_postgres::PostgresStore;

use crate::fixture;

/// Takes each call to another gateway than the one before.
struct InTurn {
    gateways: [PostgresStore; 2],
    calls: AtomicUsize,
}

impl InTurn {
    async fn fresh() -> Box<Self> {
        let address = fixture::address().await;
        let gateways = [fixture::open(&address).await, fixture::open(&address).await];
        Box::new(Self { gateways, calls: AtomicUsize::new(0) })
    }

    fn next(&self) -> &PostgresStore {
        &self.gateways[self.calls.fetch_add(1, Ordering::Relaxed) % self.gateways.len()]
    }
}

#[async_trait]
impl Store for InTurn {
    async fn apply(
        &self,
        organization: &OrganizationId,
        changes: Vec<Change>,
    ) -> Result<Details, StoreError> {
        self.next().apply(organization, changes).await
    }

    async fn get(&self, organization: &OrganizationId, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.next().get(organization, key).await
    }

    async fn list(&self, organization: &OrganizationId, query: Query) -> Result<Page, StoreError> {
        self.next().list(organization, query).await
    }

    async fn standing(&self, id: &OrganizationId) -> Result<Standing, StoreError> {
        self.next().standing(id).await
    }

    async fn create_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization, StoreError> {
        self.next().create_organization(id, name).await
    }

    async fn set_organization_state(
        &self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError> {
        self.next().set_organization_state(id, state).await
    }
}

storage::storage_suite!(where fixture::server().is_some() => InTurn::fresh().await);

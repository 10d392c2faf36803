//! A store with its registry in memory.
use async_trait::async_trait;
use domain::{Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query};
use storage::{
    MemoryStore, Registry, Standing, Store, StoreError,
    registry::{Changes, RecordChange},
};
pub struct Joined<S> {
    store: S,
    registry: MemoryStore,
}
impl<S> Joined<S> {
    pub fn new(store: S) -> Self {
        Self { store, registry: MemoryStore::new() }
    }
}
#[async_trait]
impl<S: Store> Store for Joined<S> {
    async fn apply(
        &self,
        organization: &OrganizationId,
        changes: Vec<Change>,
    ) -> Result<Details, StoreError> {
        self.store.apply(organization, changes).await
    }
    async fn get(&self, organization: &OrganizationId, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.store.get(organization, key).await
    }
    async fn list(&self, organization: &OrganizationId, query: Query) -> Result<Page, StoreError> {
        self.store.list(organization, query).await
    }
    async fn standing(&self, id: &OrganizationId) -> Result<Standing, StoreError> {
        let organization = self.store.organization(id).await?;
        Ok(Standing { organization, revision: self.registry.revision().await? })
    }
    async fn create_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization, StoreError> {
        self.store.create_organization(id, name).await
    }
    async fn set_organization_state(
        &self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError> {
        self.store.set_organization_state(id, state).await
    }
    fn is_healthy(&self) -> bool {
        self.store.is_healthy()
    }
}
#[async_trait]
impl<S: Store> Registry for Joined<S> {
    async fn revision(&self) -> Result<u64, StoreError> {
        self.registry.revision().await
    }
    async fn changes(&self, since: u64) -> Result<Changes, StoreError> {
        self.registry.changes(since).await
    }
    async fn change(&self, expected: u64, changes: Vec<RecordChange>) -> Result<u64, StoreError> {
        self.registry.change(expected, changes).await
    }
}

//! The suite on the store in memory, and a test of the suite: it must find each of some mistakes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate metagate_storage as storage;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query};
use storage::{
    MemoryStore, Store, StoreError,
    suite::model::{check, run},
};

storage::storage_suite!(Box::new(MemoryStore::new()));

storage::archive_suite!({
    let store = Arc::new(MemoryStore::new());
    (store.clone(), store)
});

#[derive(Clone, Copy, Debug)]
enum Mistake {
    None,
    OneByOne,
    SkipsANumber,
    ListsBackwards,
    CountsThePage,
    ForgetsTheOffset,
    CreatesOnWrite,
    RevivesTheRemoved,
}

struct Mistaken(Mistake, MemoryStore);

#[async_trait]
impl Store for Mistaken {
    async fn apply(
        &self,
        organization: &OrganizationId,
        changes: Vec<Change>,
    ) -> Result<Details, StoreError> {
        match self.0 {
            Mistake::OneByOne => {
                let mut last = Err(StoreError::OrganizationNotFound);
                for change in changes {
                    last = Ok(self.1.apply(organization, vec![change]).await?);
                }
                last
            }
            Mistake::SkipsANumber => {
                let mut details = self.1.apply(organization, changes).await?;
                details.sequence += 1;
                Ok(details)
            }
            Mistake::CreatesOnWrite => {
                self.1.create_organization(organization, "name").await?;
                self.1.apply(organization, changes).await
            }
            _ => self.1.apply(organization, changes).await,
        }
    }

    async fn get(&self, organization: &OrganizationId, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.1.get(organization, key).await
    }

    async fn list(&self, organization: &OrganizationId, mut query: Query) -> Result<Page, StoreError> {
        if matches!(self.0, Mistake::ForgetsTheOffset) {
            query.offset = 0;
        }
        let mut page = self.1.list(organization, query).await?;
        match self.0 {
            Mistake::ListsBackwards => page.entries.reverse(),
            Mistake::CountsThePage => page.total = page.entries.len() as u64,
            _ => {}
        }
        Ok(page)
    }

    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
        self.1.organization(id).await
    }

    async fn create_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization, StoreError> {
        self.1.create_organization(id, name).await
    }

    async fn set_organization_state(
        &self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError> {
        match (self.0, self.1.set_organization_state(id, state).await) {
            (Mistake::RevivesTheRemoved, Err(_)) => self.1.create_organization(id, "name").await,
            (_, outcome) => outcome,
        }
    }
}

#[test]
fn the_model_finds_every_mistake() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for mistake in [
        Mistake::None,
        Mistake::OneByOne,
        Mistake::SkipsANumber,
        Mistake::ListsBackwards,
        Mistake::CountsThePage,
        Mistake::ForgetsTheOffset,
        Mistake::CreatesOnWrite,
        Mistake::RevivesTheRemoved,
    ] {
        let outcome = run(200, |operations| {
            runtime.block_on(async { check(&Mistaken(mistake, MemoryStore::new()), operations).await })
        });
        assert_eq!(outcome.is_ok(), matches!(mistake, Mistake::None), "{mistake:?}: {outcome:?}");
    }
}

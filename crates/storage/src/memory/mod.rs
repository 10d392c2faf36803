//! The store in memory.

mod archive;
mod registry;

use std::{
    collections::{BTreeMap, HashMap, btree_map},
    ops::Bound,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use async_trait::async_trait;
use domain::{
    Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query, Timestamp,
};

use crate::{Standing, Store, StoreError, judge};
use registry::Register;

/// A store in memory: fast, and gone with the process.
#[derive(Default)]
pub struct MemoryStore {
    organizations: RwLock<HashMap<OrganizationId, Arc<RwLock<Owner>>>>,
    /// Imports that were begun, with how many records are here.
    imports: Mutex<HashMap<String, u64>>,
    register: RwLock<Register>,
}

/// An organization, with what it owns.
struct Owner {
    organization: Organization,
    last_event_at: Timestamp,
    entries: BTreeMap<Key, Entry>,
}

impl MemoryStore {
    /// A store without organizations.
    pub fn new() -> Self {
        Self::default()
    }

    fn owner(&self, id: &OrganizationId) -> Option<Arc<RwLock<Owner>>> {
        read(&self.organizations).get(id).cloned()
    }
}

/// Nothing that could panic runs under a lock; what a lock guards is always whole.
fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Reads do not wait for each other.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

impl Owner {
    fn new(id: &OrganizationId, name: &str) -> Self {
        let created_at = Timestamp::now();
        Self {
            organization: Organization {
                id: id.clone(),
                name: name.to_owned(),
                state: OrganizationState::Active,
                created_at,
                sequence: 1,
                last_metadata_event: Details { sequence: 1, at: created_at },
            },
            last_event_at: created_at,
            entries: BTreeMap::new(),
        }
    }

    fn is_removed(&self) -> bool {
        self.organization.state == OrganizationState::Removed
    }

    fn apply(&mut self, changes: Vec<Change>) -> Result<Details, StoreError> {
        if self.is_removed() {
            return Err(StoreError::OrganizationNotFound);
        }
        let effects = judge(changes, |key| Ok(self.entries.get(key).map(|entry| entry.value.clone())))?;
        let at = Timestamp::now().max(self.last_event_at);
        for effect in effects {
            self.organization.sequence += 1;
            self.organization.last_metadata_event = Details { sequence: self.organization.sequence, at };
            self.last_event_at = at;
            match effect.value {
                None => {
                    self.entries.remove(&effect.key);
                }
                Some(value) => {
                    let created_at = self.entries.get(&effect.key).map_or(at, |entry| entry.created_at);
                    let entry = Entry {
                        key: effect.key.clone(),
                        value,
                        sequence: self.organization.sequence,
                        created_at,
                        changed_at: at,
                    };
                    self.entries.insert(effect.key, entry);
                }
            }
        }
        Ok(self.organization.last_metadata_event)
    }

    fn list(&self, query: &Query) -> Page {
        let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
        let limit = query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        if query.filters.is_empty() {
            let entries = self.entries.values().skip(offset).take(limit).cloned().collect();
            return Page { entries, total: self.entries.len() as u64 };
        }
        let mut page = Page::default();
        for (_, entry) in self.within(query) {
            if query.filters.iter().all(|filter| filter.matches(entry.key.as_str())) {
                if page.total >= query.offset && page.entries.len() < limit {
                    page.entries.push(entry.clone());
                }
                page.total += 1;
            }
        }
        page
    }

    /// The entries that the longest prefix of the filters leaves.
    fn within(&self, query: &Query) -> impl Iterator<Item = (&Key, &Entry)> {
        let prefix = query.longest_prefix().unwrap_or_default();
        let range: btree_map::Range<'_, Key, Entry> =
            self.entries.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        range.take_while(move |(key, _)| key.as_str().starts_with(prefix))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn apply(
        &self,
        organization: &OrganizationId,
        changes: Vec<Change>,
    ) -> Result<Details, StoreError> {
        let owner = self.owner(organization).ok_or(StoreError::OrganizationNotFound)?;
        write(&owner).apply(changes)
    }

    async fn get(&self, organization: &OrganizationId, key: &Key) -> Result<Option<Entry>, StoreError> {
        let Some(owner) = self.owner(organization) else { return Ok(None) };
        let owner = read(&owner);
        Ok(if owner.is_removed() { None } else { owner.entries.get(key).cloned() })
    }

    async fn list(&self, organization: &OrganizationId, query: Query) -> Result<Page, StoreError> {
        let Some(owner) = self.owner(organization) else { return Ok(Page::default()) };
        let owner = read(&owner);
        Ok(if owner.is_removed() { Page::default() } else { owner.list(&query) })
    }

    async fn standing(&self, id: &OrganizationId) -> Result<Standing, StoreError> {
        // First the revision: what is told may be older than what is there, but never newer.
        let revision = Register::revision(&self.register);
        let organization = self.owner(id).map(|owner| read(&owner).organization.clone());
        Ok(Standing { organization, revision })
    }

    async fn create_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization, StoreError> {
        let mut organizations = write(&self.organizations);
        let owner =
            organizations.entry(id.clone()).or_insert_with(|| Arc::new(RwLock::new(Owner::new(id, name))));
        Ok(read(owner).organization.clone())
    }

    async fn set_organization_state(
        &self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError> {
        let owner = self.owner(id).ok_or(StoreError::OrganizationNotFound)?;
        let mut owner = write(&owner);
        if owner.organization.state != state {
            if owner.is_removed() {
                return Err(StoreError::OrganizationNotFound);
            }
            owner.organization.state = state;
            owner.organization.sequence += 1;
            owner.last_event_at = Timestamp::now().max(owner.last_event_at);
            if state == OrganizationState::Removed {
                owner.entries.clear();
            }
        }
        Ok(owner.organization.clone())
    }
}

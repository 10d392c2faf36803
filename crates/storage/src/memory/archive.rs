//! The store in memory as its operator sees it: for tests, and to test other stores against.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use super::{
    BTreeMap, Entry, Key, MemoryStore, Organization, OrganizationId, OrganizationState, Owner, read, write,
};
use crate::{
    StoreError,
    archive::{self, Archive, Batch, Import, ImportError, LargeValue, Record, Records, Stats},
};

impl MemoryStore {
    /// Everything, at one moment.
    fn copy(&self) -> BTreeMap<OrganizationId, (Record, BTreeMap<Key, Entry>)> {
        let organizations = write(&self.organizations);
        let copy = organizations.iter().map(|(id, owner)| {
            let owner = read(owner);
            let Owner { organization, last_event_at, .. } = &*owner;
            let record =
                Record::Organization { organization: organization.clone(), last_event_at: *last_event_at };
            (id.clone(), (record, owner.entries.clone()))
        });
        copy.collect()
    }
}

#[async_trait]
impl Archive for MemoryStore {
    fn records(&self) -> Records {
        let (mut batch, mut batches) = (Batch::default(), Vec::new());
        for (id, (record, entries)) in self.copy() {
            batches.extend(batch.push(record));
            for entry in entries.into_values() {
                batches.extend(batch.push(Record::Entry { organization: id.clone(), entry }));
            }
        }
        batches.extend(batch.take());
        stream::iter(batches.into_iter().map(Ok)).boxed()
    }

    async fn import(&self, import: &Import, before: u64, records: Vec<Record>) -> Result<(), ImportError> {
        let mut imports = self.imports.lock().unwrap_or_else(PoisonError::into_inner);
        let found = imports.get(&import.source).copied().unwrap_or_default();
        if found != before {
            return Err(ImportError::Overtaken { expected: before, found });
        }
        let mut organizations = write(&self.organizations);
        let mut new = HashSet::new();
        for record in &records {
            match record {
                Record::Organization { organization: Organization { id, .. }, .. } => {
                    if !import.replace && organizations.contains_key(id) {
                        return Err(ImportError::Exists(id.clone()));
                    }
                    new.insert(id.clone());
                }
                Record::Entry { organization, .. } => {
                    if !new.contains(organization) && !organizations.contains_key(organization) {
                        return Err(ImportError::Orphan(organization.clone()));
                    }
                }
            }
        }
        imports.insert(import.source.clone(), before + records.len() as u64);
        for record in records {
            match record {
                Record::Organization { organization, last_event_at } => {
                    let id = organization.id.clone();
                    let owner = Owner { organization, last_event_at, entries: BTreeMap::new() };
                    organizations.insert(id, Arc::new(RwLock::new(owner)));
                }
                Record::Entry { organization, entry } => {
                    let owner = organizations.get(&organization).map(|owner| write(owner));
                    if let Some(mut owner) = owner.filter(|owner| !owner.is_removed()) {
                        owner.entries.insert(entry.key.clone(), entry);
                    }
                }
            }
        }
        Ok(())
    }

    async fn imported(&self, source: &str) -> Result<u64, StoreError> {
        let imports = self.imports.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(imports.get(source).copied().unwrap_or_default())
    }

    async fn finish_import(&self, source: &str) -> Result<(), StoreError> {
        self.imports.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
        Ok(())
    }

    async fn stats(&self, largest: u32) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        for (id, (record, entries)) in self.copy() {
            if let Record::Organization { organization, .. } = record {
                match organization.state {
                    OrganizationState::Active => stats.active += 1,
                    OrganizationState::Inactive => stats.inactive += 1,
                    OrganizationState::Removed => stats.removed += 1,
                }
            }
            for entry in entries.into_values() {
                let bytes = entry.value.len() as u64;
                stats.entries += 1;
                stats.bytes += bytes;
                let (organization, key) = (id.as_str().to_owned(), entry.key.into_string());
                stats.largest.push(LargeValue { organization, key, bytes });
            }
        }
        stats.largest.sort_by_key(|value| std::cmp::Reverse(value.bytes));
        stats.largest.truncate(usize::try_from(largest).unwrap_or(usize::MAX));
        Ok(stats)
    }

    /// Nothing else can be wrong that the types allow.
    async fn check(&self) -> Result<Vec<String>, StoreError> {
        let imports = self.imports.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(imports.iter().map(|(source, records)| archive::unfinished(source, *records)).collect())
    }
}

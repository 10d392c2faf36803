//! The records that are shared, in memory.

use std::{collections::BTreeMap, sync::RwLock};

use async_trait::async_trait;

use super::{MemoryStore, read, write};
use crate::{
    StoreError,
    registry::{Changes, RecordChange, Registry, check},
};

#[derive(Default)]
pub(super) struct Register {
    revision: u64,
    /// By kind and id.
    records: BTreeMap<(String, String), Entry>,
}

struct Entry {
    /// Of the change that it came with.
    revision: u64,
    /// `None` since it was removed.
    body: Option<Vec<u8>>,
}

impl Register {
    pub(super) fn revision(register: &RwLock<Self>) -> u64 {
        read(register).revision
    }
}

#[async_trait]
impl Registry for MemoryStore {
    async fn revision(&self) -> Result<u64, StoreError> {
        Ok(Register::revision(&self.register))
    }

    async fn changes(&self, since: u64) -> Result<Changes, StoreError> {
        let register = read(&self.register);
        let changed = register.records.iter().filter(|(_, entry)| entry.revision > since);
        let records = changed.map(|((kind, id), entry)| RecordChange {
            kind: kind.clone(),
            id: id.clone(),
            body: entry.body.clone(),
        });
        Ok(Changes { revision: register.revision, records: records.collect() })
    }

    async fn change(&self, expected: u64, changes: Vec<RecordChange>) -> Result<u64, StoreError> {
        check(&changes)?;
        let mut register = write(&self.register);
        if register.revision != expected {
            return Err(StoreError::Conflict);
        }
        register.revision += 1;
        let revision = register.revision;
        for RecordChange { kind, id, body } in changes {
            register.records.insert((kind, id), Entry { revision, body });
        }
        Ok(revision)
    }
}

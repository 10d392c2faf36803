//! The suites on the store in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate metagate_storage as storage;

use std::sync::Arc;

use storage::MemoryStore;

storage::storage_suite!(Box::new(MemoryStore::new()));

storage::archive_suite!({
    let store = Arc::new(MemoryStore::new());
    (store.clone(), store)
});

storage::registry_suite!({
    let store = Arc::new(MemoryStore::new());
    (store.clone(), store)
});

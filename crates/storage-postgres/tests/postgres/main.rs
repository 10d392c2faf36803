//! The suite on a private server: alone, with two gateways, and through a pooler; and what is PostgreSQL's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate metagate_storage_postgres as storage_postgres;

mod batches;
mod fixture;
mod gateways;
mod migrations;
mod operator;
mod pages;
mod pooler;
mod secrecy;

mod alone {
    use crate::fixture;

    storage::storage_suite!(where fixture::server().is_some() => Box::new(fixture::fresh().await));

    storage::archive_suite!(where fixture::server().is_some() => {
        let store = std::sync::Arc::new(fixture::fresh().await);
        (store.clone(), store)
    });

    storage::registry_suite!(where fixture::server().is_some() => {
        let database = fixture::database().await;
        let url = fixture::server().unwrap().url(&database);
        (Box::new(fixture::open(&url).await), Box::new(fixture::open(&url).await))
    });
}

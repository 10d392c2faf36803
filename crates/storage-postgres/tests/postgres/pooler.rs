//! Through pgbouncer in transaction mode, which has fewer connections than the stores that use it.

use std::sync::LazyLock;

use private_postgres::Pgbouncer;

use crate::fixture;

static POOLER: LazyLock<Option<Pgbouncer>> = LazyLock::new(|| {
    let server = fixture::server()?;
    Pgbouncer::start(server, 3).map_err(|reason| eprintln!("skipped: {reason}")).ok()
});

async fn fresh() -> Box<storage_postgres::PostgresStore> {
    let database = fixture::database().await;
    Box::new(fixture::open(&POOLER.as_ref().unwrap().url(&database)).await)
}

storage::storage_suite!(where POOLER.is_some() => fresh().await);

storage::registry_suite!(where POOLER.is_some() => {
    let store: std::sync::Arc<storage_postgres::PostgresStore> = fresh().await.into();
    (store.clone(), store)
});

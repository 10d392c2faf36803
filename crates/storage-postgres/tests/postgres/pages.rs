//! What a page reads.

use domain::{Comparison, KeyFilter, OrganizationId, Query};
use private_postgres::PrivatePostgres;
use storage::Store;

use crate::fixture;

/// Rows of metadata that were read in a database so far, by index or not.
fn rows_read(server: &PrivatePostgres, database: &str) -> u64 {
    let sum = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'metadata'";
    server.sql(database, sum).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_costs_what_is_on_it_however_many_entries_there_are() {
    let Some(server) = fixture::server() else { return };
    let database = fixture::database().await;
    let [small, large] = [1_000_u64, 100_000];
    for entries in [small, large] {
        server.sql(
            &database,
            &format!(
                "WITH o AS (INSERT INTO metagate.organization (id, name, state, created_at, sequence, last_event_at, \
                 last_metadata_sequence, last_metadata_at, entries) VALUES ('{entries}', '', 1, 0, 1, 0, 1, 0, {entries}) \
                 RETURNING number) INSERT INTO metagate.metadata SELECT number, 'key-' || lpad(n::text, 6, '0'), '\\x00', \
                 1, 0, 0 FROM o, generate_series(0, {entries} - 1) AS n"
            ),
        );
    }
    server.sql(&database, "ANALYZE");
    let prefixed = |text| vec![KeyFilter::new(text, Comparison::StartsWith)];
    for (filters, offset, total_of_large) in [
        (vec![], 0, large),
        (vec![], 500, large),
        // As many match in both: keys are numbered from 0.
        (prefixed("key-0000"), 0, 100),
    ] {
        let query = Query { filters, offset, limit: Some(100) };
        let mut pages = Vec::new();
        for entries in [small, large] {
            let id = OrganizationId::new(&entries.to_string()).unwrap();
            let before = rows_read(server, &database);
            let page = {
                // Its sessions tell what they read when they end.
                let store = fixture::open(&server.url(&database)).await;
                store.list(&id, query.clone()).await.unwrap()
            };
            pages.push((page, settled(|| rows_read(server, &database) - before).await));
        }
        let [(page, rows), (page_of_large, rows_of_large)] = &pages[..] else { panic!() };
        assert_eq!((page.entries.len(), page_of_large.total), (100, total_of_large), "{query:?}");
        assert_eq!(page.entries, page_of_large.entries, "{query:?}");
        assert_eq!(rows, rows_of_large, "{query:?}");
        assert!(*rows >= 100 + offset, "{query:?}: {rows}");
    }
}

/// A count, once it is not 0 and stays.
async fn settled(count: impl Fn() -> u64) -> u64 {
    loop {
        let first = count();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if first > 0 && first == count() {
            return first;
        }
    }
}

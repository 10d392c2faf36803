//! How gateways find a schema, and bring it forward.

use domain::OrganizationId;
use futures_util::future::join_all;
use storage::Store;
use storage_postgres::OpenError;

use crate::fixture;

/// Runs where there is a server.
macro_rules! server {
    () => {
        match fixture::server() {
            Some(server) => server,
            None => return,
        }
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_start_at_once_one_migrates() {
    let server = server!();
    let database = server.database(None);
    let url = server.url(&database);
    for outcome in join_all((0..8).map(|_| fixture::try_open(&url))).await {
        outcome.unwrap();
    }
    assert_eq!(server.sql(&database, "SELECT version, oldest FROM metagate.schema_version"), "3|1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_used_if_it_says_that_it_can_be() {
    let server = server!();
    let database = fixture::database().await;
    server.sql(&database, "UPDATE metagate.schema_version SET version = 4");
    server.sql(&database, "ALTER TABLE metagate.organization ADD COLUMN colour text DEFAULT 'red'");
    let store = fixture::open(&server.url(&database)).await;
    let id = OrganizationId::new("o").unwrap();
    store.create_organization(&id, "O").await.unwrap();
    assert_eq!(store.organization(&id).await.unwrap().unwrap().name, "O");

    server.sql(&database, "UPDATE metagate.schema_version SET oldest = 4");
    let error = fixture::try_open(&server.url(&database)).await.err().unwrap();
    assert!(matches!(error, OpenError::NewerSchema { found: 4, oldest: 4, known: 3 }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_is_told_in_one_line() {
    let server = server!();
    server.sql("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    for (url, want) in [
        (server.url("latin"), "the database's encoding is LATIN1, and must be UTF8"),
        (server.url("absent"), "database \"absent\" does not exist"),
        ("postgres://metagate@127.0.0.1:1/db?sslmode=disable".to_owned(), "onnection refused"),
    ] {
        let error = fixture::try_open(&url).await.err().unwrap().to_string();
        assert!(error.contains(want) && !error.contains('\n'), "{url}: {error}");
    }
}

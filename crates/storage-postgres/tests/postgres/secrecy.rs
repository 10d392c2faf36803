//! TLS to the database.

use std::fs;

use private_postgres::PrivatePostgres;

use crate::fixture;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_verified_against_the_roots_that_are_given() {
    if fixture::server().is_none() {
        return;
    }
    let path = |name: &str| format!("{}/../../tests/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read(path(name)).unwrap();
    let server = PrivatePostgres::start_with_tls(&read("renewed.pem"), &read("renewed-key.pem")).unwrap();
    let port = server.port();
    let database = server.database(None);
    let url = |options: &str| format!("postgres://metagate@localhost:{port}/{database}?{options}");
    for (options, want) in [
        (format!("sslmode=verify-full&sslrootcert={}", path("ca.pem")), None),
        (format!("sslrootcert={}", path("ca.pem")), None),
        (format!("sslmode=require&sslrootcert={}", path("certificate.pem")), Some("UnknownIssuer")),
        ("sslmode=require".to_owned(), Some("UnknownIssuer")),
    ] {
        let outcome = fixture::try_open(&url(&options)).await;
        match (outcome.err().map(|error| error.to_string()), want) {
            (None, None) => {}
            (Some(error), Some(want)) => assert!(error.contains(want), "{options}: {error}"),
            (error, want) => panic!("{options}: {error:?}, want {want:?}"),
        }
    }
    let sessions =
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_port > 0";
    let _store = fixture::open(&url(&format!("sslmode=require&sslrootcert={}", path("ca.pem")))).await;
    assert_eq!(server.sql(&database, sessions), "t");
}

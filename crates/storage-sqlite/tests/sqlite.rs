//! The suite on SQLite, and what is SQLite's alone: files, locks, versions, commits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    ops::Deref,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use domain::{Change, Key, OrganizationId, OrganizationState, Query};
use metagate_storage_sqlite::{OpenError, SqliteArchive, SqliteBeside, SqliteStore, VFS};
use rusqlite::{Connection, OpenFlags};
use storage::{Registry, Store, StoreError, registry::RecordChange};
use tempfile::TempDir;

/// A store in a folder that goes with it.
struct Temporary {
    store: SqliteStore,
    folder: TempDir,
}

impl Temporary {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("metagate.db")).unwrap();
        Self { store, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("metagate.db")
    }
}

impl Deref for Temporary {
    type Target = SqliteStore;

    fn deref(&self) -> &SqliteStore {
        &self.store
    }
}

storage::storage_suite!(Temporary::new());

storage::archive_suite!({
    let store = Temporary::new();
    let archive = SqliteArchive::for_writing(&store.path()).unwrap();
    (store, Box::new(archive))
});

storage::registry_suite!({
    let store = Temporary::new();
    let beside = SqliteBeside::open(&store.path()).unwrap();
    (store, Box::new(beside))
});

/// What a second process has, as whole as what who serves has.
mod beside {
    use super::*;

    struct Alone {
        store: SqliteBeside,
        _folder: TempDir,
    }

    impl Deref for Alone {
        type Target = SqliteBeside;

        fn deref(&self) -> &SqliteBeside {
            &self.store
        }
    }

    storage::storage_suite!({
        let folder = tempfile::tempdir().unwrap();
        Alone { store: SqliteBeside::open(&folder.path().join("metagate.db")).unwrap(), _folder: folder }
    });
}

#[tokio::test]
async fn records_are_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metagate.db");
    let record = |id: &str, body: Option<&str>| RecordChange {
        kind: "user".to_owned(),
        id: id.to_owned(),
        body: body.map(|body| body.as_bytes().to_vec()),
    };
    {
        let store = SqliteStore::open(&path).unwrap();
        store.change(0, vec![record("a", Some("1")), record("b", Some("2"))]).await.unwrap();
        store.change(1, vec![record("b", None)]).await.unwrap();
    }
    let store = SqliteStore::open(&path).unwrap();
    let all = store.changes(0).await.unwrap();
    assert_eq!((all.revision, all.records), (2, vec![record("a", Some("1"))]));
    assert_eq!(store.changes(1).await.unwrap().records, vec![record("b", None)]);
}

fn set(key: &str, value: &[u8]) -> Change {
    Change::Set { key: Key::new(key.to_owned()).unwrap(), value: Bytes::copy_from_slice(value) }
}

/// A connection of somebody else who keeps to the rules.
fn connect(path: &Path) -> Connection {
    Connection::open_with_flags_and_vfs(path, OpenFlags::default(), VFS).unwrap()
}

fn refusal(path: &Path) -> OpenError {
    match SqliteStore::open(path) {
        Ok(_) => panic!("{} opened", path.display()),
        Err(error) => error,
    }
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/metagate.db");
    let [one, two] = ["1", "2"].map(|id| OrganizationId::new(id).unwrap());
    let large = vec![7; 100_000];
    let (before, organizations) = {
        let store = SqliteStore::open(&path).unwrap();
        store.create_organization(&one, "One").await.unwrap();
        store.create_organization(&two, "Two").await.unwrap();
        store.apply(&one, vec![set("k", b"v"), set("l", &large)]).await.unwrap();
        store.set_organization_state(&two, OrganizationState::Removed).await.unwrap();
        let page = store.list(&one, Query::default()).await.unwrap();
        (page, [store.organization(&one).await.unwrap(), store.organization(&two).await.unwrap()])
    };
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.list(&one, Query::default()).await.unwrap(), before);
    assert_eq!(
        [store.organization(&one).await.unwrap(), store.organization(&two).await.unwrap()],
        organizations
    );
    assert_eq!(store.apply(&one, vec![set("k", b"w")]).await.unwrap().sequence, 4);
    for name in ["metagate.db", "metagate.db.lock"] {
        let mode = fs::metadata(path.with_file_name(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_share_commits() {
    let store = Temporary::new();
    let id = OrganizationId::new("o").unwrap();
    store.create_organization(&id, "One").await.unwrap();
    let before = store.commits();
    let writes = (0..512).map(|n| {
        let change = set(&format!("k{n}"), b"v");
        store.apply(&id, vec![change])
    });
    for outcome in futures_util::future::join_all(writes).await {
        outcome.unwrap();
    }
    let commits = store.commits() - before;
    assert!((1..=64).contains(&commits), "512 writes in {commits} commits");
}

#[tokio::test]
async fn a_refused_operation_does_not_harm_those_that_share_its_commit() {
    let store = Temporary::new();
    let id = OrganizationId::new("o").unwrap();
    store.create_organization(&id, "One").await.unwrap();
    let absent = Change::Remove { key: Key::new("absent".to_owned()).unwrap() };
    let writes = (0..100).map(|n| {
        let change = if n % 2 == 0 { set(&format!("k{n}"), b"v") } else { absent.clone() };
        store.apply(&id, vec![change])
    });
    let outcomes = futures_util::future::join_all(writes).await;
    let sequences: Vec<_> = outcomes.iter().flatten().map(|details| details.sequence).collect();
    assert_eq!(sequences, (2..52).collect::<Vec<_>>());
    let refused =
        outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::KeyAbsent { index: 0 })));
    assert_eq!(refused.count(), 50);
    assert_eq!(store.list(&id, Query::default()).await.unwrap().total, 50);
}

#[tokio::test]
async fn an_operation_that_fails_halfway_is_undone_alone() {
    let store = Temporary::new();
    let id = OrganizationId::new("o").unwrap();
    store.create_organization(&id, "One").await.unwrap();
    // The database itself refuses one key.
    let connection = connect(&store.path());
    connection
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON metadata WHEN NEW.key = 'bad' \
             BEGIN SELECT RAISE(ABORT, 'refused'); END",
        )
        .unwrap();
    let writes = (0..20).map(|n| {
        let last = if n % 2 == 0 { "good" } else { "bad" };
        store.apply(&id, vec![set(&format!("k{n}"), b"v"), set(last, b"v")])
    });
    let outcomes = futures_util::future::join_all(writes).await;
    let sequences: Vec<_> = outcomes.iter().flatten().map(|details| details.sequence).collect();
    assert_eq!(sequences, (1..=10).map(|n| 1 + 2 * n).collect::<Vec<_>>());
    let failed = outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::Unavailable(_))));
    assert_eq!(failed.count(), 10);
    let page = store.list(&id, Query::default()).await.unwrap();
    assert_eq!((page.total, page.entries.len()), (11, 11), "k0, k2, …, and good");
    assert!(store.is_healthy());
}

#[test]
fn what_another_has_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metagate.db");
    let first = SqliteStore::open(&path).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Locked { .. }));
    assert_eq!(error.to_string(), format!("storage {}: locked by another process", path.display()));
    drop(first);
    SqliteStore::open(&path).unwrap();
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metagate.db");
    drop(SqliteStore::open(&path).unwrap());
    let connection = connect(&path);
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = refusal(&path);
    assert!(matches!(error, OpenError::NewerSchema { found: 99, .. }), "{error}");
    let connection = connect(&path);
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metagate.db");
    let text = "This is a letter, not a database. ".repeat(200);
    fs::write(&path, &text).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = refusal(&folder.path().join("file/metagate.db"));
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains("file"), "{error}");
    let error = refusal(folder.path());
    assert!(error.to_string().starts_with("storage "), "{error}");
}

//! What is SQLite's alone of an operator's commands: checks, locks, backups.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use domain::{Change, Key, OrganizationId, OrganizationState};
use metagate_storage_sqlite::{OpenError, SqliteArchive, SqliteStore, VFS};
use rusqlite::{Connection, OpenFlags};
use storage::{Archive, Store, archive::Import};
use tempfile::TempDir;

fn set(key: &str, bytes: usize) -> Change {
    Change::Set { key: Key::new(key.to_owned()).unwrap(), value: Bytes::from(vec![7; bytes]) }
}

/// The path of a store with two organizations, one of them removed.
async fn filled() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metagate.db");
    let store = SqliteStore::open(&path).unwrap();
    for (id, state) in [("one", OrganizationState::Active), ("two", OrganizationState::Removed)] {
        let id = OrganizationId::new(id).unwrap();
        store.create_organization(&id, "name").await.unwrap();
        store.apply(&id, vec![set("a", 10), set("b", 5_000), set("c", 10)]).await.unwrap();
        store.set_organization_state(&id, state).await.unwrap();
    }
    (folder, path)
}

#[tokio::test]
async fn a_check_finds_each_thing_that_is_wrong() {
    let one = "organization \"one\"";
    let a = "organization \"one\", key \"a\"";
    for (statement, want) in [
        (
            "UPDATE organization SET entries = 4 WHERE id = 'one'",
            &[format!("{one}: the count of its entries is wrong")][..],
        ),
        (
            "INSERT INTO metadata VALUES (99, 'x', x'00', NULL, 2, 1, 1)",
            &["key \"x\": the entry's organization is not there".to_owned()],
        ),
        (
            "UPDATE organization SET state = 3 WHERE id = 'one'",
            &["a", "b", "c"].map(|key| format!("{one}, key {key:?}: it is removed, and has metadata")),
        ),
        (
            "UPDATE organization SET sequence = 3 WHERE id = 'one'",
            &[format!("{one}: its last metadata event is not one of its events")],
        ),
        (
            "UPDATE metadata SET sequence = 9 WHERE key = 'a'",
            &[format!("{a}: the entry's event is not one of its organization's metadata events")],
        ),
        (
            "UPDATE metadata SET sequence = 1 WHERE key = 'a'",
            &[format!("{a}: the entry's event is not one of its organization's metadata events")],
        ),
        (
            "UPDATE metadata SET sequence = 3 WHERE key = 'a'",
            &[format!("{a}: two entries have the same event")],
        ),
        (
            "UPDATE organization SET last_event_at = last_metadata_at - 1 WHERE id = 'one'",
            &[format!("{one}: its last metadata event is before its creation, or after its last event")],
        ),
        (
            "UPDATE metadata SET created_at = changed_at + 1 WHERE key = 'a'",
            &[format!("{a}: the entry was changed before it was created, or after the last metadata event")],
        ),
        (
            "UPDATE metadata SET value = NULL WHERE key = 'a'",
            &[format!("{a}: the entry has no value, or two")],
        ),
        (
            "UPDATE metadata SET value = x'00' WHERE key = 'b'",
            &[format!("{one}, key \"b\": the entry has no value, or two")],
        ),
        (
            "INSERT INTO large_value VALUES (99, x'00')",
            &["the store: a large value belongs to no entry, or to several".to_owned()],
        ),
    ] {
        let (_folder, path) = filled().await;
        let archive = SqliteArchive::for_reading(&path).unwrap();
        assert_eq!(archive.check().await.unwrap(), Vec::<String>::new());
        let connection = Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), VFS).unwrap();
        assert!(connection.execute(statement, []).unwrap() > 0, "{statement}");
        assert_eq!(archive.check().await.unwrap(), want, "{statement}");
    }
}

#[tokio::test]
async fn who_writes_keeps_others_from_beginning_to_serve() {
    let (_folder, path) = filled().await;
    let locked = |path: &Path| matches!(SqliteStore::open(path), Err(OpenError::Locked { .. }));
    let writing = SqliteArchive::for_writing(&path).unwrap();
    assert!(locked(&path));
    let beside = SqliteArchive::for_writing(&path).unwrap();
    drop(writing);
    assert!(locked(&path));
    drop(beside);
    // Who only reads keeps nobody from anything.
    let reading = SqliteArchive::for_reading(&path).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    assert!(locked(&path));
    let writing = SqliteArchive::for_writing(&path).unwrap();
    assert_eq!(reading.stats(0).await.unwrap(), writing.stats(0).await.unwrap());
    drop(store);
    assert!(locked(&path));
    let restored = SqliteArchive::restore(&path, &path, true, &mut |_, _| {});
    assert!(matches!(restored, Err(OpenError::Locked { .. })), "{restored:?}");
}

#[tokio::test]
async fn what_was_opened_to_be_read_is_not_written() {
    let (_folder, path) = filled().await;
    let archive = SqliteArchive::for_reading(&path).unwrap();
    let import = Import { source: "s".to_owned(), replace: true };
    assert!(archive.import(&import, 0, Vec::new()).await.is_err());
    assert!(archive.finish_import("s").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_one_moment_however_much_is_written_meanwhile() {
    let (folder, path) = filled().await;
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    let id = OrganizationId::new("one").unwrap();
    // So large that it takes some steps.
    for number in 0..40 {
        store.apply(&id, vec![set(&format!("large-{number}"), 400_000)]).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, stop, id) = (store.clone(), stop.clone(), id.clone());
        async move {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                // Both or none.
                store.apply(&id, vec![set("left", 100_000), set("right", 100_000)]).await.unwrap();
                written += 1;
            }
            written
        }
    });
    let archive = SqliteArchive::for_reading(&path).unwrap();
    let mut steps = Vec::new();
    for round in 0..5 {
        let copy = folder.path().join(format!("backup-{round}.db"));
        let mut told = Vec::new();
        archive.backup(&copy, &mut |left, all| told.push((left, all))).unwrap();
        assert!(told.windows(2).all(|two| two[0].0 > two[1].0 && two[0].1 == two[1].1), "{told:?}");
        steps.push(told.len());
        let names = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with(".part-")));
        let archive = SqliteArchive::for_reading(&copy).unwrap();
        assert_eq!(archive.check().await.unwrap(), Vec::<String>::new());
        let store = SqliteStore::open(&copy).unwrap();
        let key = |text: &str| Key::new(text.to_owned()).unwrap();
        let left = store.get(&id, &key("left")).await.unwrap().map(|entry| entry.sequence + 1);
        assert_eq!(left, store.get(&id, &key("right")).await.unwrap().map(|entry| entry.sequence));
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 5);
    assert!(steps.iter().all(|steps| *steps > 2), "{steps:?}");
}

#[tokio::test]
async fn a_backup_of_an_older_version_comes_to_this_one() {
    let (folder, path) = filled().await;
    let backup = folder.path().join("backup.db");
    SqliteArchive::for_reading(&path).unwrap().backup(&backup, &mut |_, _| {}).unwrap();
    let older = |statements: &str| {
        let connection = Connection::open_with_flags_and_vfs(&backup, OpenFlags::default(), VFS).unwrap();
        connection.execute_batch(statements).unwrap();
    };
    older("DROP TABLE import; DROP TABLE record; DROP TABLE registry; PRAGMA user_version = 1");
    let restored = folder.path().join("restored.db");
    SqliteArchive::restore(&restored, &backup, false, &mut |_, _| {}).unwrap();
    let [before, after] = [&path, &restored].map(|path| SqliteArchive::for_reading(path).unwrap());
    assert_eq!(before.stats(9).await.unwrap(), after.stats(9).await.unwrap());
    assert_eq!(after.imported("s").await.unwrap(), 0);
    older("PRAGMA user_version = 99");
    let newer = SqliteArchive::restore(&restored, &backup, true, &mut |_, _| {});
    assert!(matches!(newer, Err(OpenError::OtherSchema { found: 99, .. })), "{newer:?}");
}

//! What a disk has changed is not taken for what was written, and is not made worse.

use std::{fs, path::Path, sync::Arc};

use bytes::Bytes;
use domain::{Change, Key, OrganizationId, Query};
use metagate_storage_sqlite::{OpenError, SqliteStore};
use rusqlite::Connection;
use sqlite_vfs::disk::Disk;
use storage::{Store, StoreError};
use tempfile::TempDir;

const PAGE_BYTES: usize = 4_096;
/// The last one is large, so that the file's last page is a part of it.
const KEYS: usize = 61;

fn organization() -> OrganizationId {
    OrganizationId::new("o").unwrap()
}

fn key(number: usize) -> Key {
    Key::new(format!("key-{number:03}")).unwrap()
}

/// Every tenth is a large one.
fn value(number: usize) -> Bytes {
    let size = if number.is_multiple_of(10) { 9_000 } else { 700 };
    Bytes::from(format!("{number:>size$}"))
}

async fn fill(store: &SqliteStore, numbers: impl Iterator<Item = usize>) {
    for number in numbers {
        let change = Change::Set { key: key(number), value: value(number) };
        store.apply(&organization(), vec![change]).await.unwrap();
    }
}

/// A folder for a store; the other tests' disk must be in place before any store is opened.
fn folder() -> TempDir {
    Disk::install().unwrap();
    tempfile::tempdir().unwrap()
}

/// A closed store with some pages.
async fn closed() -> (TempDir, Vec<u8>) {
    let folder = folder();
    let path = folder.path().join("metagate.db");
    let store = SqliteStore::open(&path).unwrap();
    store.create_organization(&organization(), "name").await.unwrap();
    fill(&store, 0..KEYS).await;
    drop(store);
    let file = fs::read(&path).unwrap();
    assert!(file.len() > 20 * PAGE_BYTES && !path.with_file_name("metagate.db-wal").exists());
    (folder, file)
}

/// Reads all there is. Returns how much could not be read.
async fn read_everything(store: &SqliteStore) -> usize {
    let mut damaged = 0;
    for number in 0..KEYS {
        match store.get(&organization(), &key(number)).await {
            Ok(entry) => assert_eq!(entry.map(|entry| entry.value), Some(value(number)), "key {number}"),
            Err(StoreError::Damaged(_)) => damaged += 1,
            Err(error) => panic!("key {number}: {error}"),
        }
    }
    match store.list(&organization(), Query::default()).await {
        Ok(page) => {
            let values: Vec<_> = page.entries.into_iter().map(|entry| entry.value).collect();
            assert_eq!(values, (0..KEYS).map(value).collect::<Vec<_>>());
        }
        Err(StoreError::Damaged(_)) => damaged += 1,
        Err(error) => panic!("list: {error}"),
    }
    damaged
}

#[tokio::test]
async fn a_damaged_page_is_an_error_and_never_an_answer() {
    let (folder, sound) = closed().await;
    let path = folder.path().join("metagate.db");
    let mut found = 0;
    for page in 0..sound.len() / PAGE_BYTES {
        let all = page * PAGE_BYTES..(page + 1) * PAGE_BYTES;
        // One bit anywhere; nothing at all; another page in its place.
        let other = (page + 1) % (sound.len() / PAGE_BYTES) * PAGE_BYTES;
        let header = if page == 0 { 100 } else { 0 };
        let spots = (0..header).chain([0, 3, 5, 200, 1_500, 3_000, 4_000, 4_090]);
        let mut harms: Vec<Vec<u8>> = Vec::new();
        for spot in spots {
            let mut file = sound.clone();
            file[all.start + spot] ^= 1;
            harms.push(file);
            let mut file = sound.clone();
            file[all.start + spot] ^= 8;
            harms.push(file);
        }
        for replacement in [vec![0; PAGE_BYTES], sound[other..other + PAGE_BYTES].to_vec()] {
            let mut file = sound.clone();
            file[all.clone()].copy_from_slice(&replacement);
            harms.push(file);
        }
        for (number, file) in harms.into_iter().enumerate() {
            fs::write(&path, &file).unwrap();
            match SqliteStore::open(&path) {
                Ok(store) => found += read_everything(&store).await,
                Err(error @ OpenError::Damaged { .. }) => {
                    assert!(error.to_string().contains("metagate.db: not a database, or damaged"), "{error}");
                    found += 1;
                }
                Err(error) => panic!("page {page}, harm {number}: {error}"),
            }
            assert!(fs::read(&path).unwrap() == file, "page {page}, harm {number}: the file was changed");
        }
    }
    assert!(found > sound.len() / PAGE_BYTES, "{found}");
    fs::write(&path, &sound).unwrap();
    assert_eq!(read_everything(&SqliteStore::open(&path).unwrap()).await, 0);
}

#[tokio::test]
async fn a_write_that_meets_damage_fails_alone() {
    let (folder, mut file) = closed().await;
    let path = folder.path().join("metagate.db");
    // The page that holds a key in the middle.
    let at = file.windows(7).position(|window| window == b"key-031").unwrap();
    file[at] ^= 1;
    fs::write(&path, &file).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let set = |number| vec![Change::Set { key: key(number), value: Bytes::from("new") }];
    assert!(matches!(store.apply(&organization(), set(31)).await, Err(StoreError::Damaged(_))));
    assert!(store.is_healthy());
    let sequence = store.apply(&organization(), set(0)).await.unwrap().sequence;
    assert_eq!(sequence, KEYS as u64 + 2, "what failed took no number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_share_a_commit_with_one_that_meets_damage_may_try_again() {
    let (folder, mut file) = closed().await;
    let path = folder.path().join("metagate.db");
    let at = file.windows(7).position(|window| window == b"key-031").unwrap();
    file[at] ^= 1;
    fs::write(&path, &file).unwrap();
    let disk = Disk::at(folder.path()).unwrap();
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    let set = async |number| {
        let change = Change::Set { key: key(number), value: Bytes::from("new") };
        store.apply(&organization(), vec![change]).await
    };
    disk.hold_syncs();
    let waits = store.clone();
    let first = tokio::spawn(async move {
        let change = Change::Set { key: key(0), value: Bytes::from("first") };
        waits.apply(&organization(), vec![change]).await
    });
    while disk.waiting_syncs() == 0 {
        tokio::task::yield_now().await;
    }
    // All three are in the queue before the first is done.
    let (before, damaged, after, ()) = tokio::join!(set(0), set(31), set(60), async { disk.release_syncs() });
    first.await.unwrap().unwrap();
    assert!(matches!(damaged, Err(StoreError::Damaged(_))), "{damaged:?}");
    for shared in [before, after] {
        let told = shared.unwrap_err().to_string();
        let want = "store unavailable: a write that shared the commit met damage: ";
        assert!(told.starts_with(want), "{told}");
    }
    assert!(store.is_healthy());
    set(0).await.unwrap();
}

#[tokio::test]
async fn a_database_that_was_cut_short_is_an_error_and_never_an_answer() {
    let (folder, sound) = closed().await;
    let path = folder.path().join("metagate.db");
    for length in
        [1, 99, 100, 4_095, 4_096, 5_000, sound.len() / 2, sound.len() - PAGE_BYTES, sound.len() - 1]
    {
        fs::write(&path, &sound[..length]).unwrap();
        match SqliteStore::open(&path) {
            Ok(store) => assert!(read_everything(&store).await > 0, "cut after {length}"),
            Err(OpenError::Damaged { .. }) => {}
            Err(error) => panic!("cut after {length}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_log_that_was_cut_short_leaves_whole_writes_up_to_somewhere() {
    let folder = folder();
    let [path, log] = ["metagate.db", "metagate.db-wal"].map(|name| folder.path().join(name));
    let store = SqliteStore::open(&path).unwrap();
    store.create_organization(&organization(), "name").await.unwrap();
    fill(&store, 0..12).await;
    let (database, whole) = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    let mut seen = Vec::new();
    for length in (0..whole.len()).step_by(1_000) {
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join("metagate.db"), &database).unwrap();
        fs::write(copy.path().join("metagate.db-wal"), &whole[..length]).unwrap();
        let store = SqliteStore::open(&copy.path().join("metagate.db"));
        let store = store.unwrap_or_else(|error| panic!("cut after {length}: {error}"));
        let Some(found) = store.organization(&organization()).await.unwrap() else { continue };
        let page = store.list(&organization(), Query::default()).await.unwrap();
        let values: Vec<_> = page.entries.into_iter().map(|entry| entry.value).collect();
        assert_eq!(values, (0..values.len()).map(value).collect::<Vec<_>>(), "cut after {length}");
        assert_eq!(found.sequence, 1 + values.len() as u64, "cut after {length}");
        seen.push(values.len());
    }
    assert!(seen.is_sorted() && seen.first() < seen.last(), "{seen:?}");
}

#[tokio::test]
async fn a_database_without_checksums_gets_them() {
    let (folder, _) = closed().await;
    let path = folder.path().join("metagate.db");
    strip(&path);
    assert_eq!(fs::read(&path).unwrap()[20], 0);
    drop(SqliteStore::open(&path).unwrap());
    let mut file = fs::read(&path).unwrap();
    assert_eq!(file[20], 8);
    assert_eq!(read_everything(&SqliteStore::open(&path).unwrap()).await, 0);
    let last = file.len() - 100;
    file[last] ^= 1;
    fs::write(&path, file).unwrap();
    assert!(read_everything(&SqliteStore::open(&path).unwrap()).await > 0);
}

/// Makes a database as SQLite does by itself.
fn strip(path: &Path) {
    let bare = path.with_file_name("bare.db");
    let connection = Connection::open(&bare).unwrap();
    connection.execute("ATTACH ?1 AS whole", [path.to_str()]).unwrap();
    let tables: Vec<(String, String)> = {
        let sql = "SELECT name, sql FROM whole.sqlite_schema WHERE type = 'table'";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    for (name, sql) in tables {
        connection.execute_batch(&format!("{sql}; INSERT INTO {name} SELECT * FROM whole.{name}")).unwrap();
    }
    let version: i64 = connection.query_row("PRAGMA whole.user_version", [], |row| row.get(0)).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
    drop(connection);
    fs::rename(bare, path).unwrap();
}

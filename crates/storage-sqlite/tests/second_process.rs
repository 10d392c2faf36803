//! A second process that writes to the file in short transactions of its own, while the store is under load.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::{Change, Comparison, Key, KeyFilter, OrganizationId, Query};
use futures_util::future::join_all;
use metagate_storage_sqlite::{SqliteArchive, SqliteStore, Tuning, VFS};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use storage::{Archive, Store, StoreError};
use tokio::runtime::Handle;

/// Says to this program that it is the second process, and where the store is.
const STORE: &str = "METAGATE_TEST_STORE";

/// Says that it is to write until it is killed.
const IS_ENDLESS: &str = "METAGATE_TEST_IS_ENDLESS";

/// How many clients write through the store meanwhile.
const WRITERS: usize = 16;

/// How many writes the second process makes when it ends by itself, and how many are looked at before it is killed.
const WRITES: usize = 200;

/// How many writes it makes on one connection.
const WRITES_PER_CONNECTION: usize = 20;

/// Every so many pages of the log there is a checkpoint, on both sides.
const LOG_PAGES_MAX: usize = 60;

const ORGANIZATION: &str = "o";

/// The numbers of the writes that were acknowledged, by key.
type Acknowledged = Mutex<BTreeMap<String, u64>>;

fn open(path: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags_and_vfs(path, flags, VFS).unwrap();
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX).unwrap();
    connection
}

/// What the second process does. It says `key number` on its standard error after each commit; what goes wrong is there too.
#[test]
fn as_the_second_process() {
    let Ok(path) = env::var(STORE) else { return };
    let path = Path::new(&path);
    // Makes the VFS known, and holds no lock.
    drop(SqliteArchive::for_reading(path).unwrap());
    let connections = if env::var(IS_ENDLESS).is_ok() { usize::MAX } else { WRITES / WRITES_PER_CONNECTION };
    for n in 0..connections {
        let mut connection = open(path);
        for n in n * WRITES_PER_CONNECTION..(n + 1) * WRITES_PER_CONNECTION {
            let key = format!("second-{n}");
            let sequence = write(&mut connection, &key).unwrap();
            eprintln!("{key} {sequence}");
        }
    }
}

/// One event in a transaction of SQL.
fn write(connection: &mut Connection, key: &str) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (number, sequence, at): (i64, u64, i64) = transaction.query_row(
        "UPDATE organization SET sequence = sequence + 1, last_metadata_sequence = sequence + 1, \
         last_metadata_at = last_event_at, entries = entries + 1 WHERE id = ?1 \
         RETURNING number, sequence, last_metadata_at",
        [ORGANIZATION],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    transaction.execute("INSERT INTO large_value (value) VALUES (zeroblob(5000))", ())?;
    transaction.execute(
        "INSERT INTO metadata VALUES (?1, ?2, NULL, last_insert_rowid(), ?3, ?4, ?4)",
        (number, key, sequence, at),
    )?;
    transaction.commit()?;
    Ok(sequence)
}

fn start(path: &Path, is_endless: bool) -> (Child, BufReader<ChildStderr>) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "as_the_second_process", "--nocapture"]).env(STORE, path);
    if is_endless {
        command.env(IS_ENDLESS, "");
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap());
    (child, lines)
}

/// Writes one key after the other until told to end, and reads back each.
async fn load(store: &SqliteStore, writer: usize, is_over: &AtomicBool, acknowledged: &Acknowledged) {
    let id = OrganizationId::new(ORGANIZATION).unwrap();
    for n in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let key = Key::new(format!("{writer}-{n}")).unwrap();
        let change = Change::Set { key: key.clone(), value: Bytes::from(vec![7; 3_000]) };
        let details = store.apply(&id, vec![change]).await.unwrap();
        assert_eq!(store.get(&id, &key).await.unwrap().unwrap().sequence, details.sequence);
        acknowledged.lock().unwrap().insert(key.into_string(), details.sequence);
    }
}

/// Runs the second process beside the load, and looks at each of its writes through the store as soon as it has said so.
/// Ends it after `WRITES` of them if it is endless. Then all that was acknowledged must be there, under numbers without a gap.
async fn run(is_endless: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metagate.db");
    let tuning = Tuning { log_pages_max: LOG_PAGES_MAX, ..Tuning::default() };
    let store = Arc::new(SqliteStore::open_tuned(&path, tuning).unwrap());
    let id = OrganizationId::new(ORGANIZATION).unwrap();
    store.create_organization(&id, "An organization").await.unwrap();

    let (is_over, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Acknowledged::default()));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, is_over, acknowledged) = (store.clone(), is_over.clone(), acknowledged.clone());
            tokio::spawn(async move { load(&store, writer, &is_over, &acknowledged).await })
        })
        .collect();
    let (mut child, lines) = start(&path, is_endless);
    let (reader, id_read, said) = (store.clone(), id.clone(), acknowledged.clone());
    let watch = tokio::task::spawn_blocking(move || {
        let mut seen = 0;
        for line in lines.lines() {
            let line = line.unwrap();
            let Some((key, sequence)) = line.split_once(' ').filter(|(key, _)| key.starts_with("second-"))
            else {
                panic!("the second process: {line}");
            };
            let sequence: u64 = sequence.parse().unwrap();
            Handle::current().block_on(async {
                let entry = reader.get(&id_read, &Key::new(key.to_owned()).unwrap()).await.unwrap().unwrap();
                assert_eq!((entry.sequence, entry.value.len()), (sequence, 5_000));
                let organization = reader.organization(&id_read).await.unwrap().unwrap();
                assert!(organization.sequence >= sequence);
                let filter = KeyFilter::new("second-", Comparison::StartsWith);
                let query = Query { filters: vec![filter], limit: Some(1), ..Query::default() };
                assert!(reader.list(&id_read, query).await.unwrap().total > seen);
            });
            said.lock().unwrap().insert(key.to_owned(), sequence);
            seen += 1;
            if is_endless && seen == WRITES as u64 {
                child.kill().unwrap();
            }
        }
        (child.wait().unwrap(), seen)
    });
    let (status, seen) = watch.await.unwrap();
    assert!(seen >= WRITES as u64 && status.success() != is_endless, "{status} after {seen} writes");
    is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }

    let (last, page) =
        (store.organization(&id).await.unwrap().unwrap(), store.list(&id, Query::default()).await.unwrap());
    let mut stored: BTreeMap<_, _> =
        page.entries.into_iter().map(|entry| (entry.key.into_string(), entry.sequence)).collect();
    assert_eq!(page.total, stored.len() as u64);
    let mut numbers: Vec<_> = stored.values().copied().collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=last.sequence).collect::<Vec<_>>());
    let acknowledged = acknowledged.lock().unwrap().clone();
    stored.retain(|key, sequence| acknowledged.get(key) != Some(sequence));
    // Who was killed may have committed what it did not say.
    assert!(stored.len() <= usize::from(is_endless), "{stored:?}");
    assert_eq!(last.sequence, 1 + acknowledged.len() as u64 + stored.len() as u64);
    drop(store);

    // Not a page that is not as it was written.
    let archive = SqliteArchive::for_reading(&path).unwrap();
    assert_eq!(archive.check().await.unwrap(), Vec::<String>::new());
    assert!(acknowledged.len() > WRITES + WRITERS, "{} writes", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_writes_beside_sixteen_writers() {
    run(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_is_killed_beside_sixteen_writers() {
    run(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_refused_while_another_does_not_end_its_transaction_and_go_on_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metagate.db");
    let tuning = Tuning { others_wait: Duration::from_millis(10), ..Tuning::default() };
    let store = SqliteStore::open_tuned(&path, tuning).unwrap();
    let id = OrganizationId::new(ORGANIZATION).unwrap();
    store.create_organization(&id, "An organization").await.unwrap();
    let set = || {
        let (key, value) = (Key::new("k".to_owned()).unwrap(), Bytes::from_static(b"v"));
        store.apply(&id, vec![Change::Set { key, value }])
    };
    let other = open(&path);
    for sequence in 2..5 {
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        for outcome in join_all((0..WRITERS).map(|_| set())).await {
            assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        }
        assert_eq!(store.list(&id, Query::default()).await.unwrap().total, u64::from(sequence > 2));
        other.execute_batch("COMMIT").unwrap();
        assert!(store.is_healthy());
        assert_eq!(set().await.unwrap().sequence, sequence);
    }
}

//! The 1st, 2nd, 3rd … operation on the disk fails, until none is left to fail; and what callers see of it.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use domain::{Change, Details, Key, OrganizationId};
use metagate_storage_sqlite::{Mistake, SqliteStore, Tuning};
use sqlite_vfs::disk::{Disk, Fault};
use storage::{Store, StoreError};
use tempfile::TempDir;

use crate::history::live;

/// Has each operation fail in turn, as `fault` says.
async fn fail_everywhere(fault: fn(u64) -> Fault) -> u64 {
    for at in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::at(folder.path()).unwrap();
        let history =
            live(&folder.path().join("metagate.db"), &disk, fault(at), Mistake::None).await.unwrap();
        if !disk.has_fired() {
            assert!(history.has_acknowledgements());
            return at - 1;
        }
    }
    unreachable!("operations end")
}

#[tokio::test]
async fn an_operation_that_fails_once_breaks_no_promise() {
    assert!(fail_everywhere(Fault::Once).await > 100);
}

#[tokio::test]
async fn a_disk_that_fails_for_good_breaks_no_promise() {
    assert!(fail_everywhere(Fault::ForGood).await > 100);
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_moment_breaks_no_promise() {
    assert!(fail_everywhere(Fault::FullOnce).await > 50);
}

#[tokio::test]
async fn a_disk_that_stays_full_breaks_no_promise() {
    assert!(fail_everywhere(Fault::FullForGood).await > 50);
}

#[tokio::test]
async fn a_sync_that_fails_breaks_no_promise() {
    assert!(fail_everywhere(Fault::SyncOnce).await > 10);
}

/// An open store on a disk of its own, with one organization.
struct Fixture {
    disk: Disk,
    store: SqliteStore,
    path: PathBuf,
    _folder: TempDir,
}

impl Fixture {
    async fn new(log_pages_max: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::at(folder.path()).unwrap();
        let path = folder.path().join("metagate.db");
        let tuning = Tuning { log_pages_max, ..Tuning::default() };
        let store = SqliteStore::open_tuned(&path, tuning).unwrap();
        store.create_organization(&organization(), "name").await.unwrap();
        Self { store, disk, path, _folder: folder }
    }

    async fn set(&self, name: &str) -> Result<Details, StoreError> {
        let change = Change::Set { key: key(name), value: Bytes::from("v") };
        self.store.apply(&organization(), vec![change]).await
    }

    async fn has(&self, name: &str) -> bool {
        self.store.get(&organization(), &key(name)).await.unwrap().is_some()
    }
}

fn organization() -> OrganizationId {
    OrganizationId::new("o").unwrap()
}

fn key(name: &str) -> Key {
    Key::new(name.to_owned()).unwrap()
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_any_more_and_reads_go_on() {
    let fixture = Fixture::new(usize::MAX).await;
    fixture.set("before").await.unwrap();
    assert!(fixture.store.is_healthy());
    fixture.disk.set_fault(Some(Fault::SyncOnce(1)));
    assert!(matches!(fixture.set("during").await, Err(StoreError::Unavailable(_))));
    for _ in 0..3 {
        let refused = fixture.set("after").await.unwrap_err();
        assert_eq!(refused.to_string(), "store unavailable: the store has stopped writing");
    }
    assert!(!fixture.store.is_healthy(), "readiness is told");
    assert!(fixture.has("before").await, "reads go on");
    assert!(!fixture.has("during").await, "what may not be durable is not seen");
    // Closing does not write either.
    fixture.disk.set_fault(None);
    let Fixture { store, disk, path, _folder } = fixture;
    drop(store);
    assert_eq!(disk.syncs(), 0);
    let store = SqliteStore::open(&path).unwrap();
    assert!(store.get(&organization(), &key("before")).await.unwrap().is_some());
    assert!(store.get(&organization(), &key("after")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_checkpoint_that_cannot_sync_stops_writing_and_loses_nothing() {
    let mut failed_checkpoints = 0;
    // The checkpoint follows two syncs of the commit, or more: that of the fixture may still be under way.
    for at in (3..=6).cycle().take(40) {
        let fixture = Fixture::new(1).await;
        fixture.disk.set_fault(Some(Fault::SyncOnce(at)));
        let first = fixture.set("k").await;
        let second = fixture.set("l").await;
        let has_stopped = |error: StoreError| error.to_string().ends_with("the store has stopped writing");
        if first.is_err() || !second.is_err_and(has_stopped) {
            continue;
        }
        failed_checkpoints += 1;
        assert!(!fixture.store.is_healthy());
        fixture.disk.cut_power(at).unwrap();
        let Fixture { store, disk, path, _folder } = fixture;
        drop(store);
        disk.restore_power();
        let store = SqliteStore::open(&path).unwrap();
        assert!(store.get(&organization(), &key("k")).await.unwrap().is_some());
    }
    assert!(failed_checkpoints > 0);
}

#[tokio::test]
async fn a_full_disk_is_waited_out() {
    let fixture = Fixture::new(usize::MAX).await;
    fixture.set("before").await.unwrap();
    fixture.disk.set_fault(Some(Fault::FullForGood(1)));
    for _ in 0..3 {
        assert!(matches!(fixture.set("during").await, Err(StoreError::Full(_))));
    }
    assert!(fixture.store.is_healthy() && fixture.has("before").await);
    fixture.disk.set_fault(None);
    let details = fixture.set("after").await.unwrap();
    assert_eq!(details.sequence, 3, "what was refused took no number");
    assert!(fixture.has("after").await && !fixture.has("during").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_not_acknowledged_while_its_sync_lasts_and_reads_go_on() {
    let fixture = Arc::new(Fixture::new(usize::MAX).await);
    fixture.set("before").await.unwrap();
    fixture.disk.hold_syncs();
    let writer = fixture.clone();
    let write = tokio::spawn(async move { writer.set("during").await });
    while fixture.disk.waiting_syncs() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(fixture.has("before").await && !fixture.has("during").await);
    assert!(!write.is_finished());
    fixture.disk.release_syncs();
    write.await.unwrap().unwrap();
    assert!(fixture.has("during").await);
}

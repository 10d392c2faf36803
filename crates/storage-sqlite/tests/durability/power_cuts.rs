//! The power is cut at every operation on the disk in turn.

use std::path::Path;

use metagate_storage_sqlite::{Mistake, SqliteStore, Tuning};
use sqlite_vfs::disk::{Disk, Fault};

use crate::history::History;

/// Checkpoints come as soon as the log has so many pages, so that cuts meet them.
pub const LOG_PAGES_MAX: usize = 12;

/// A life of a store on a disk that does as told, and what is true afterwards.
///
/// # Errors
/// The promise that was broken.
pub async fn live(path: &Path, disk: &Disk, fault: Fault, mistake: Mistake) -> Result<History, String> {
    let mut history = History::default();
    disk.set_fault(Some(fault));
    let tuning = Tuning { log_pages_max: LOG_PAGES_MAX, mistake };
    // Who cannot open it has lost nothing yet.
    if let Ok(store) = SqliteStore::open_tuned(path, tuning) {
        history.write(&store).await;
    }
    if matches!(fault, Fault::PowerCut { .. }) && !disk.has_fired() {
        disk.cut_power(0).unwrap();
    }
    disk.restore_power();
    history.check(path).await.map_err(|broken| format!("{fault:?}: {broken}"))?;
    Ok(history)
}

/// Cuts the power at every operation. Returns how many there were.
///
/// # Errors
/// The first promise that was broken.
async fn cut_everywhere(mistake: Mistake, seed: u64) -> Result<u64, String> {
    for at in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::at(folder.path()).unwrap();
        let fault = Fault::PowerCut { at, seed };
        let history = live(&folder.path().join("metagate.db"), &disk, fault, mistake).await?;
        if !disk.has_fired() {
            assert!(history.has_acknowledgements());
            return Ok(at - 1);
        }
    }
    unreachable!("operations end")
}

#[tokio::test]
async fn an_acknowledged_write_survives_a_power_cut_anywhere() {
    for seed in 1..=3 {
        let cuts = cut_everywhere(Mistake::None, seed).await;
        assert!(cuts.as_ref().is_ok_and(|&cuts| cuts > 100), "{cuts:?}");
    }
}

#[tokio::test]
async fn to_leave_syncing_to_the_system_is_found() {
    let broken = cut_everywhere(Mistake::SynchronousOff, 1).await.unwrap_err();
    assert!(broken.contains("acknowledged") || broken.contains("lost"), "{broken}");
}

#[tokio::test]
async fn to_acknowledge_before_the_commit_is_found() {
    let broken = cut_everywhere(Mistake::AcknowledgesFirst, 1).await.unwrap_err();
    assert!(broken.contains("acknowledged") || broken.contains("lost"), "{broken}");
}

//! The power is cut at every operation on the disk in turn.

use metagate_storage_sqlite::Mistake;
use sqlite_vfs::disk::{Disk, Fault};

use crate::history::live;

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

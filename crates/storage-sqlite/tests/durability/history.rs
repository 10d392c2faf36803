//! A history of writes, and what must be true of a store after it, whatever happened on the way.

use std::path::Path;

use bytes::Bytes;
use domain::{Change, Details, Key, OrganizationId, Query};
use futures_util::future::join_all;
use metagate_storage_sqlite::{Mistake, SqliteStore, Tuning};
use sqlite_vfs::disk::{Disk, Fault};
use storage::{Store, StoreError};

const WRITERS: usize = 3;
const ROUNDS: usize = 4;

/// Every batch sets this many keys of its writer to the batch's number: small, large, and small again.
const SIZES: [usize; 3] = [1, 6_000, 900];

/// Checkpoints come as soon as the log has so many pages, so that cuts meet them.
const LOG_PAGES_MAX: usize = 12;

/// A life of a store on a disk that does as told, and what is true afterwards.
///
/// # Errors
/// The promise that was broken.
pub async fn live(path: &Path, disk: &Disk, fault: Fault, mistake: Mistake) -> Result<History, String> {
    let mut history = History::default();
    disk.set_fault(Some(fault));
    let tuning = Tuning { log_pages_max: LOG_PAGES_MAX, mistake, ..Tuning::default() };
    // Who cannot open it has lost nothing yet.
    if let Ok(store) = SqliteStore::open_tuned(path, tuning) {
        history.write(&store).await;
    }
    if matches!(fault, Fault::PowerCut { .. }) && !disk.has_fired() {
        disk.cut_power(0).unwrap();
    }
    disk.restore_power();
    history.check(path, disk).await.map_err(|broken| format!("{fault:?}: {broken}"))?;
    Ok(history)
}

/// What was asked for and what was acknowledged.
#[derive(Default)]
pub struct History {
    is_organization_acknowledged: bool,
    writers: [Writer; WRITERS],
}

#[derive(Default)]
struct Writer {
    asked: usize,
    /// The number of the last batch that was acknowledged.
    acknowledged: usize,
    details: Vec<Details>,
    /// How many batches may have been applied though they failed.
    open: usize,
}

fn organization() -> OrganizationId {
    OrganizationId::new("o").unwrap()
}

fn key(writer: usize, index: usize) -> Key {
    Key::new(format!("w{writer}-{index}")).unwrap()
}

fn value(batch: usize, size: usize) -> Bytes {
    Bytes::from(format!("{batch:<size$}"))
}

impl History {
    /// Writers that write at once, each a batch a round; those whose batch fails go on with the next one.
    pub async fn write(&mut self, store: &SqliteStore) {
        let id = organization();
        self.is_organization_acknowledged |= store.create_organization(&id, "name").await.is_ok();
        for _ in 0..ROUNDS {
            let batches = self.writers.iter_mut().enumerate().map(async |(number, writer)| {
                writer.asked += 1;
                let change = |(index, &size): (usize, &usize)| Change::Set {
                    key: key(number, index),
                    value: value(writer.asked, size),
                };
                let changes = SIZES.iter().enumerate().map(change).collect();
                match store.apply(&id, changes).await {
                    Ok(details) => {
                        writer.acknowledged = writer.asked;
                        writer.details.push(details);
                    }
                    // Certain not to have been applied.
                    Err(StoreError::Damaged(_) | StoreError::OrganizationNotFound) => {}
                    // What did not fit may have been in the log before, left from an older write.
                    Err(StoreError::Full(_) | StoreError::Unavailable(_)) => writer.open += 1,
                    Err(error) => panic!("nothing of the kind was asked for: {error}"),
                }
            });
            join_all(batches).await;
            // Reads take part in what can fail; they may fail, but not lie.
            if let Ok(page) = store.list(&id, Query::default()).await {
                let number_of =
                    |value: &Bytes| std::str::from_utf8(value).unwrap().trim().parse::<usize>().unwrap();
                for entries in page.entries.chunks(SIZES.len()) {
                    let numbers: Vec<_> = entries.iter().map(|entry| number_of(&entry.value)).collect();
                    assert!(
                        numbers.windows(2).all(|pair| pair[0] == pair[1]),
                        "half a batch was read: {numbers:?}"
                    );
                }
            }
        }
    }

    /// Whether any write was acknowledged.
    pub fn has_acknowledgements(&self) -> bool {
        self.writers.iter().any(|writer| writer.acknowledged > 0)
    }

    /// Opens the store that the history left, on a disk that works, until its power is cut.
    ///
    /// # Errors
    /// The promise that was broken.
    pub async fn check(&self, path: &Path, disk: &Disk) -> Result<(), String> {
        let store = SqliteStore::open(path).map_err(|error| format!("it does not open: {error}"))?;
        let id = organization();
        let Some(found) = store.organization(&id).await.map_err(|error| error.to_string())? else {
            let lost = self.is_organization_acknowledged || self.has_acknowledgements();
            return if lost { Err("the organization is lost".to_owned()) } else { Ok(()) };
        };
        for (number, writer) in self.writers.iter().enumerate() {
            self.check_keys(&store, number, writer).await?;
        }
        let events = found.sequence - 1;
        let batches = usize::try_from(events).unwrap() / SIZES.len();
        let acknowledged: usize = self.writers.iter().map(|writer| writer.details.len()).sum();
        let open: usize = self.writers.iter().map(|writer| writer.open).sum();
        let possible = acknowledged..=acknowledged + open;
        if !events.is_multiple_of(SIZES.len() as u64) || !possible.contains(&batches) {
            return Err(format!("{events} events of {acknowledged} acknowledged batches, and {open} open"));
        }
        if found.last_metadata_event.sequence != found.sequence {
            return Err("the last event is not the last".to_owned());
        }
        let mut numbers: Vec<_> = self.writers.iter().flat_map(|writer| &writer.details).collect();
        numbers.sort_by_key(|details| details.sequence);
        for pair in numbers.windows(2) {
            if pair[1].sequence < pair[0].sequence + SIZES.len() as u64 || pair[1].at < pair[0].at {
                return Err(format!("a number or a time is used twice: {pair:?}"));
            }
        }
        if numbers.last().is_some_and(|last| last.sequence > found.sequence) {
            return Err("an acknowledged number is lost".to_owned());
        }
        // It works on, with the next number.
        let change = Change::Set { key: Key::new("after".to_owned()).unwrap(), value: Bytes::from("v") };
        let after = store.apply(&id, vec![change]).await.map_err(|error| error.to_string())?;
        if after.sequence != found.sequence + 1 || after.at < found.last_metadata_event.at {
            return Err(format!("after {found:?} comes {after:?}"));
        }
        disk.cut_power(after.sequence).map_err(|error| error.to_string())?;
        drop(store);
        disk.restore_power();
        let store = SqliteStore::open(path).map_err(|error| format!("it does not open again: {error}"))?;
        let found = store.organization(&id).await.map_err(|error| error.to_string())?;
        match found {
            Some(found) if found.last_metadata_event == after => Ok(()),
            found => Err(format!("after a restart and a power cut: {found:?} instead of {after:?}")),
        }
    }

    async fn check_keys(&self, store: &SqliteStore, number: usize, writer: &Writer) -> Result<(), String> {
        let mut found = Vec::new();
        for (index, size) in SIZES.into_iter().enumerate() {
            let entry = store.get(&organization(), &key(number, index)).await;
            let batch = match entry.map_err(|error| error.to_string())? {
                None => 0,
                Some(entry) => {
                    let batch = std::str::from_utf8(&entry.value).unwrap().trim().parse().unwrap();
                    if entry.value != value(batch, size) {
                        return Err(format!("writer {number}: a value is damaged"));
                    }
                    batch
                }
            };
            found.push(batch);
        }
        if found.iter().any(|&batch| batch != found[0]) {
            return Err(format!("writer {number}: half a batch: {found:?}"));
        }
        let Writer { asked, acknowledged, .. } = writer;
        if !(*acknowledged..=*asked).contains(&found[0]) {
            return Err(format!(
                "writer {number}: has {found:?}, {acknowledged} acknowledged, {asked} asked for"
            ));
        }
        Ok(())
    }
}

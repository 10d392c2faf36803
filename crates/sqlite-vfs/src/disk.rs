//! A disk for tests: it keeps what is not synced apart, and can fail, be full, stall and lose its power.
//!
//! What was synced is in the files themselves; what was not is in memory, where every connection of the process sees
//! it, as it would see a system's page cache. After a power cut each sector that was not synced may be there or not.
//! After a failed sync what it should have made durable never will be, though it is still seen: so do Linux's file
//! systems. Locks and shared memory are the system's own. To make and to delete a file is durable at once.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError},
};

use crate::{Below, Failure, Handle, Kind, Layer, RegisterError, register};

/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// When a [`Disk`] fails, and how. Operations are counted from 1, since the fault was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation of this number fails.
    Once(u64),
    /// The operation of this number fails, and all after it.
    ForGood(u64),
    /// The write of this number finds no room.
    FullOnce(u64),
    /// The write of this number finds no room, nor do those after it.
    FullForGood(u64),
    /// The sync of this number fails.
    SyncOnce(u64),
    /// The power is cut before the operation of this number is done. The seed decides which sectors made it.
    PowerCut {
        /// The operation.
        at: u64,
        /// For which sectors made it.
        seed: u64,
    },
}

/// The disk that holds a folder.
pub struct Disk {
    folder: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Default)]
struct State {
    caches: BTreeMap<PathBuf, Cache>,
    fault: Option<Fault>,
    has_fired: bool,
    is_off: bool,
    holds_syncs: bool,
    waiting_syncs: usize,
    operations: u64,
    writes: u64,
    syncs: u64,
}

/// What the system holds of a file, and the disk does not.
#[derive(Default)]
struct Cache(Vec<(Change, Fate)>);

enum Change {
    Write { offset: u64, data: Vec<u8> },
    Size(u64),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The next sync makes it durable.
    Pending,
    /// A sync has failed to: no other will.
    Lost,
    /// It is on the disk, behind something that is lost.
    Durable,
}

/// By folder.
static DISKS: LazyLock<Mutex<HashMap<PathBuf, Arc<Shared>>>> = LazyLock::new(Mutex::default);

impl Disk {
    /// Puts the layer in place as SQLite's default, once a process. Stores that put a layer of their own on top must be
    /// opened later, those too that are on no disk of these.
    ///
    /// # Errors
    /// If SQLite does not take it.
    pub fn install() -> Result<(), Box<dyn std::error::Error>> {
        static REGISTERED: OnceLock<Result<(), RegisterError>> = OnceLock::new();
        let registered = REGISTERED.get_or_init(|| register("disk", Arc::new(Disks), true));
        registered.as_ref().map_err(ToString::to_string)?;
        Ok(())
    }

    /// A disk for the files in `folder`, until it is dropped. Databases elsewhere are left alone.
    ///
    /// # Errors
    /// Those of [`Disk::install`]. If the folder is not there.
    pub fn at(folder: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        Self::install()?;
        let (folder, shared) = (folder.canonicalize()?, Arc::new(Shared::default()));
        lock(&DISKS).insert(folder.clone(), shared.clone());
        Ok(Self { folder, shared })
    }

    /// Counts anew, and fails as told from now on; with `None` no more.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.shared.lock();
        (state.operations, state.writes, state.syncs, state.has_fired) = (0, 0, 0, false);
        state.fault = fault;
    }

    /// Whether the fault has struck.
    pub fn has_fired(&self) -> bool {
        self.shared.lock().has_fired
    }

    /// How many syncs there were since the fault was set.
    pub fn syncs(&self) -> u64 {
        self.shared.lock().syncs
    }

    /// Cuts the power: nothing works any more, and of each sector that was not synced chance decides.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn cut_power(&self, seed: u64) -> io::Result<()> {
        self.shared.lock().cut_power(seed)
    }

    /// Restores the power after a cut, without faults. Databases must be closed before.
    pub fn restore_power(&self) {
        let mut state = self.shared.lock();
        (state.is_off, state.fault) = (false, None);
    }

    /// Lets no sync end until [`Disk::release_syncs`].
    pub fn hold_syncs(&self) {
        self.shared.lock().holds_syncs = true;
    }

    /// How many syncs are being held.
    pub fn waiting_syncs(&self) -> usize {
        self.shared.lock().waiting_syncs
    }

    /// Lets syncs end again.
    pub fn release_syncs(&self) {
        self.shared.lock().holds_syncs = false;
        self.shared.released.notify_all();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        lock(&DISKS).remove(&self.folder);
        // A store that is still open could not close.
        self.release_syncs();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === operations and faults ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Write,
    Sync,
    Other,
}

impl State {
    /// Counts an operation, which is to fail with `failure` if it must.
    fn count(&mut self, operation: Operation, failure: Failure) -> Result<(), Failure> {
        if self.is_off {
            return Err(failure);
        }
        let (is_write, is_sync) = (operation == Operation::Write, operation == Operation::Sync);
        self.operations += 1;
        self.writes += u64::from(is_write);
        self.syncs += u64::from(is_sync);
        let fails = match self.fault {
            None => None,
            Some(Fault::Once(at)) => (self.operations == at).then_some(failure),
            Some(Fault::ForGood(at)) => (self.operations >= at).then_some(failure),
            Some(Fault::FullOnce(at)) => (is_write && self.writes == at).then_some(Failure::FULL),
            Some(Fault::FullForGood(at)) => (is_write && self.writes >= at).then_some(Failure::FULL),
            Some(Fault::SyncOnce(at)) => (is_sync && self.syncs == at).then_some(failure),
            Some(Fault::PowerCut { at, seed }) => {
                if self.operations == at && self.cut_power(seed).is_err() {
                    std::process::abort();
                }
                (self.operations == at).then_some(failure)
            }
        };
        self.has_fired |= fails.is_some();
        fails.map_or(Ok(()), Err)
    }

    fn cut_power(&mut self, seed: u64) -> io::Result<()> {
        self.is_off = true;
        let mut chance = Chance(seed);
        for (path, cache) in std::mem::take(&mut self.caches) {
            let file = match OpenOptions::new().write(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            for (change, fate) in &cache.0 {
                // What is durable stands above what was lost before it.
                change.survive(&file, || *fate == Fate::Durable || chance.toss())?;
            }
        }
        Ok(())
    }
}

impl Change {
    /// Writes those sectors that pass.
    fn survive(&self, file: &File, mut passes: impl FnMut() -> bool) -> io::Result<()> {
        match self {
            Self::Size(size) if passes() => file.set_len(*size),
            Self::Size(_) => Ok(()),
            Self::Write { offset, data } => {
                let mut start = 0;
                while start < data.len() {
                    let at = offset + start as u64;
                    let within = usize::try_from(at % SECTOR_BYTES as u64).unwrap_or_default();
                    let end = (start + SECTOR_BYTES - within).min(data.len());
                    if passes() {
                        file.write_all_at(&data[start..end], at)?;
                    }
                    start = end;
                }
                Ok(())
            }
        }
    }
}

/// Chance that a seed repeats (the generator is SplitMix64).
struct Chance(u64);

impl Chance {
    fn toss(&mut self) -> bool {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) & 1 == 1
    }
}

// === files ===

struct Disks;

impl Layer for Disks {
    fn open(&self, path: &Path, _: Kind) -> Result<Box<dyn Handle>, Failure> {
        let Some(shared) = disk_of(path) else { return Ok(Box::new(Elsewhere)) };
        shared.lock().count(Operation::Other, Failure::OPEN)?;
        Ok(Box::new(Cached { shared, path: path.to_owned() }))
    }

    fn delete(&self, path: &Path) -> Result<(), Failure> {
        let Some(shared) = disk_of(path) else { return Ok(()) };
        let mut state = shared.lock();
        state.count(Operation::Other, Failure::DELETE)?;
        state.caches.remove(path);
        Ok(())
    }
}

fn disk_of(path: &Path) -> Option<Arc<Shared>> {
    lock(&DISKS).get(path.parent()?).cloned()
}

struct Elsewhere;

impl Handle for Elsewhere {}

struct Cached {
    shared: Arc<Shared>,
    path: PathBuf,
}

impl Cached {
    /// Notes a change that the disk does not have yet.
    fn change(&self, change: Change, operation: Operation, failure: Failure) -> Result<(), Failure> {
        let mut state = self.shared.lock();
        state.count(operation, failure)?;
        state.caches.entry(self.path.clone()).or_default().0.push((change, Fate::Pending));
        Ok(())
    }
}

impl Handle for Cached {
    fn read(&mut self, below: &mut Below<'_>, data: &mut [u8], offset: u64) -> Result<(), Failure> {
        let mut state = self.shared.lock();
        state.count(Operation::Other, Failure::READ)?;
        let mut size = below.size()?;
        match below.read(data, offset) {
            Ok(()) | Err(Failure::SHORT_READ) => {}
            Err(failure) => return Err(failure),
        }
        let changes = state.caches.get(&self.path).into_iter().flat_map(|cache| &cache.0);
        for (change, _) in changes {
            change.show(data, offset);
            size = change.size_after(size);
        }
        if offset + data.len() as u64 > size { Err(Failure::SHORT_READ) } else { Ok(()) }
    }

    fn write(&mut self, _: &mut Below<'_>, data: &[u8], offset: u64) -> Result<(), Failure> {
        self.change(Change::Write { offset, data: data.to_vec() }, Operation::Write, Failure::WRITE)
    }

    fn truncate(&mut self, _: &mut Below<'_>, size: u64) -> Result<(), Failure> {
        self.change(Change::Size(size), Operation::Other, Failure::TRUNCATE)
    }

    fn sync(&mut self, below: &mut Below<'_>) -> Result<(), Failure> {
        let mut state = self.shared.lock();
        state.waiting_syncs += 1;
        let waiting = |state: &mut State| state.holds_syncs;
        state = self.shared.released.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        state.waiting_syncs -= 1;
        let counted = state.count(Operation::Sync, Failure::SYNC);
        let Some(Cache(changes)) = state.caches.get_mut(&self.path) else { return counted };
        for (change, fate) in changes.iter_mut().filter(|(_, fate)| *fate == Fate::Pending) {
            match (&counted, change) {
                (Err(_), _) => *fate = Fate::Lost,
                (Ok(()), change) => {
                    match change {
                        Change::Write { offset, data } => below.write(data, *offset)?,
                        Change::Size(size) => below.truncate(*size)?,
                    }
                    *fate = Fate::Durable;
                }
            }
        }
        if changes.iter().all(|(_, fate)| *fate == Fate::Durable) {
            changes.clear();
        }
        counted
    }

    fn size(&mut self, below: &mut Below<'_>) -> Result<u64, Failure> {
        let state = self.shared.lock();
        let changes = state.caches.get(&self.path).into_iter().flat_map(|cache| &cache.0);
        Ok(changes.fold(below.size()?, |size, (change, _)| change.size_after(size)))
    }
}

impl Change {
    fn size_after(&self, size: u64) -> u64 {
        match self {
            Self::Write { offset, data } => size.max(offset + data.len() as u64),
            Self::Size(size) => *size,
        }
    }

    /// What `data`, read at `offset`, is after the change.
    fn show(&self, data: &mut [u8], offset: u64) {
        // Where something of the file is in `data`, as far as it goes.
        let place =
            |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX).min(data.len());
        match self {
            Self::Size(size) => {
                let from = place(*size);
                data[from..].fill(0);
            }
            Self::Write { offset: at, data: written } => {
                let (from, to) = (place(*at), place(at + written.len() as u64));
                let skipped = usize::try_from(offset.saturating_sub(*at)).unwrap_or(usize::MAX);
                if from < to {
                    data[from..to].copy_from_slice(&written[skipped..skipped + to - from]);
                }
            }
        }
    }
}

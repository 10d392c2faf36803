//! The C side: a VFS whose file operations ask a [`Layer`], and go on to the VFS below.
//!
//! What holds throughout, by SQLite's own contract (sqlite.org/c3ref/vfs.html and io_methods.html):
//! - SQLite passes pointers that are valid for the call, and lengths that go with them.
//! - It opens a file with `szOsFile` bytes of memory, aligned for 8 bytes, which stay in place until `xClose`.
//! - It calls methods of a file only between its `xOpen`, if that set `pMethods`, and its `xClose`, and not from two
//!   threads at once.

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int, c_void},
    marker::PhantomData,
    mem,
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr, slice,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering, fence},
    },
};

use rusqlite::{
    Connection, MAIN_DB,
    ffi::{self, sqlite3_file, sqlite3_filename, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs},
};

use crate::{Failure, Handle, INDEX_HEADER_WORDS, Kind, Layer, RegisterError};

/// What hangs on a registered VFS. Never freed: SQLite may use a VFS as long as the process runs.
struct Registration {
    layer: Arc<dyn Layer>,
    below: *mut sqlite3_vfs,
}

/// A file as SQLite holds it. The memory of the file below follows it.
#[repr(C, align(8))]
struct File {
    base: sqlite3_file,
    /// `None` before the file is open, and after it was closed.
    handle: Option<Box<dyn Handle>>,
    /// The start of the write-ahead log's index, as long as it is mapped; else null.
    index: *mut c_void,
}

/// For files without a name: they pass by.
struct Nameless;

impl Handle for Nameless {}

/// The file that a layer's [`Handle`] stands on.
pub struct Below<'a> {
    file: *mut sqlite3_file,
    call: PhantomData<&'a mut ()>,
}

pub(crate) fn register(name: CString, layer: Arc<dyn Layer>, is_default: bool) -> Result<(), RegisterError> {
    // SAFETY: a null name asks for the default; what is returned lives as long as the process.
    let below = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    if below.is_null() {
        return Err(RegisterError::NothingBelow);
    }
    // SAFETY: it is not null.
    let base = unsafe { *below };
    let registration = Box::leak(Box::new(Registration { layer, below }));
    let vfs = Box::leak(Box::new(sqlite3_vfs {
        // Version 3 would add the replacement of system calls.
        iVersion: base.iVersion.min(2),
        szOsFile: base.szOsFile.saturating_add(mem::size_of::<File>() as c_int),
        mxPathname: base.mxPathname,
        pNext: ptr::null_mut(),
        zName: name.into_raw(),
        pAppData: ptr::from_mut(registration).cast(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: Some(dl_open),
        xDlError: Some(dl_error),
        xDlSym: Some(dl_sym),
        xDlClose: Some(dl_close),
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(get_last_error),
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }));
    // SAFETY: `vfs` is complete and leaked, so it outlives SQLite's use of it.
    match unsafe { ffi::sqlite3_vfs_register(vfs, is_default.into()) } {
        ffi::SQLITE_OK => Ok(()),
        code => Err(RegisterError::Refused(Failure(code))),
    }
}

/// The two copies of the header of the log's index, if `connection` has it mapped through a layer.
pub(crate) fn index_header(connection: &Connection) -> Option<[[u32; INDEX_HEADER_WORDS]; 2]> {
    let mut file: *mut sqlite3_file = ptr::null_mut();
    let out = (&raw mut file).cast();
    // SAFETY: the connection is open and this thread's. SQLite writes the file's address, or leaves it null.
    let code = unsafe {
        let (database, name) = (connection.handle(), MAIN_DB.as_ptr());
        ffi::sqlite3_file_control(database, name, ffi::SQLITE_FCNTL_FILE_POINTER, out)
    };
    // SAFETY: a file of an open connection; one with our methods is a `File`.
    let index = unsafe {
        if code != ffi::SQLITE_OK || file.is_null() || (*file).pMethods != &raw const METHODS {
            return None;
        }
        (*file.cast::<File>()).index
    };
    if index.is_null() {
        return None;
    }
    let word = |at: usize| {
        // SAFETY: what is mapped is larger, and stays until `shm_unmap`; others write to it, so it is read atomically.
        unsafe { AtomicU32::from_ptr(index.cast::<u32>().wrapping_add(at)) }.load(Ordering::Relaxed)
    };
    let first = std::array::from_fn(word);
    // Who writes them begins with the second.
    fence(Ordering::Acquire);
    Some([first, std::array::from_fn(|at| word(INDEX_HEADER_WORDS + at))])
}

/// Calls a method of the VFS below; `$otherwise` if it has none.
macro_rules! vfs_below {
    ($vfs:ident.$method:ident($($argument:expr),*), $otherwise:expr) => {{
        // SAFETY: only VFSs that `register` made have the methods that this stands in.
        let below = unsafe { registration($vfs) }.below;
        // SAFETY: `below` was registered when this VFS was, and is never freed.
        match unsafe { (*below).$method } {
            // SAFETY: the arguments are SQLite's own, or as valid as those.
            Some(method) => unsafe { method(below, $($argument),*) },
            None => $otherwise,
        }
    }};
}

/// Calls a method of the file below; `$otherwise` if it has none.
macro_rules! file_below {
    ($file:expr, $method:ident($($argument:expr),*), $otherwise:expr) => {{
        let below: *mut sqlite3_file = $file;
        // SAFETY: the file below is open as long as the file above.
        match unsafe { (*(*below).pMethods).$method } {
            // SAFETY: the arguments are SQLite's own, or as valid as those.
            Some(method) => unsafe { method(below, $($argument),*) },
            None => $otherwise,
        }
    }};
}

/// # Safety
/// `register` made `vfs`.
unsafe fn registration(vfs: *mut sqlite3_vfs) -> &'static Registration {
    // SAFETY: what hangs on it is leaked.
    unsafe { &*(*vfs).pAppData.cast::<Registration>() }
}

/// The file below, in the memory that follows the file above.
fn below(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // `szOsFile` counts both, and `File` is a multiple of 8 bytes long.
    file.cast::<File>().wrapping_add(1).cast()
}

fn outcome(result: Result<(), Failure>) -> c_int {
    result.map_or_else(|Failure(code)| code, |()| ffi::SQLITE_OK)
}

fn result(code: c_int) -> Result<(), Failure> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(Failure(code)) }
}

/// # Safety
/// `path` ends with a zero byte and lives as long as the result is used.
unsafe fn path<'a>(path: *const c_char) -> &'a Path {
    // SAFETY: the caller says so.
    Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()))
}

// === the VFS ===

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let kind = match flags & (ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL) {
        ffi::SQLITE_OPEN_MAIN_DB => Kind::Database,
        ffi::SQLITE_OPEN_WAL => Kind::WriteAheadLog,
        _ => Kind::Other,
    };
    let closed = File { base: sqlite3_file { pMethods: ptr::null() }, handle: None, index: ptr::null_mut() };
    // SAFETY: the memory is ours and large enough. Without methods SQLite does not close it.
    unsafe { ptr::write(file.cast(), closed) };
    let opened = if name.is_null() {
        Ok(Box::new(Nameless) as Box<dyn Handle>)
    } else {
        // SAFETY: `register` made the VFS; a name that is not null is a path.
        let (registration, path) = unsafe { (registration(vfs), path(name)) };
        registration.layer.open(path, kind)
    };
    let handle = match opened {
        Ok(handle) => Some(handle),
        Err(Failure(code)) => return code,
    };
    let under = below(file);
    // SAFETY: within the memory of the file.
    unsafe { (*under).pMethods = ptr::null() };
    let code = vfs_below!(vfs.xOpen(name, under, flags, out_flags), ffi::SQLITE_CANTOPEN);
    // SAFETY: as above. What has no methods after a failure is not open, and is not closed.
    let is_open = unsafe { !(*under).pMethods.is_null() };
    if is_open {
        let base = sqlite3_file { pMethods: &raw const METHODS };
        let opened = File { base, handle, index: ptr::null_mut() };
        // SAFETY: as above; what is overwritten holds nothing.
        unsafe { ptr::write(file.cast(), opened) };
    }
    code
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: `register` made the VFS; the name is a path.
    let (registration, path) = unsafe { (registration(vfs), path(name)) };
    if let Err(Failure(code)) = registration.layer.delete(path) {
        return code;
    }
    vfs_below!(vfs.xDelete(name, sync_dir), ffi::SQLITE_IOERR_DELETE)
}

unsafe extern "C" fn access(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    vfs_below!(vfs.xAccess(name, flags, out), ffi::SQLITE_IOERR_ACCESS)
}

unsafe extern "C" fn full_pathname(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    out_length: c_int,
    out: *mut c_char,
) -> c_int {
    vfs_below!(vfs.xFullPathname(name, out_length, out), ffi::SQLITE_CANTOPEN)
}

/// What a library has under a name, as SQLite's header declares it.
type Symbol = Option<unsafe extern "C" fn(*mut sqlite3_vfs, *mut c_void, *const c_char)>;

unsafe extern "C" fn dl_open(vfs: *mut sqlite3_vfs, name: *const c_char) -> *mut c_void {
    vfs_below!(vfs.xDlOpen(name), ptr::null_mut())
}

unsafe extern "C" fn dl_error(vfs: *mut sqlite3_vfs, length: c_int, out: *mut c_char) {
    vfs_below!(vfs.xDlError(length, out), ());
}

unsafe extern "C" fn dl_sym(vfs: *mut sqlite3_vfs, library: *mut c_void, symbol: *const c_char) -> Symbol {
    vfs_below!(vfs.xDlSym(library, symbol), None)
}

unsafe extern "C" fn dl_close(vfs: *mut sqlite3_vfs, library: *mut c_void) {
    vfs_below!(vfs.xDlClose(library), ());
}

unsafe extern "C" fn randomness(vfs: *mut sqlite3_vfs, length: c_int, out: *mut c_char) -> c_int {
    vfs_below!(vfs.xRandomness(length, out), 0)
}

unsafe extern "C" fn sleep(vfs: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    vfs_below!(vfs.xSleep(microseconds), 0)
}

unsafe extern "C" fn current_time(vfs: *mut sqlite3_vfs, out: *mut f64) -> c_int {
    vfs_below!(vfs.xCurrentTime(out), ffi::SQLITE_ERROR)
}

unsafe extern "C" fn current_time_int64(vfs: *mut sqlite3_vfs, out: *mut sqlite3_int64) -> c_int {
    vfs_below!(vfs.xCurrentTimeInt64(out), ffi::SQLITE_ERROR)
}

unsafe extern "C" fn get_last_error(vfs: *mut sqlite3_vfs, length: c_int, out: *mut c_char) -> c_int {
    vfs_below!(vfs.xGetLastError(length, out), 0)
}

// === a file ===

/// Version 2: with shared memory, without mapping the file itself, which would pass the layer by.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

impl Below<'_> {
    /// As [`Handle::read`].
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&mut self, data: &mut [u8], offset: u64) -> Result<(), Failure> {
        let (length, offset) = place(data.len(), offset).ok_or(Failure::READ)?;
        let start = data.as_mut_ptr().cast();
        result(file_below!(self.file, xRead(start, length, offset), ffi::SQLITE_IOERR_READ))
    }

    /// As [`Handle::write`].
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, data: &[u8], offset: u64) -> Result<(), Failure> {
        let (length, offset) = place(data.len(), offset).ok_or(Failure::WRITE)?;
        let start = data.as_ptr().cast();
        result(file_below!(self.file, xWrite(start, length, offset), ffi::SQLITE_IOERR_WRITE))
    }

    /// As [`Handle::truncate`].
    ///
    /// # Errors
    /// If it cannot be.
    pub fn truncate(&mut self, size: u64) -> Result<(), Failure> {
        let (_, size) = place(0, size).ok_or(Failure::TRUNCATE)?;
        result(file_below!(self.file, xTruncate(size), ffi::SQLITE_IOERR_TRUNCATE))
    }

    /// As [`Handle::sync`]; the way SQLite does it unless told otherwise.
    ///
    /// # Errors
    /// If it may not be durable.
    pub fn sync(&mut self) -> Result<(), Failure> {
        result(file_below!(self.file, xSync(ffi::SQLITE_SYNC_NORMAL), ffi::SQLITE_IOERR_FSYNC))
    }

    /// As [`Handle::size`].
    ///
    /// # Errors
    /// If it is not known.
    pub fn size(&mut self) -> Result<u64, Failure> {
        let mut size = 0;
        result(file_below!(self.file, xFileSize(&raw mut size), ffi::SQLITE_IOERR_FSTAT))?;
        u64::try_from(size).map_err(|_| Failure::SIZE)
    }
}

/// A length and an offset as C has them.
fn place(length: usize, offset: u64) -> Option<(c_int, sqlite3_int64)> {
    Some((c_int::try_from(length).ok()?, sqlite3_int64::try_from(offset).ok()?))
}

/// Asks the file's handle; `otherwise` cannot be, as SQLite uses no file that is not open.
///
/// # Safety
/// `open` made the file, and no other thread uses it.
unsafe fn ask<T>(
    file: *mut sqlite3_file,
    otherwise: Failure,
    ask: impl FnOnce(&mut dyn Handle, &mut Below<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // SAFETY: the caller says so.
    let handle = unsafe { &mut (*file.cast::<File>()).handle };
    let mut below = Below { file: below(file), call: PhantomData };
    ask(handle.as_mut().ok_or(otherwise)?.as_mut(), &mut below)
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: the file is open and not used after this; `take` drops the handle here.
    drop(unsafe { (*file.cast::<File>()).handle.take() });
    file_below!(below(file), xClose(), ffi::SQLITE_OK)
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    data: *mut c_void,
    length: c_int,
    offset: sqlite3_int64,
) -> c_int {
    let (Ok(length), Ok(offset)) = (usize::try_from(length), u64::try_from(offset)) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SQLite does not say that the memory holds values yet; a slice must.
    // SAFETY: SQLite gives that much memory.
    let data = unsafe {
        ptr::write_bytes(data.cast::<u8>(), 0, length);
        slice::from_raw_parts_mut(data.cast::<u8>(), length)
    };
    // SAFETY: SQLite gives an open file of ours, to one thread at a time.
    outcome(unsafe { ask(file, Failure::READ, |handle, below| handle.read(below, data, offset)) })
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    data: *const c_void,
    length: c_int,
    offset: sqlite3_int64,
) -> c_int {
    let (Ok(length), Ok(offset)) = (usize::try_from(length), u64::try_from(offset)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: SQLite gives that many bytes.
    let data = unsafe { slice::from_raw_parts(data.cast::<u8>(), length) };
    // SAFETY: SQLite gives an open file of ours, to one thread at a time.
    outcome(unsafe { ask(file, Failure::WRITE, |handle, below| handle.write(below, data, offset)) })
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    let Ok(size) = u64::try_from(size) else { return ffi::SQLITE_IOERR_TRUNCATE };
    // SAFETY: SQLite gives an open file of ours, to one thread at a time.
    outcome(unsafe { ask(file, Failure::TRUNCATE, |handle, below| handle.truncate(below, size)) })
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite gives an open file of ours, to one thread at a time.
    outcome(unsafe { ask(file, Failure::SYNC, |handle, below| handle.sync(below)) })
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives an open file of ours, to one thread at a time.
    let size = unsafe { ask(file, Failure::SIZE, |handle, below| handle.size(below)) };
    outcome(size.and_then(|size| {
        let size = sqlite3_int64::try_from(size).map_err(|_| Failure::SIZE)?;
        // SAFETY: SQLite gives a place for the size.
        unsafe { *out = size };
        Ok(())
    }))
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    file_below!(below(file), xLock(level), ffi::SQLITE_IOERR_LOCK)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    file_below!(below(file), xUnlock(level), ffi::SQLITE_IOERR_UNLOCK)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    file_below!(below(file), xCheckReservedLock(out), ffi::SQLITE_IOERR_CHECKRESERVEDLOCK)
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    file_below!(below(file), xFileControl(operation, argument), ffi::SQLITE_NOTFOUND)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    file_below!(below(file), xSectorSize(), 0)
}

/// Pages are read whole: a layer could not make much of a part.
unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    file_below!(below(file), xDeviceCharacteristics(), 0) & !ffi::SQLITE_IOCAP_SUBPAGE_READ
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    page_size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    let code = file_below!(below(file), xShmMap(page, page_size, extend, out), ffi::SQLITE_IOERR_SHMMAP);
    if code == ffi::SQLITE_OK && page == 0 {
        // SAFETY: SQLite gives a file of ours, and a place for what was mapped; null if it was not.
        unsafe { (*file.cast::<File>()).index = *out };
    }
    code
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    file_below!(below(file), xShmLock(offset, count, flags), ffi::SQLITE_IOERR_SHMLOCK)
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    file_below!(below(file), xShmBarrier(), ());
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete_flag: c_int) -> c_int {
    // SAFETY: SQLite gives a file of ours.
    unsafe { (*file.cast::<File>()).index = ptr::null_mut() };
    file_below!(below(file), xShmUnmap(delete_flag), ffi::SQLITE_OK)
}

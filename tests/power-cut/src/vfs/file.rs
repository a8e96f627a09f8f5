//! What `SQLite` does with an open file.

use std::{
    ffi::{c_int, c_void},
    ptr,
    sync::atomic::{AtomicBool, Ordering, fence},
};

use rusqlite::ffi;

use crate::{
    directory::FileId,
    disk::{Shared, locked},
    locks::{HandleId, Hold, Level},
};

/// As `os_unix.c` says of every file.
const SECTOR: c_int = 4096;
const CHARACTERISTICS: c_int = ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE | ffi::SQLITE_IOCAP_SUBPAGE_READ;

/// An open file, in memory that `SQLite` owns.
#[repr(C)]
pub(super) struct Handle {
    base: ffi::sqlite3_file,
    open: *mut OpenFile,
}

pub(super) struct OpenFile {
    pub(super) disk: Shared,
    pub(super) file: FileId,
    pub(super) name: String,
    pub(super) id: HandleId,
    /// The next sync also makes durable which files there are.
    pub(super) sync_names: AtomicBool,
}

impl Handle {
    pub(super) const fn closed() -> Self {
        Self {
            base: ffi::sqlite3_file {
                pMethods: ptr::null(),
            },
            open: ptr::null_mut(),
        }
    }

    pub(super) fn of(open: OpenFile) -> Self {
        Self {
            base: ffi::sqlite3_file {
                pMethods: &raw const METHODS,
            },
            open: Box::into_raw(Box::new(open)),
        }
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(is_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(map),
    xShmLock: Some(lock_memory),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unmap),
    // Of version 3.
    xFetch: None,
    xUnfetch: None,
};

/// # Safety
/// Called by `SQLite`, as all below: `file` is a [`Handle`] that was opened and is not closed, pointers have room
/// for what is declared.
unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a OpenFile {
    // SAFETY: the caller's promise; `open` was made by `Handle::of` and lives until `close`.
    unsafe { &*(*file.cast::<Handle>()).open }
}

fn number(value: impl TryInto<usize>) -> usize {
    value.try_into().unwrap_or_default()
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as for `opened`; nobody uses it after this, and it was made by a box.
    let open = unsafe { Box::from_raw((*file.cast::<Handle>()).open) };
    let mut state = locked(&open.disk);
    let file = state.file(open.file);
    file.locks.lower(open.id, Level::None);
    file.memory.leave(open.id);
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let mut state = locked(&open.disk);
    if state.is_out() {
        return ffi::SQLITE_IOERR_READ;
    }
    let amount = number(amount);
    let bytes = state.file(open.file).contents.read(number(offset), amount);
    // SAFETY: there is room for `amount` bytes, and `bytes` are at most so many and elsewhere.
    unsafe {
        into.cast::<u8>().write_bytes(0, amount);
        into.cast::<u8>()
            .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    }
    if bytes.len() < amount {
        ffi::SQLITE_IOERR_SHORT_READ
    } else {
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: see `opened`; `from` holds `amount` bytes.
    let (open, bytes) = unsafe {
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), number(amount));
        (opened(file), bytes)
    };
    match locked(&open.disk).write(open.file, &open.name, number(offset), bytes) {
        Ok(()) => ffi::SQLITE_OK,
        Err(_) => ffi::SQLITE_IOERR_WRITE,
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: ffi::sqlite3_int64) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    match locked(&open.disk).resize(open.file, &open.name, number(length)) {
        Ok(()) => ffi::SQLITE_OK,
        Err(_) => ffi::SQLITE_IOERR_TRUNCATE,
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let names = open.sync_names.swap(false, Ordering::Relaxed);
    match locked(&open.disk).sync(open.file, &open.name, names) {
        Ok(()) => ffi::SQLITE_OK,
        Err(_) => ffi::SQLITE_IOERR_FSYNC,
    }
}

unsafe extern "C" fn size(file: *mut ffi::sqlite3_file, out: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let length = locked(&open.disk).file(open.file).contents.length();
    // SAFETY: there is room for it.
    unsafe { out.write(i64::try_from(length).unwrap_or(i64::MAX)) };
    ffi::SQLITE_OK
}

fn level(level: c_int) -> Level {
    match level {
        ffi::SQLITE_LOCK_NONE => Level::None,
        ffi::SQLITE_LOCK_SHARED => Level::Shared,
        ffi::SQLITE_LOCK_RESERVED => Level::Reserved,
        ffi::SQLITE_LOCK_PENDING => Level::Pending,
        _ => Level::Exclusive,
    }
}

fn granted(is_granted: bool) -> c_int {
    if is_granted {
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_BUSY
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, to: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    granted(locked(&open.disk).file(open.file).locks.raise(open.id, level(to)))
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, to: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    locked(&open.disk).file(open.file).locks.lower(open.id, level(to));
    ffi::SQLITE_OK
}

unsafe extern "C" fn is_reserved(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let is_reserved = locked(&open.disk).file(open.file).locks.is_reserved();
    // SAFETY: there is room for it.
    unsafe { out.write(c_int::from(is_reserved)) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector(_: *mut ffi::sqlite3_file) -> c_int {
    SECTOR
}

unsafe extern "C" fn characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    CHARACTERISTICS
}

unsafe extern "C" fn map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let mut state = locked(&open.disk);
    let memory = &mut state.file(open.file).memory;
    let mapped = memory.map(open.id, number(region), number(bytes), extend != 0);
    // SAFETY: there is room for it. The region stays where it is until its last user has left.
    unsafe { out.write(mapped.unwrap_or(ptr::null_mut())) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock_memory(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    let mut state = locked(&open.disk);
    let locks = &mut state.file(open.file).memory.locks;
    let range = number(first)..number(first) + number(count);
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        locks.give_back(open.id, &range);
        return ffi::SQLITE_OK;
    }
    let hold = if flags & ffi::SQLITE_SHM_EXCLUSIVE != 0 {
        Hold::Exclusive
    } else {
        Hold::Shared
    };
    granted(locks.take(open.id, range, hold))
}

unsafe extern "C" fn barrier(file: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
    // SAFETY: see `opened`. Locked as in `os_unix.c`: a barrier also where the fence alone is not.
    drop(locked(&unsafe { opened(file) }.disk));
}

unsafe extern "C" fn unmap(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: see `opened`.
    let open = unsafe { opened(file) };
    locked(&open.disk).file(open.file).memory.leave(open.id);
    ffi::SQLITE_OK
}

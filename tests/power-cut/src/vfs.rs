//! The disks as a file system of `SQLite`: finding, making and deleting files.
//! <https://sqlite.org/vfs.html>; what is synced when is as in its own `os_unix.c`.

mod file;

use std::{
    ffi::{CStr, c_char, c_int},
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rusqlite::ffi;

use crate::disk::{self, State, locked};
use file::{Handle, OpenFile};

const NAME: &CStr = c"power-cut";
const LONGEST_PATH: c_int = 512;

/// Journals: the first sync of one also makes its name durable.
const SYNC_NAMES: c_int =
    ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;

static NEXT_HANDLE: AtomicUsize = AtomicUsize::new(0);

/// Makes mounted disks the only ones that `SQLite` knows in this process.
///
/// # Errors
/// `SQLite`'s own code for why it refused.
pub fn register() -> Result<(), c_int> {
    static REGISTERED: LazyLock<c_int> = LazyLock::new(|| {
        // SAFETY: asks for the default, which lives as long as the process and is only read here.
        let default = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()).as_ref() };
        let Some(default) = default else {
            return ffi::SQLITE_ERROR;
        };
        // Time, sleep and randomness stay the default's: its functions do not look at whose they are.
        let vfs = ffi::sqlite3_vfs {
            szOsFile: c_int::try_from(size_of::<Handle>()).unwrap_or(c_int::MAX),
            mxPathname: LONGEST_PATH,
            zName: NAME.as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_path),
            ..*default
        };
        // SAFETY: what is registered is never freed nor moved, and all its functions are of the kinds declared.
        unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1) }
    });
    match *REGISTERED {
        ffi::SQLITE_OK => Ok(()),
        code => Err(code),
    }
}

/// # Safety
/// `path` is null or a string that ends with a zero byte and outlives the answer.
unsafe fn text<'a>(path: *const c_char) -> Option<&'a str> {
    if path.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(path) }.to_str().ok()
}

/// # Safety
/// Called by `SQLite`: `name` is null or a string, `into` has room for a [`Handle`], `out_flags` is null or has
/// room for a number.
unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    into: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let handle = into.cast::<Handle>();
    // SAFETY: there is room for it; without methods it is not closed if this fails.
    unsafe { handle.write(Handle::closed()) };
    // SAFETY: the caller's promise.
    let name = unsafe { text(name) };
    let opened = match find_or_make(name, flags) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    // SAFETY: as above.
    unsafe { handle.write(Handle::of(opened)) };
    if !out_flags.is_null() {
        // SAFETY: the caller's promise.
        unsafe { out_flags.write(flags) };
    }
    ffi::SQLITE_OK
}

fn find_or_make(path: Option<&str>, flags: c_int) -> Result<OpenFile, c_int> {
    let (disk, name) = match path {
        Some(path) => disk::at(path).ok_or(ffi::SQLITE_CANTOPEN)?,
        // Scratch space, which nobody looks for after a cut.
        None => (State::unmounted(), String::new()),
    };
    let file = {
        let mut state = locked(&disk);
        if state.is_out() {
            return Err(ffi::SQLITE_IOERR);
        }
        match state.find(&name) {
            Some(_) if flags & ffi::SQLITE_OPEN_EXCLUSIVE != 0 => return Err(ffi::SQLITE_CANTOPEN),
            Some(file) => file,
            None if path.is_none() => state.nameless(),
            None if flags & ffi::SQLITE_OPEN_CREATE != 0 => {
                state.create(&name).map_err(|_| ffi::SQLITE_IOERR)?
            }
            None => return Err(ffi::SQLITE_CANTOPEN),
        }
    };
    Ok(OpenFile {
        disk,
        file,
        name,
        id: NEXT_HANDLE.fetch_add(1, Ordering::Relaxed),
        sync_names: AtomicBool::new(flags & ffi::SQLITE_OPEN_CREATE != 0 && flags & SYNC_NAMES != 0),
    })
}

/// # Safety
/// Called by `SQLite`: `name` is a string.
unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: the caller's promise.
    let Some((disk, name)) = unsafe { text(name) }.and_then(disk::at) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    match locked(&disk).delete(&name, sync & 1 != 0) {
        Ok(true) => ffi::SQLITE_OK,
        Ok(false) => ffi::SQLITE_IOERR_DELETE_NOENT,
        Err(_) => ffi::SQLITE_IOERR_DELETE,
    }
}

/// # Safety
/// Called by `SQLite`: `name` is a string, `out` has room for a number.
unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    let found = unsafe { text(name) }.and_then(disk::at).and_then(|(disk, name)| {
        let mut state = locked(&disk);
        let file = state.find(&name)?;
        Some(state.file(file).contents.length())
    });
    // An empty file does not count as there.
    let is_there = found.is_some_and(|length| length > 0 || flags != ffi::SQLITE_ACCESS_EXISTS);
    // SAFETY: the caller's promise.
    unsafe { out.write(c_int::from(is_there)) };
    ffi::SQLITE_OK
}

/// # Safety
/// Called by `SQLite`: `name` is a string, `out` has room for `room` bytes.
unsafe extern "C" fn full_path(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if usize::try_from(room).is_ok_and(|room| bytes.len() <= room) {
        // SAFETY: there is room for it, and it was made by somebody else than what it is read from.
        unsafe { out.copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len()) };
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_CANTOPEN
    }
}

//! Opening the file: version of the library, settings, schema and its migrations.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig};

use crate::store::StoreError;

/// Before 3.51.3 a reset of the write-ahead log can corrupt the file
/// (<https://sqlite.org/wal.html#walresetbug>).
const OLDEST_LIBRARY: i32 = 3_051_003;

/// `IUse`: tells our files from those of other programs.
const APPLICATION_ID: i64 = 0x4955_7365;

/// Each brings a file from the version of its place to the next; released ones never change.
pub(super) const MIGRATIONS: [&str; 11] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
];

/// How long a connection waits for another's lock before it gives up. Only a reader that
/// meets a checkpoint or a recovery ever waits.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// After so many pages of 4 KiB in the write-ahead log they are moved to the file: while they
/// are, deliveries wait.
const CHECKPOINT_PAGES: i64 = 4_000;

/// Negative: kibibytes. The operating system caches the file as well.
const WRITER_CACHE: i64 = -8 * 1024;
const READER_CACHE: i64 = -2 * 1024;

/// A file's exclusive lock: no second operator opens it. Ends with the value.
#[derive(Debug)]
pub(super) struct FileLock {
    _held: File,
}

/// Takes the lock of the database at `path`, on a file beside it: `SQLite`'s own locks are
/// released when any descriptor of the database itself closes.
pub(super) fn lock(path: &Path) -> Result<FileLock, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let beside = PathBuf::from(name);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&beside)
        .map_err(|error| StoreError::Open(format!("{}: {error}", beside.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(FileLock { _held: file }),
        Err(TryLockError::WouldBlock) => Err(StoreError::Open(format!(
            "{}: another process writes this store: only one may run at a time",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(StoreError::Open(format!("{}: {error}", beside.display()))),
    }
}

/// The one connection that writes, with the schema this version knows.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    check_library(rusqlite::version_number())?;
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|error| failed(path, &error))?;
    prepare_writer(&mut connection).map_err(|error| match error {
        PrepareError::Sqlite(error) => failed(path, &error),
        PrepareError::Store(error) => error,
    })?;
    Ok(connection)
}

/// A connection that cannot write.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    settings(&connection, READER_CACHE)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// What the head of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) found: i64,
    /// The newest that this version of the program knows.
    pub(super) known: i64,
}

/// A connection that cannot write, to a file that is there, and what its head says.
pub(super) fn open_existing(path: &Path) -> Result<(Connection, Version), StoreError> {
    check_library(rusqlite::version_number())?;
    if !path.exists() {
        return Err(StoreError::Open(format!(
            "{}: there is none: name the folder that holds it",
            path.display()
        )));
    }
    let open = || {
        let connection = open_reader(path)?;
        let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, application, found))
    };
    let (connection, application, found) = open().map_err(|error| failed(path, &error))?;
    if application != APPLICATION_ID {
        return Err(no_event_store(path));
    }
    Ok((
        connection,
        Version {
            found,
            known: known(),
        },
    ))
}

/// The same of a file that has the schema which this version knows.
pub(super) fn open_current(path: &Path) -> Result<Connection, StoreError> {
    match open_existing(path)? {
        (_, Version { found, known }) if found > known => Err(StoreError::NewerSchema { found, known }),
        (_, Version { found, known }) if found < known => Err(StoreError::Open(format!(
            "{}: its schema {found} is older than {known}: start this version of the operator with it once",
            path.display()
        ))),
        (connection, _) => Ok(connection),
    }
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn no_event_store(path: &Path) -> StoreError {
    StoreError::Open(format!("{}: the file is no event store", path.display()))
}

enum PrepareError {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for PrepareError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn prepare_writer(connection: &mut Connection) -> Result<(), PrepareError> {
    settings(connection, WRITER_CACHE)?;
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let empty: bool = connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| {
        row.get(0)
    })?;
    if application != APPLICATION_ID && !(empty && application == 0 && version == 0) {
        return Err(PrepareError::Store(StoreError::Open(
            "the file is no event store".to_owned(),
        )));
    }
    let known = known();
    if version > known {
        return Err(PrepareError::Store(StoreError::NewerSchema {
            found: version,
            known,
        }));
    }
    if empty {
        // Only an empty file takes it: lets a purge hand pages back without copying the file.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(PrepareError::Store(StoreError::Open(format!(
            "the file system allows no write-ahead log (journal mode {mode}): use a local volume"
        ))));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Each checkpoint writes a page once, however often it changed since the last one.
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // A log that grew under load is cut back at the next checkpoint.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    for (step, migration) in MIGRATIONS
        .iter()
        .enumerate()
        .skip(usize::try_from(version).unwrap_or(0))
    {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", i64::try_from(step + 1).unwrap_or(i64::MAX))?;
        transaction.commit()?;
    }
    Ok(())
}

fn settings(connection: &Connection, cache: i64) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // A file that somebody prepared must not run functions of its own through its schema.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", cache)
}

fn check_library(version: i32) -> Result<(), StoreError> {
    if version < OLDEST_LIBRARY {
        return Err(StoreError::Open(format!(
            "SQLite {} is older than 3.51.3, which can corrupt its files",
            rusqlite::version()
        )));
    }
    Ok(())
}

fn failed(path: &Path, error: &rusqlite::Error) -> StoreError {
    if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) {
        return StoreError::Damaged(path.display().to_string());
    }
    StoreError::Open(format!("{}: {error}", path.display()))
}

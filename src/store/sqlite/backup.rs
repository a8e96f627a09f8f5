//! A copy of a file while a store may be running on it.

use std::{
    fs::{self, File},
    path::Path,
};

use rusqlite::{
    Connection,
    backup::{Backup as Copy, StepResult},
};

use super::schema;
use crate::store::StoreError;

/// Pages copied in one step: 4 MiB.
const STEP_PAGES: i32 = 1_000;

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    pub pages: i64,
    pub of: i64,
}

/// Copies the file as it is now to `out`, which must not be there. What an interruption
/// leaves there is no store, and is not taken for one.
pub fn backup(path: &Path, out: &Path, told: impl FnMut(Backup)) -> Result<(), StoreError> {
    let source = schema::open_current(path)?;
    let refused = |error: &dyn std::fmt::Display| StoreError::Write(format!("{}: {error}", out.display()));
    File::create_new(out).map_err(|error| refused(&error))?;
    copy(&source, out, told).map_err(|error| {
        // It is ours, and of no use.
        let _ = fs::remove_file(out);
        refused(&error)
    })
}

fn copy(source: &Connection, out: &Path, mut told: impl FnMut(Backup)) -> rusqlite::Result<()> {
    // One snapshot: otherwise each commit of the store would begin the copy anew.
    let snapshot = source.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let mut to = Connection::open(out)?;
    {
        let copy = Copy::new(&snapshot, &mut to)?;
        loop {
            let step = copy.step(STEP_PAGES)?;
            let progress = copy.progress();
            told(Backup {
                pages: (progress.pagecount - progress.remaining).into(),
                of: progress.pagecount.into(),
            });
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                // Nobody else has the copy, and the snapshot waits for nobody.
                _ => {
                    return Err(rusqlite::Error::SqliteFailure(
                        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                        None,
                    ));
                }
            }
        }
    }
    // Opening it in its own mode checks its head, and leaves no log beside it.
    to.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

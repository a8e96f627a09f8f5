//! The conformance suite on `SQLite`, and what only this store does.

mod opening;
mod plans;
mod sealing;
mod writing;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use super::SqliteStore;
use crate::store::{
    RegistryKey,
    conformance::{Backend, conformance},
};

type Changes = Arc<Mutex<Vec<(RegistryKey, Vec<String>)>>>;

pub(super) struct Sqlite {
    folder: TempDir,
    changes: Changes,
}

impl Sqlite {
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("events.db")
    }
}

impl Backend for Sqlite {
    type Store = SqliteStore;

    async fn fresh() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            changes: Changes::default(),
        }
    }

    async fn open(&self) -> SqliteStore {
        let changes = Arc::clone(&self.changes);
        SqliteStore::open(&self.path(), move |registry, repositories| {
            changes
                .lock()
                .unwrap()
                .push((registry.clone(), repositories.to_vec()));
        })
        .unwrap()
    }

    fn changes(&self) -> Vec<(RegistryKey, Vec<String>)> {
        std::mem::take(&mut self.changes.lock().unwrap())
    }
}

mod conformance_suite {
    use super::Sqlite;

    super::conformance!(Sqlite);
}

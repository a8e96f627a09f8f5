//! The conformance suite on `SQLite`, and what only this store does.

mod opening;
mod plans;
mod sealing;
mod space;
mod writing;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use super::{SqliteReader, SqliteStore, SqliteWriter};
use crate::store::{
    RegistryKey, StoreError,
    conformance::{
        Backend, conformance,
        transfer::{Carried, transfer},
    },
    transfer::{Scope, TransferReader, TransferWriter},
};

type Changes = Arc<Mutex<Vec<(RegistryKey, Vec<String>)>>>;

pub(in crate::store) struct Sqlite {
    folder: TempDir,
    changes: Changes,
}

impl Sqlite {
    pub(in crate::store) fn path(&self) -> PathBuf {
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

impl Carried for Sqlite {
    async fn reader(&self, scope: Scope) -> Result<Box<dyn TransferReader>, StoreError> {
        Ok(Box::new(SqliteReader::open(&self.path(), scope)?))
    }

    async fn writer(&self) -> Result<Box<dyn TransferWriter>, StoreError> {
        Ok(Box::new(SqliteWriter::open(&self.path())?))
    }
}

mod conformance_suite {
    use super::Sqlite;

    super::conformance!(Sqlite);
    super::transfer!(Sqlite);
    super::transfer!(Sqlite => Sqlite);
}

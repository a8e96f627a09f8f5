//! The conformance suite on a real server, and what only this store does. They need the
//! programs of `make setup`, and are skipped by the name of this module where those are not.

mod faults;
mod plans;
mod server;
mod sharded;
mod sharing;
mod tls;
mod transfer;

use std::sync::{Arc, Mutex};

use tokio_postgres::{Client, NoTls};

use self::server::Server;
use super::{PostgresOptions, PostgresStore};
use crate::store::{
    RegistryKey,
    conformance::{Backend, conformance},
};

type Changes = Arc<Mutex<Vec<(RegistryKey, Vec<String>)>>>;

/// A database of its own on the server that all tests share.
pub(super) struct Postgres {
    pub(super) url: String,
    changes: Changes,
}

pub(super) fn options(url: &str) -> PostgresOptions {
    PostgresOptions {
        url: url.parse().unwrap(),
        ca_file: None,
    }
}

/// A connection beside the store's.
pub(super) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Backend for Postgres {
    type Store = PostgresStore;
    // Each statement goes to a server and back.
    const CASES: u32 = 12;

    async fn fresh() -> Self {
        Self {
            url: Server::shared().await.database().await,
            changes: Changes::default(),
        }
    }

    async fn open(&self) -> PostgresStore {
        let changes = Arc::clone(&self.changes);
        PostgresStore::open(&options(&self.url), move |registry, repositories| {
            changes
                .lock()
                .unwrap()
                .push((registry.clone(), repositories.to_vec()));
        })
        .await
        .unwrap()
    }

    fn changes(&self) -> Vec<(RegistryKey, Vec<String>)> {
        std::mem::take(&mut self.changes.lock().unwrap())
    }
}

mod conformance_suite {
    use super::Postgres;

    super::conformance!(Postgres);
}

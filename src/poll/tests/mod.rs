//! Reading logs: what is asked, how far it was read whatever happens, and rounds against a server.

mod pages;
mod properties;
mod rounds;
mod running;
mod server;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tempfile::TempDir;

use super::{
    client::Client,
    page::whole_second,
    poller::{Poller, Stores},
    source::{Credentials, Log, Polled, Server},
};
use crate::{
    cluster::{Guard, Rules},
    store::{
        EventReader, RegistryKey, SourceState, SqliteReader, SqliteStore, Upkeep,
        transfer::{Record, Scope, TransferReader},
    },
};

use self::server::{Registry, Row, TOKEN};

/// A store that outlives its openings.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("events.db")
    }

    fn open(&self) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(&self.path(), |_, _| {}).unwrap())
    }
}

fn registry_key() -> RegistryKey {
    RegistryKey {
        namespace: "team".to_owned(),
        name: "registry".to_owned(),
        uid: "1".to_owned(),
    }
}

fn polled(registry: &Registry, logs: &[Log]) -> Polled {
    Polled {
        registry: registry_key(),
        source: "log".to_owned(),
        logs: logs.to_vec(),
        server: Server {
            url: registry.url.parse().unwrap(),
            credentials: Credentials::Bearer(SecretString::from(TOKEN)),
            roots: Some(vec![registry.root.clone()]),
        },
        interval: Duration::from_millis(10),
        reach: SignedDuration::from_hours(24),
    }
}

/// The guard of an operator that may reach itself.
fn guard() -> Guard {
    Guard::new(Rules {
        allowed: vec!["127.0.0.0/8".parse().unwrap()],
        ..Rules::default()
    })
}

fn poller_of(polled: Polled, store: &Arc<SqliteStore>) -> Poller {
    let client = Client::new(polled.server.clone(), &guard()).unwrap();
    let stores = Stores {
        log: store.clone(),
        cursors: store.clone(),
        keeping: store.clone(),
    };
    Poller::new(polled, client, stores)
}

fn poller(registry: &Registry, store: &Arc<SqliteStore>, logs: &[Log]) -> Poller {
    poller_of(polled(registry, logs), store)
}

/// So many seconds before now, a whole second.
fn ago(seconds: i64) -> Timestamp {
    whole_second(Timestamp::now()) - SignedDuration::from_secs(seconds)
}

fn row(number: u32, seconds: i64) -> Row {
    Row {
        time: ago(seconds),
        number,
    }
}

/// Tags of the events that are stored, and how many events there are.
async fn stored(path: &Path) -> (BTreeSet<String>, usize) {
    let mut reader = SqliteReader::open(path, Scope::default()).unwrap();
    let (mut tags, mut count) = (BTreeSet::new(), 0);
    loop {
        let records = reader.next().await.unwrap();
        if records.is_empty() {
            return (tags, count);
        }
        for record in records {
            if let Record::Event { event, .. } = record {
                count += 1;
                tags.extend(event.event.tag);
            }
        }
    }
}

fn tags(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<String> {
    numbers.into_iter().map(|number| format!("t{number}")).collect()
}

async fn source(store: &SqliteStore) -> SourceState {
    let mut sources = store.sources(registry_key()).await.unwrap();
    assert_eq!(sources.len(), 1, "{sources:?}");
    sources.remove(0)
}

async fn close(store: Arc<SqliteStore>) {
    store.close().await.unwrap();
}

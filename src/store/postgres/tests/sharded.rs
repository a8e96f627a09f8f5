//! The conformance suite on a coordinator and three shards, laid out as
//! `docs/postgresql-sharding.sql` says.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::OnceCell;

use super::{Changes, connect, options, server::Server};
use crate::store::{
    PostgresStore, RegistryKey,
    conformance::{Backend, conformance},
};

const SCRIPT: &str = include_str!("../../../../docs/postgresql-sharding.sql");
const MIGRATIONS: &str = include_str!("../migrations/0001.sql");

/// Databases laid out once, to be copied.
struct LaidOut {
    coordinator: String,
    /// Each on a server of its own.
    shards: Vec<(Server, String)>,
}

static LAID_OUT: OnceCell<LaidOut> = OnceCell::const_new();

async fn lay_out() -> LaidOut {
    let url = Server::shared().await.database().await;
    let store = PostgresStore::open(&options(&url), |_, _| {}).await.unwrap();
    store.close().await.unwrap();
    let coordinator = connect(&url).await;
    coordinator
        .batch_execute("CREATE EXTENSION postgres_fdw")
        .await
        .unwrap();
    let mut shards = Vec::new();
    for number in 0..3 {
        let server = Server::start().await;
        let shard = server.database().await;
        connect(&shard).await.batch_execute(MIGRATIONS).await.unwrap();
        let config: tokio_postgres::Config = shard.parse().unwrap();
        let (port, database) = (config.get_ports()[0], config.get_dbname().unwrap());
        coordinator
            .batch_execute(&format!(
                "CREATE SERVER shard_{number} FOREIGN DATA WRAPPER postgres_fdw
                     OPTIONS (host '127.0.0.1', port '{port}', dbname '{database}');
                 CREATE USER MAPPING FOR CURRENT_USER SERVER shard_{number} OPTIONS (user 'postgres')"
            ))
            .await
            .unwrap();
        shards.push((server, shard));
    }
    coordinator.batch_execute(SCRIPT).await.unwrap();
    LaidOut {
        coordinator: url,
        shards,
    }
}

pub(super) struct Sharded {
    pub(super) url: String,
    changes: Changes,
}

impl Backend for Sharded {
    type Store = PostgresStore;
    // Each statement goes to a server and back.
    const CASES: u32 = 8;

    async fn fresh() -> Self {
        let laid_out = LAID_OUT.get_or_init(lay_out).await;
        let shards = laid_out.shards.iter();
        let shards = join_all(shards.map(|(server, shard)| server.copy(shard)));
        let shared = Server::shared().await;
        let (url, shards) = tokio::join!(shared.copy(&laid_out.coordinator), shards);
        let coordinator = connect(&url).await;
        for (number, shard) in shards.iter().enumerate() {
            let config: tokio_postgres::Config = shard.parse().unwrap();
            let database = config.get_dbname().unwrap();
            coordinator
                .batch_execute(&format!(
                    "ALTER SERVER shard_{number} OPTIONS (SET dbname '{database}')"
                ))
                .await
                .unwrap();
        }
        Self {
            url,
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
    use super::Sharded;

    super::conformance!(Sharded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repositories_lie_on_all_shards_and_nothing_on_the_coordinator() {
    use crate::{
        event::{RegistryEvent, fixture::raw},
        store::conformance::{append, delivery},
    };
    let backend = Sharded::fresh().await;
    let store = backend.open().await;
    let mut sent = delivery(Vec::new());
    sent.events = (0..60)
        .map(|number| RegistryEvent {
            repository: format!("team/app-{number}"),
            ..raw(&format!("g{number} {number} a GET v1 @A")).event
        })
        .collect();
    assert_eq!(append(&store, sent).await.stored, 60);
    store.linked().await.unwrap();
    let coordinator = connect(&backend.url).await;
    for table in ["raw_events", "logical_events", "logical_tags", "tag_facts"] {
        let mut total = 0;
        for shard in 0..3 {
            let rows = coordinator
                .query_one(&format!("SELECT count(*) FROM {table}_{shard}"), &[])
                .await
                .unwrap();
            let count: i64 = rows.get(0);
            assert!(count > 0, "{table} on shard {shard}");
            total += count;
        }
        assert_eq!(total, 60, "{table}");
    }
    store.close().await.unwrap();
}

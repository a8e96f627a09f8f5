//! A coordinator and three shards, laid out as `docs/postgresql-sharding.sql` says, all on this machine.

use image_usage_operator::store::Upkeep;
use local_cluster::PostgresServer;

use crate::{
    Result,
    server::{connect, make_database, open},
};

const SHARDS: usize = 3;
const SCRIPT: &str = include_str!("../../docs/postgresql-sharding.sql");

pub(crate) struct Sharded {
    coordinator: PostgresServer,
    shards: Vec<PostgresServer>,
}

impl Sharded {
    pub(crate) async fn start() -> Result<Self> {
        let coordinator = PostgresServer::start().await?;
        let mut shards = Vec::new();
        for _ in 0..SHARDS {
            shards.push(PostgresServer::start().await?);
        }
        Ok(Self { coordinator, shards })
    }

    /// A database of this name, spread over the shards.
    pub(crate) async fn database(&self, name: &str) -> Result<String> {
        let url = with_schema(&self.coordinator, name).await?;
        let coordinator = connect(&url).await?;
        coordinator.batch_execute("CREATE EXTENSION postgres_fdw").await?;
        for (number, shard) in self.shards.iter().enumerate() {
            let config: tokio_postgres::Config = with_schema(shard, name).await?.parse()?;
            let port = config.get_ports()[0];
            coordinator
                .batch_execute(&format!(
                    "CREATE SERVER shard_{number} FOREIGN DATA WRAPPER postgres_fdw
                         OPTIONS (host '127.0.0.1', port '{port}', dbname '{name}');
                     CREATE USER MAPPING FOR CURRENT_USER SERVER shard_{number} OPTIONS (user 'postgres')"
                ))
                .await?;
        }
        coordinator.batch_execute(SCRIPT).await?;
        Ok(url)
    }
}

async fn with_schema(server: &PostgresServer, name: &str) -> Result<String> {
    let url = make_database(server, name).await?;
    open(&url).await?.close().await?;
    Ok(url)
}

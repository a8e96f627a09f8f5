//! A `PostgreSQL` server of the benchmark's own, in the folder for temporary files.

use image_usage_operator::store::{PostgresOptions, PostgresStore};
use local_cluster::PostgresServer;
use tokio_postgres::{Client, NoTls};

use crate::Result;

/// Beside those of `PostgresServer`, which writes every commit to the disk. All else is as the server brings it.
const SETTINGS: [&str; 2] = ["shared_buffers=2GB", "max_wal_size=4GB"];

pub(crate) struct Server(PostgresServer);

impl Server {
    pub(crate) async fn start() -> Result<Self> {
        let folder = std::env::temp_dir();
        Ok(Self(PostgresServer::start_with(&folder, &SETTINGS).await?))
    }

    /// Starts it again with these settings, in place of those of the last time.
    pub(crate) async fn restart(&mut self, settings: &[&str]) -> Result<()> {
        let client = self.connect().await?;
        client.batch_execute("ALTER SYSTEM RESET ALL").await?;
        for setting in settings {
            client
                .batch_execute(&format!("ALTER SYSTEM SET {setting}"))
                .await?;
        }
        // So that there is little left to write when it has to end in time.
        client.batch_execute("CHECKPOINT").await?;
        drop(client);
        self.0.end().await?;
        self.0.begin().await?;
        Ok(())
    }

    pub(crate) async fn connect(&self) -> Result<Client> {
        connect(&self.url()).await
    }

    pub(crate) async fn store(&self) -> Result<PostgresStore> {
        open(&self.url()).await
    }

    fn url(&self) -> String {
        self.0.url("postgres")
    }
}

pub(crate) async fn open(url: &str) -> Result<PostgresStore> {
    let Ok(url) = url.parse();
    let options = PostgresOptions { url, ca_file: None };
    Ok(PostgresStore::open(&options, |_, _| {}).await?)
}

/// A new database of a server.
pub(crate) async fn make_database(server: &PostgresServer, name: &str) -> Result<String> {
    connect(&server.url("postgres"))
        .await?
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await?;
    Ok(server.url(name))
}

pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Prints what each table and index takes on the disk, the partitions of a table as one, and how much
/// that is for each of so many events.
pub(crate) async fn print_sizes(client: &Client, events: u64) -> Result<()> {
    println!("\n| table, and what it is made of | MB | bytes an event |");
    println!("| --- | --- | --- |");
    let line = |name: &str, bytes: i64| -> Result<()> {
        let bytes = u64::try_from(bytes)?;
        println!("| {name} | {} | {} |", bytes / 1_000_000, bytes / events);
        Ok(())
    };
    let mut all = 0;
    for table in client.query(TABLES, &[]).await? {
        let (name, bytes): (String, i64) = (table.get(0), table.get(1));
        all += bytes;
        if u64::try_from(bytes)? < events {
            continue;
        }
        line(&name, bytes)?;
        for part in client.query(PARTS, &[&name]).await? {
            line(&format!("… {}", part.get::<_, &str>(0)), part.get(1))?;
        }
    }
    line("all", all)
}

const TABLES: &str =
    "SELECT coalesce(p.inhparent, c.oid)::regclass::text, sum(pg_total_relation_size(c.oid))::bigint
     FROM pg_class c LEFT JOIN pg_inherits p ON p.inhrelid = c.oid
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' GROUP BY 1 ORDER BY 2 DESC";

/// The rows, and each index.
const PARTS: &str = "WITH tables AS (
         SELECT c.oid FROM pg_class c LEFT JOIN pg_inherits p ON p.inhrelid = c.oid
         WHERE c.relkind = 'r' AND coalesce(p.inhparent, c.oid) = $1::text::regclass
     )
     SELECT 'rows', sum(pg_table_size(oid))::bigint FROM tables
     UNION ALL
     SELECT coalesce(p.inhparent, i.indexrelid)::regclass::text, sum(pg_relation_size(i.indexrelid))::bigint
     FROM tables JOIN pg_index i ON i.indrelid = tables.oid LEFT JOIN pg_inherits p ON p.inhrelid = i.indexrelid
     GROUP BY 1 ORDER BY 2 DESC";

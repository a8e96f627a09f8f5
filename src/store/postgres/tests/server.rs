//! The server that all tests of this process share, and databases on it.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use local_cluster::PostgresServer;
use tokio::sync::{Mutex, OnceCell};

use super::connect;

pub(super) struct Server {
    running: PostgresServer,
    made: AtomicU32,
    /// One database is made at a time: each copies the same one.
    turn: Mutex<()>,
}

static SHARED: OnceCell<Server> = OnceCell::const_new();

impl Server {
    pub(super) async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    pub(super) async fn start() -> Self {
        Self::of(PostgresServer::start().await.unwrap())
    }

    pub(super) fn of(running: PostgresServer) -> Self {
        Self {
            running,
            made: AtomicU32::new(0),
            turn: Mutex::new(()),
        }
    }

    pub(super) fn running(&mut self) -> &mut PostgresServer {
        &mut self.running
    }

    /// The URL of a new database.
    pub(super) async fn database(&self) -> String {
        self.create("").await
    }

    /// The URL of a new database whose files are in this folder.
    pub(super) async fn database_in(&self, folder: &Path) -> String {
        let space = format!("space_{}", self.made.fetch_add(1, Ordering::Relaxed));
        // The server's own user has to own it.
        let own = folder.join(&space);
        std::fs::create_dir(&own).unwrap();
        PostgresServer::give(&own).unwrap();
        let client = connect(&self.running.url("postgres")).await;
        client
            .batch_execute(&format!("CREATE TABLESPACE {space} LOCATION '{}'", own.display()))
            .await
            .unwrap();
        self.create(&format!("TABLESPACE {space}")).await
    }

    /// Removes a database, and what it lies in.
    pub(super) async fn remove(&self, url: &str) {
        let config: tokio_postgres::Config = url.parse().unwrap();
        let name = config.get_dbname().unwrap();
        let client = connect(&self.running.url("postgres")).await;
        client
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await
            .unwrap();
        let spaces = client
            .query(
                "SELECT spcname::text FROM pg_tablespace WHERE spcname LIKE 'space_%'",
                &[],
            )
            .await
            .unwrap();
        for space in spaces {
            let space: String = space.get(0);
            client
                .batch_execute(&format!("DROP TABLESPACE {space}"))
                .await
                .unwrap();
        }
    }

    /// The URL of a new database that is a copy of another one.
    pub(super) async fn copy(&self, url: &str) -> String {
        let config: tokio_postgres::Config = url.parse().unwrap();
        self.create(&format!("TEMPLATE {}", config.get_dbname().unwrap()))
            .await
    }

    async fn create(&self, options: &str) -> String {
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::Relaxed));
        let _turn = self.turn.lock().await;
        let client = connect(&self.running.url("postgres")).await;
        client
            .batch_execute(&format!("CREATE DATABASE {name} {options}"))
            .await
            .unwrap();
        self.running.url(&name)
    }
}

//! The connections to the database: few, each used by one at a time, none used again after
//! its work did not end well.

use std::{fmt, future::Future, ops::Deref, sync::Arc, time::Duration};

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use futures::try_join;
use tokio::sync::Semaphore;
use tokio_postgres::{Row, RowStream, Statement, error::SqlState, types::ToSql};

use super::{failure::Failure, schema::WRITERS_LOCK, url::PostgresOptions};
use crate::store::StoreError;

/// Most connections of one operator, beside the one that listens.
const CONNECTIONS: usize = 10;
/// How many of them answer questions: the others write.
const READERS: usize = 5;
const WAIT_WITHIN: Duration = Duration::from_secs(3);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long a question may take, connection and all.
pub(super) const READ_WITHIN: Duration = Duration::from_secs(30);

/// Plans are made for the values at hand: a plan kept for all of them was made when tables
/// were small, and looks into every partition. What is acknowledged is on disk, whatever
/// the database's own default is.
const PREPARE: &str = "SET statement_timeout = '30s';
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '60s';
    SET plan_cache_mode = force_custom_plan;
    SET client_min_messages = warning;
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'";

/// Said by the hook of a new connection, which can only say a text.
pub(super) const IMPORTING: &str = "an import writes to it: wait until it has ended";

/// Whose connections they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Each shares the lock of those who write, so that nobody imports meanwhile. An import that has just ended is
    /// waited for.
    Operator,
    /// Of a command beside it.
    Command,
}

/// Begins a transaction in which plans are kept: for statements that search by index whatever
/// the values. What was planned while tables were small then holds when they have grown.
macro_rules! begin_keeping_plans {
    () => {
        "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off"
    };
}
pub(super) use begin_keeping_plans;

pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

pub(super) struct Database {
    pool: Pool,
    readers: Semaphore,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    pub(super) fn new(options: &PostgresOptions, role: Role) -> Result<Self, StoreError> {
        let manager = Manager::from_config(
            options.config()?,
            options.tls()?,
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT_WITHIN))
            .create_timeout(Some(CONNECT_WITHIN))
            .recycle_timeout(Some(CONNECT_WITHIN))
            .post_create(Hook::async_fn(move |client, _| {
                Box::pin(async move {
                    if role == Role::Operator {
                        share_lock(client).await?;
                    }
                    client.batch_execute(PREPARE).await.map_err(HookError::Backend)
                })
            }))
            .build()
            .map_err(|_| StoreError::Open("the pool of connections cannot be set up".to_owned()))?;
        Ok(Self {
            pool,
            readers: Semaphore::new(READERS),
        })
    }

    pub(super) async fn session(&self) -> Result<Session, Failure> {
        Ok(Session(Some(self.pool.get().await?)))
    }

    /// Answers a question from one snapshot.
    pub(super) async fn read<T, Answer: Future<Output = Result<T, Failure>>>(
        &self,
        question: impl FnOnce(Snapshot) -> Answer,
    ) -> Result<T, StoreError> {
        let answer = async {
            let _turn = self.readers.acquire().await.map_err(|_| Failure::Closed)?;
            let session = self.session().await?;
            session
                .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                .await?;
            let snapshot = Snapshot(Arc::new(session));
            let answer = question(snapshot.clone()).await?;
            if let Some(session) = Arc::into_inner(snapshot.0) {
                session.batch_execute("COMMIT").await?;
                session.done();
            }
            Ok(answer)
        };
        within(READ_WITHIN, answer).await.map_err(Failure::read)
    }

    /// Answers no more, and waits for the answers under way.
    pub(super) async fn close(&self) {
        let all = u32::try_from(READERS).unwrap_or(u32::MAX);
        let _all = self.readers.acquire_many(all).await;
        self.readers.close();
        self.pool.close();
    }
}

async fn share_lock(client: &ClientWrapper) -> Result<(), HookError> {
    let lock = format!("SET lock_timeout = '3s'; SELECT pg_advisory_lock_shared({WRITERS_LOCK})");
    client.batch_execute(&lock).await.map_err(|error| {
        if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
            HookError::message(IMPORTING)
        } else {
            HookError::Backend(error)
        }
    })
}

/// At most this long; what was not answered then never is.
pub(super) async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(time, work)
        .await
        .unwrap_or(Err(Failure::TimedOut))
}

/// A session in which a read-only transaction is open.
#[derive(Clone)]
pub(super) struct Snapshot(Arc<Session>);

impl Deref for Snapshot {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

/// One connection. Unless it is said to be done with, it is closed at the end, so that
/// nobody meets an open transaction or an answer to a question of somebody else.
pub(super) struct Session(Option<Object>);

impl Session {
    fn client(&self) -> Result<&Object, Failure> {
        self.0.as_ref().ok_or(Failure::Closed)
    }

    /// Prepared once for each connection. Prepare all statements of a pipeline before the
    /// first is sent: one that is prepared meanwhile is sent after those behind it.
    pub(super) async fn statement(&self, sql: &str) -> Result<Statement, Failure> {
        Ok(self.client()?.prepare_cached(sql).await?)
    }

    pub(super) async fn query(&self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, Failure> {
        let statement = self.statement(sql).await?;
        self.run(&statement, parameters).await
    }

    pub(super) async fn run(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        Ok(self.client()?.query(statement, parameters).await?)
    }

    /// The rows as they come: those that are not taken wait at the server. They have to be taken before the next
    /// statement is answered.
    pub(super) async fn stream(&self, sql: &str, parameters: Parameters<'_>) -> Result<RowStream, Failure> {
        let statement = self.statement(sql).await?;
        let parameters = parameters.iter().copied();
        Ok(self.client()?.query_raw(&statement, parameters).await?)
    }

    /// Plans for these very values where plans are otherwise kept: for lists in whose length
    /// the best plan lies.
    pub(super) async fn query_by_values(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let statement = self.statement(sql).await?;
        let ((), rows, ()) = try_join!(
            self.batch_execute("SET LOCAL plan_cache_mode = force_custom_plan"),
            self.run(&statement, parameters),
            self.batch_execute("SET LOCAL plan_cache_mode = force_generic_plan")
        )?;
        Ok(rows)
    }

    pub(super) async fn query_opt(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Option<Row>, Failure> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// How many rows it changed.
    pub(super) async fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, Failure> {
        let statement = self.statement(sql).await?;
        self.change(&statement, parameters).await
    }

    /// How many rows it changed.
    pub(super) async fn change(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
    ) -> Result<u64, Failure> {
        Ok(self.client()?.execute(statement, parameters).await?)
    }

    pub(super) async fn batch_execute(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.client()?.batch_execute(sql).await?)
    }

    /// Gives the connection back.
    pub(super) fn done(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

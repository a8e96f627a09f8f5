//! The store in a `PostgreSQL` database, which several operators may share.

mod append;
mod changes;
mod counts;
mod cursors;
mod facts;
mod failure;
mod gaps;
mod ids;
mod instances;
mod keeping;
mod linker;
mod listen;
mod listening;
mod logical;
mod manifests;
mod opened;
mod pages;
mod partitions;
mod parts;
mod pointers;
mod purge;
mod quarantine;
mod query;
mod raw;
mod refusals;
mod relink;
mod schema;
mod sealing;
mod sent;
mod session;
mod tally;
#[cfg(test)]
mod tests;
mod transfer;
mod turns;
mod upkeep;
mod url;
mod usage;
mod values;
mod writer;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, Semaphore, mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    changes::OnChange,
    failure::Failure,
    ids::Ids,
    linker::{Asked, Linker, Waiting},
    partitions::Partitions,
    purge::Removed,
    refusals::Refusals,
    session::{Database, Role, Session, within},
    values::nanoseconds,
    writer::{Queued, Writer, random_bytes},
};
use super::{
    Appended, AttributedEvent, BodyAside, Cursor, Cursors, Delivery, EventLog, EventQuery, EventReader,
    Keeping, Kept, LastKnown, Listened, Listening, LogKey, PageKey, Purged, Quarantine, Refusing,
    RegistryKey, RepositoryUses, Room, SourceState, StoreError, TagFacts, TagPointer, Tally, Terms, Upkeep,
    UsageSpan, UsageStore, accounts::Accounts, batch::Batch, room,
};
use crate::image::RepositoryName;

pub use transfer::{PostgresReader, PostgresWriter};
pub use url::{DatabaseUrl, PostgresOptions};

/// How long an append waits for its answer, whatever the database does.
const APPEND_WITHIN: Duration = Duration::from_secs(10);
const WORK_WITHIN: Duration = Duration::from_secs(10);
/// The next removal goes on where this one was.
const REMOVE_WITHIN: Duration = Duration::from_mins(15);
/// The next sealing goes on where this one was.
const SEAL_WITHIN: Duration = Duration::from_mins(15);
const OPEN_WITHIN: Duration = Duration::from_mins(1);

/// Events in a `PostgreSQL` database, version 15 or newer.
///
/// An event is known by its id and its time: the same id with another time is another event,
/// unless the time is that of its receipt.
#[derive(Debug)]
pub struct PostgresStore {
    database: Arc<Database>,
    partitions: Arc<Partitions>,
    ids: Arc<tokio::sync::Mutex<Ids>>,
    accounts: Arc<Accounts>,
    refusals: Arc<Refusals>,
    operator: i64,
    /// Nothing once it is closed.
    queue: Mutex<Option<mpsc::UnboundedSender<Queued>>>,
    room: Arc<Semaphore>,
    asked: mpsc::Sender<Asked>,
    tasks: tokio::sync::Mutex<Tasks>,
    /// Cancelled when a task is gone, for whatever reason.
    gone: CancellationToken,
}

/// The tasks of a store. Without it they end.
#[derive(Debug)]
struct Tasks {
    writer: JoinSet<()>,
    others: JoinSet<()>,
    cancel: CancellationToken,
}

impl PostgresStore {
    /// Connects, brings the schema up to date, and starts to write and link.
    ///
    /// `on_change` is called on a task, so it must not block: with the paths of the
    /// repositories whose events changed, once they can be read, by this operator or another;
    /// with none when only what is known of a source's completeness changed.
    pub async fn open(
        options: &PostgresOptions,
        on_change: impl Fn(&RegistryKey, &[String]) + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let database = Arc::new(Database::new(options, Role::Operator)?);
        Self::start(options, database, on_change).await
    }

    /// Like [`open`](Self::open), beside operators that may be running: fails where the database has not the schema
    /// that this version knows.
    pub async fn open_current(options: &PostgresOptions) -> Result<Self, StoreError> {
        let database = Arc::new(Database::new(options, Role::Operator)?);
        tokio::time::timeout(OPEN_WITHIN, check_current(&database))
            .await
            .map_err(|_| Failure::TimedOut.open())??;
        Self::start(options, database, |_, _| {}).await
    }

    async fn start(
        options: &PostgresOptions,
        database: Arc<Database>,
        on_change: impl Fn(&RegistryKey, &[String]) + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let (partitions, accounts) = tokio::time::timeout(OPEN_WITHIN, prepare(&database))
            .await
            .map_err(|_| Failure::TimedOut.open())??;
        let (partitions, accounts) = (Arc::new(partitions), Arc::new(accounts));
        let ids = Arc::new(tokio::sync::Mutex::new(Ids::default()));
        let on_change: OnChange = Arc::new(on_change);
        let operator = i64::from_ne_bytes(random_bytes());
        let waiting = Arc::new(Waiting::default());
        let gone = CancellationToken::new();
        let (queue, queued) = mpsc::unbounded_channel();
        let (asked, questions) = mpsc::channel(16);
        let mut tasks = Tasks {
            writer: JoinSet::new(),
            others: JoinSet::new(),
            cancel: CancellationToken::new(),
        };
        let cancel = &tasks.cancel;

        let refusals = Arc::new(Refusals {
            database: database.clone(),
            accounts: accounts.clone(),
            on_change: on_change.clone(),
            unwritten: Notify::new(),
        });
        own(&mut tasks.others, &gone, refusals.clone().run(cancel.clone()));
        let writer = Writer {
            database: database.clone(),
            ids: ids.clone(),
            accounts: accounts.clone(),
            refusals: refusals.clone(),
            counting: tokio::sync::Mutex::default(),
            partitions: partitions.clone(),
            waiting: waiting.clone(),
            on_change: on_change.clone(),
            operator,
        };
        own(&mut tasks.writer, &gone, writer.run(queued));
        let linker = Linker {
            database: database.clone(),
            operator,
            waiting,
            on_change: on_change.clone(),
            cancel: cancel.clone(),
        };
        own(&mut tasks.others, &gone, linker.run(questions));
        let hints = Arc::new(Notify::new());
        let listening = listen::listen(
            options.config()?,
            options.tls()?,
            operator,
            hints.clone(),
            cancel.clone(),
        );
        own(&mut tasks.others, &gone, listening);
        let following = changes::follow(database.clone(), operator, hints, on_change, cancel.clone());
        own(&mut tasks.others, &gone, following);
        let upkeep = upkeep::run(database.clone(), partitions.clone(), cancel.clone());
        own(&mut tasks.others, &gone, upkeep);

        Ok(Self {
            database,
            partitions,
            ids,
            accounts,
            refusals,
            operator,
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(room::ROOM as usize)),
            asked,
            tasks: tokio::sync::Mutex::new(tasks),
            gone,
        })
    }

    /// `replays` is the body that the delivery was.
    async fn take(&self, delivery: Delivery, replays: Option<i64>) -> Result<Appended, StoreError> {
        let room = Arc::clone(&self.room).acquire_many_owned(room::units(&delivery));
        let room = tokio::time::timeout(room::PATIENCE, room)
            .await
            .map_err(|_| StoreError::Busy)?
            .map_err(|_| StoreError::Closed)?;
        let batch = Batch {
            replays,
            ..Batch::from(delivery)
        };
        let (reply, answer) = oneshot::channel();
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .ok_or(StoreError::Closed)?
            .send(Queued { batch, reply, room })
            .map_err(|_| StoreError::Closed)?;
        tokio::time::timeout(APPEND_WITHIN, answer)
            .await
            .map_err(|_| StoreError::Busy)?
            .map_err(|_| StoreError::Closed)?
    }

    /// Does something small in a session, which is given back where it went well.
    async fn work<Work: Future<Output = Result<Session, Failure>>>(
        &self,
        work: impl FnOnce(Session) -> Work,
    ) -> Result<(), StoreError> {
        let done = async {
            work(self.database.session().await?).await?.done();
            Ok(())
        };
        within(WORK_WITHIN, done).await.map_err(Failure::write)
    }

    async fn linked(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.asked.send(reply).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.room.close();
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut tasks = self.tasks.lock().await;
        let mut ended = join(&mut tasks.writer).await;
        tasks.cancel.cancel();
        ended = ended.and(join(&mut tasks.others).await);
        self.database.close().await;
        self.gone.cancel();
        ended
    }
}

async fn check_current(database: &Database) -> Result<(), StoreError> {
    let session = database.session().await.map_err(Failure::open)?;
    schema::check_current(&session).await?;
    session.done();
    Ok(())
}

async fn prepare(database: &Database) -> Result<(Partitions, Accounts), StoreError> {
    let session = database.session().await.map_err(Failure::open)?;
    schema::prepare(&session).await?;
    let is_by_time = schema::is_partitioned_by_time(&session)
        .await
        .map_err(Failure::open)?;
    let accounts = keeping::accounts(&session).await.map_err(Failure::open)?;
    session.done();
    Ok((Partitions::new(is_by_time), accounts))
}

/// Starts a task; when it is gone, the store is.
fn own(tasks: &mut JoinSet<()>, gone: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    let gone = gone.clone().drop_guard();
    tasks.spawn(async move {
        // Dropped last, and in a panic.
        let _gone = gone;
        task.await;
    });
}

async fn join(tasks: &mut JoinSet<()>) -> Result<(), StoreError> {
    let mut ended = Ok(());
    while let Some(task) = tasks.join_next().await {
        if task.is_err_and(|error| error.is_panic()) {
            ended = Err(StoreError::Write("a task of the store panicked".to_owned()));
        }
    }
    ended
}

impl EventLog for PostgresStore {
    fn append(&self, delivery: Delivery) -> BoxFuture<'_, Result<Appended, StoreError>> {
        Box::pin(self.take(delivery, None))
    }

    fn refused(&self, registry: &RegistryKey, source: &str, received: Timestamp, reason: &'static str) {
        self.refusals
            .of_source(registry, source, nanoseconds(received), &reason);
    }
}

impl EventReader for PostgresStore {
    fn events(
        &self,
        query: EventQuery,
        before: Option<PageKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<AttributedEvent>, StoreError>> {
        Box::pin(self.database.read(move |session| async move {
            pages::events(&session, &query, before.as_ref(), limit).await
        }))
    }

    fn tally(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Tally>, StoreError>> {
        Box::pin(
            self.database
                .read(move |session| async move { tally::tally(&session, &query).await }),
        )
    }

    fn tag_pointers(
        &self,
        registry: RegistryKey,
        repository: String,
    ) -> BoxFuture<'_, Result<Vec<TagPointer>, StoreError>> {
        Box::pin(
            self.database.read(move |session| async move {
                facts::tag_pointers(&session, &registry, &repository).await
            }),
        )
    }

    fn tags(
        &self,
        registry: RegistryKey,
        repository: String,
    ) -> BoxFuture<'_, Result<Vec<TagFacts>, StoreError>> {
        Box::pin(
            self.database
                .read(move |session| async move { facts::tags(&session, &registry, &repository).await }),
        )
    }

    fn sources(&self, registry: RegistryKey) -> BoxFuture<'_, Result<Vec<SourceState>, StoreError>> {
        Box::pin(
            self.database
                .read(move |session| async move { facts::sources(&session, &registry).await }),
        )
    }
}

impl Upkeep for PostgresStore {
    fn purge(&self, registry: RegistryKey, before: Timestamp) -> BoxFuture<'_, Result<Purged, StoreError>> {
        Box::pin(async move {
            let mut removed = Removed::new();
            let before = nanoseconds(before);
            let purged =
                purge::purge(&self.database, &self.partitions, &registry, before, &mut removed).await;
            if !removed.is_empty() {
                let settled = self.work(|session| async move {
                    keeping::settle(&session, &self.accounts, &removed).await?;
                    Ok(session)
                });
                settled.await?;
            }
            purged.map_err(Failure::write)
        })
    }

    fn seal(&self, now: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            within(SEAL_WITHIN, sealing::seal(&self.database, nanoseconds(now)))
                .await
                .map_err(Failure::write)
        })
    }

    fn linked(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.linked())
    }

    /// Not because the database is gone: that may pass.
    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.gone.cancelled())
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.close())
    }
}

impl Quarantine for PostgresStore {
    fn aside(&self, after: i64) -> BoxFuture<'_, Result<Vec<BodyAside>, StoreError>> {
        Box::pin(
            self.database
                .read(move |session| async move { quarantine::next(&session, after).await }),
        )
    }

    fn replay(&self, body: i64, delivery: Delivery) -> BoxFuture<'_, Result<Appended, StoreError>> {
        Box::pin(self.take(delivery, Some(body)))
    }
}

impl Listening for PostgresStore {
    fn listened(&self, listened: Listened) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut changed = HashSet::new();
            self.work(|session| {
                let changed = &mut changed;
                async move {
                    *changed = listening::note(&session, self.operator, &listened).await?;
                    Ok(session)
                }
            })
            .await?;
            for registry in changed {
                (self.refusals.on_change)(&registry, &[]);
            }
            Ok(())
        })
    }
}

impl Keeping for PostgresStore {
    fn keep(&self, registry: RegistryKey, terms: Terms) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let key = registry.clone();
            self.work(|session| async move {
                keeping::keep(&session, &key, terms).await?;
                Ok(session)
            })
            .await?;
            self.accounts.set_quota(&registry, terms.quota);
            Ok(())
        })
    }

    fn release(&self, registry: RegistryKey, at: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.work(move |session| async move {
            keeping::release(&session, &registry, at).await?;
            Ok(session)
        }))
    }

    fn remove(&self, registry: RegistryKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let removed = within(REMOVE_WITHIN, keeping::remove(&self.database, &registry)).await;
            // Also what was removed in part.
            self.ids.lock().await.forget();
            if removed.map_err(Failure::write)? {
                self.accounts.forget(&registry);
            }
            Ok(())
        })
    }

    fn kept(&self) -> BoxFuture<'_, Result<Vec<Kept>, StoreError>> {
        Box::pin(
            self.database
                .read(|session| async move { keeping::kept(&session).await }),
        )
    }

    fn refusing(&self, registry: &RegistryKey) -> Option<Refusing> {
        self.accounts.refusing(registry)
    }

    /// How full its disk is, the database does not say.
    fn room(&self) -> Room {
        Room {
            free: None,
            low_space: false,
            over_quota: self.accounts.over_quota(),
        }
    }
}

impl Cursors for PostgresStore {
    fn cursor(&self, log: LogKey) -> BoxFuture<'_, Result<Option<Cursor>, StoreError>> {
        Box::pin(
            self.database
                .read(move |session| async move { cursors::cursor(&session, &log).await }),
        )
    }

    fn set_cursor(&self, log: LogKey, cursor: Cursor) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.work(move |session| async move {
            cursors::note(&session, &log, cursor).await?;
            Ok(session)
        }))
    }
}

impl UsageStore for PostgresStore {
    fn save_uses(
        &self,
        cluster: String,
        as_of: Timestamp,
        changed: Vec<RepositoryUses>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.work(|session| async move {
                usage::save(&session, &cluster, as_of, &changed).await?;
                Ok(session)
            })
            .await
        })
    }

    fn forget_uses(&self, cluster: String) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.work(|session| async move {
                usage::forget(&session, &cluster).await?;
                Ok(session)
            })
            .await
        })
    }

    fn last_known(
        &self,
        cluster: String,
        repositories: Vec<RepositoryName>,
    ) -> BoxFuture<'_, Result<Option<LastKnown>, StoreError>> {
        Box::pin(
            self.database.read(move |session| async move {
                usage::last_known(&session, &cluster, &repositories).await
            }),
        )
    }

    fn usage_spans(
        &self,
        clusters: Vec<String>,
        repositories: Vec<RepositoryName>,
    ) -> BoxFuture<'_, Result<HashMap<String, Vec<UsageSpan>>, StoreError>> {
        Box::pin(
            self.database
                .read(move |session| async move { usage::spans(&session, &clusters, &repositories).await }),
        )
    }

    fn used_repositories(&self, cluster: String) -> BoxFuture<'_, Result<Vec<RepositoryName>, StoreError>> {
        Box::pin(
            self.database
                .read(move |session| async move { usage::used_repositories(&session, &cluster).await }),
        )
    }

    fn usage_clusters(&self) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        Box::pin(
            self.database
                .read(|session| async move { usage::clusters(&session).await }),
        )
    }
}

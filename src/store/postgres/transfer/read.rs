//! Gives the database's content as records, from one snapshot, on a task of its own.

mod lasting;

use std::{collections::HashMap, pin::pin};

use futures::{TryStreamExt, future::BoxFuture};
use jiff::SignedDuration;
use tokio::task::JoinSet;
use tokio_postgres::Row;

use super::super::{
    OPEN_WITHIN,
    failure::Failure,
    ids,
    raw::{self, raw_columns, rest_columns},
    schema,
    session::{Database, Parameters, Role, Session},
    url::PostgresOptions,
    values::{get, id, id_bytes, nanoseconds, number, optional_time, time},
};
use crate::store::{
    RegistryKey, StoreError,
    transfer::{EventKey, Events, Parts, Reading, Record, Scope, Stop, TransferReader, VERSION, parts},
};

/// One moment, for as long as it takes. Rows come in the order of an index, not sorted: a
/// sort holds all of them before it gives one.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL enable_sort = off";

/// Fixes what is seen: on every shard, where there are some; and of every partition of raw
/// events, so that none is dropped meanwhile.
const FIX: [&str; 2] = [
    "SELECT min(repository) FROM unlinked",
    "SELECT EXISTS (SELECT 1 FROM raw_events)",
];

/// Repositories whose names are read at a time.
const REPOSITORIES: i64 = 1_000;

/// Reads a database that running operators may be writing.
#[derive(Debug)]
pub struct PostgresReader {
    reading: Reading,
    _task: JoinSet<()>,
}

impl PostgresReader {
    /// Fails where the database has not the schema that this version knows. From then on all
    /// is as it is now, whatever is written meanwhile.
    pub async fn open(options: &PostgresOptions, scope: Scope) -> Result<Self, StoreError> {
        let database = Database::new(options, Role::Command)?;
        let session = tokio::time::timeout(OPEN_WITHIN, begin(&database))
            .await
            .map_err(|_| Failure::TimedOut.open())??;
        let (mut parts, reading) = parts(Failure::read);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let done = read(&session, &scope, &mut parts).await;
            parts.end(done).await;
        });
        Ok(Self { reading, _task: task })
    }
}

impl TransferReader for PostgresReader {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Record>, StoreError>> {
        Box::pin(self.reading.next())
    }
}

async fn begin(database: &Database) -> Result<Session, StoreError> {
    let session = database.session().await.map_err(Failure::open)?;
    session.batch_execute(BEGIN).await.map_err(Failure::open)?;
    schema::check_current(&session).await?;
    for statement in FIX {
        session.query(statement, &[]).await.map_err(Failure::open)?;
    }
    Ok(session)
}

type Outcome<T = ()> = Result<T, Stop<Failure>>;
/// Of a row; none where this version makes nothing of it.
type Made = Result<Option<Record>, Failure>;

struct Registry {
    id: i64,
    key: RegistryKey,
}

async fn read(session: &Session, scope: &Scope, parts: &mut Parts<Failure>) -> Outcome {
    parts.push(Record::Header { version: VERSION }).await?;
    let registries = registries(session, scope, parts).await?;
    for registry in &registries {
        sources(session, registry, parts).await?;
    }
    if !registries.is_empty() {
        listened(session, parts).await?;
    }
    for registry in &registries {
        let mut repositories = Repositories::after(registry, "");
        while let Some((repository, path)) = repositories.next(session).await? {
            lasting::facts(session, registry, repository, &path, parts).await?;
        }
    }
    if scope.takes_uses() {
        lasting::uses(session, parts).await?;
        lasting::spans(session, parts).await?;
    }
    for registry in &registries {
        events(session, registry, scope, parts).await?;
    }
    parts.push(Record::End).await
}

/// By namespace, name and uid, as all that follows.
async fn registries(session: &Session, scope: &Scope, parts: &mut Parts<Failure>) -> Outcome<Vec<Registry>> {
    let mut found = Vec::new();
    let rows = session
        .query(
            "SELECT id, namespace, name, uid, retention, quota, released FROM registries
             ORDER BY namespace, name, uid",
            &[],
        )
        .await?;
    for row in &rows {
        let key = RegistryKey {
            namespace: get(row, 1)?,
            name: get(row, 2)?,
            uid: get(row, 3)?,
        };
        if !scope.takes(&key) {
            continue;
        }
        parts
            .push(Record::Registry {
                registry: key.clone(),
                retention: get::<Option<i64>>(row, 4)?.map(SignedDuration::from_secs),
                quota: get(row, 5)?,
                released: optional_time(row, 6)?,
            })
            .await?;
        found.push(Registry {
            id: get(row, 0)?,
            key,
        });
    }
    Ok(found)
}

async fn listened(session: &Session, parts: &mut Parts<Failure>) -> Outcome {
    let rows = session
        .query("SELECT since, until FROM listening ORDER BY since, until", &[])
        .await?;
    for row in &rows {
        parts
            .push(Record::Listened {
                since: time(row, 0)?,
                until: time(row, 1)?,
            })
            .await?;
    }
    Ok(())
}

async fn sources(session: &Session, registry: &Registry, parts: &mut Parts<Failure>) -> Outcome {
    let rows = session
        .query(
            "SELECT id, name, since, last_delivery, last_event, stored, duplicates, ignored, quarantined
             FROM sources WHERE registry = $1 ORDER BY name",
            &[&registry.id],
        )
        .await?;
    for row in &rows {
        let (source_number, source): (i64, String) = (get(row, 0)?, get(row, 1)?);
        parts
            .push(Record::Source {
                registry: registry.key.clone(),
                source: source.clone(),
                since: time(row, 2)?,
                last_delivery: time(row, 3)?,
                last_event: optional_time(row, 4)?,
                stored: get(row, 5)?,
                duplicates: get(row, 6)?,
                ignored: get(row, 7)?,
                quarantined: get(row, 8)?,
            })
            .await?;
        let instances = session
            .query(
                "SELECT id, first, last FROM instances WHERE source = $1 ORDER BY id",
                &[&source_number],
            )
            .await?;
        for row in &instances {
            parts
                .push(Record::Instance {
                    registry: registry.key.clone(),
                    source: source.clone(),
                    id: id(row, 0)?,
                    first: time(row, 1)?,
                    last: time(row, 2)?,
                })
                .await?;
        }
        let reported = session
            .query(
                "SELECT category, first FROM reported WHERE source = $1 ORDER BY category",
                &[&source_number],
            )
            .await?;
        for row in &reported {
            parts
                .push(Record::Reported {
                    registry: registry.key.clone(),
                    source: source.clone(),
                    category: number(row, 0)?,
                    first: time(row, 1)?,
                })
                .await?;
        }
        let gaps = session
            .query(
                "SELECT reason, start, finish FROM gaps WHERE source = $1 ORDER BY start, finish, reason",
                &[&source_number],
            )
            .await?;
        for row in &gaps {
            parts
                .push(Record::Gap {
                    registry: registry.key.clone(),
                    source: source.clone(),
                    reason: get(row, 0)?,
                    start: time(row, 1)?,
                    end: time(row, 2)?,
                })
                .await?;
        }
        let cursors = session
            .query(
                "SELECT log, since, until FROM cursors WHERE source = $1 ORDER BY log",
                &[&source_number],
            )
            .await?;
        for row in &cursors {
            parts
                .push(Record::Cursor {
                    registry: registry.key.clone(),
                    source: source.clone(),
                    log: get(row, 0)?,
                    since: time(row, 1)?,
                    until: time(row, 2)?,
                })
                .await?;
        }
    }
    Ok(())
}

/// The repositories of a registry by path.
struct Repositories {
    registry: i64,
    /// All up to it were read.
    read: String,
    waiting: std::vec::IntoIter<(i64, String)>,
}

impl Repositories {
    fn after(registry: &Registry, path: &str) -> Self {
        Self {
            registry: registry.id,
            read: path.to_owned(),
            waiting: Vec::new().into_iter(),
        }
    }

    async fn next(&mut self, session: &Session) -> Result<Option<(i64, String)>, Failure> {
        if self.waiting.as_slice().is_empty() {
            let rows = session
                .query(
                    "SELECT id, path FROM repositories WHERE registry = $1 AND path > $2 ORDER BY path LIMIT $3",
                    &[&self.registry, &self.read, &REPOSITORIES],
                )
                .await?;
            let page: Vec<(i64, String)> = rows
                .iter()
                .map(|row| Ok((get(row, 0)?, get(row, 1)?)))
                .collect::<Result<_, Failure>>()?;
            if let Some((_, last)) = page.last() {
                self.read.clone_from(last);
            }
            self.waiting = page.into_iter();
        }
        Ok(self.waiting.next())
    }
}

/// By repository, time and id.
async fn events(
    session: &Session,
    registry: &Registry,
    scope: &Scope,
    parts: &mut Parts<Failure>,
) -> Outcome {
    let since = scope.since.map_or(i64::MIN, nanoseconds);
    let mut begin = "";
    let mut first = None;
    match scope.events_of(&registry.key) {
        Events::Nothing => return Ok(()),
        Events::All => {}
        Events::After(EventKey {
            repository, time, id, ..
        }) => {
            begin = repository;
            let found = ids::repository(session, &registry.key, repository).await?;
            first = found.map(|found| (found, repository.clone(), (nanoseconds(*time), id.as_str())));
        }
    }
    let sources = source_names(session, registry.id).await?;
    let mut repositories = Repositories::after(registry, begin);
    loop {
        let (repository, path, (from, id)) = match first.take() {
            Some(first) => first,
            None => match repositories.next(session).await? {
                Some((repository, path)) => (repository, path, (since, "")),
                None => return Ok(()),
            },
        };
        let record = |row: &Row| -> Made {
            Ok(Some(Record::Event {
                registry: registry.key.clone(),
                event: Box::new(raw::read_whole(row, &path, &sources)?),
            }))
        };
        let begin = from.max(since);
        each(
            session,
            EVENTS,
            &[&repository, &from, &id_bytes(id), &begin],
            parts,
            record,
        )
        .await?;
    }
}

/// After a time and an id, or from a time on: no id is empty.
pub(in super::super) const EVENTS: &str = concat!(
    "SELECT ",
    raw_columns!(),
    ", ",
    rest_columns!(),
    " FROM raw_events e WHERE e.repository = $1 AND (e.time, e.id) > ($2::bigint, $3::bytea) AND e.time >= $4
      ORDER BY e.time, e.id"
);

/// Pushes what is made of each row, save those of which nothing is.
async fn each(
    session: &Session,
    sql: &str,
    parameters: Parameters<'_>,
    parts: &mut Parts<Failure>,
    record: impl Fn(&Row) -> Made,
) -> Outcome {
    let mut rows = pin!(session.stream(sql, parameters).await?);
    while let Some(row) = rows.try_next().await.map_err(Failure::from)? {
        if let Some(record) = record(&row)? {
            parts.push(record).await?;
        }
    }
    Ok(())
}

async fn source_names(session: &Session, registry: i64) -> Result<HashMap<i64, String>, Failure> {
    session
        .query("SELECT id, name FROM sources WHERE registry = $1", &[&registry])
        .await?
        .iter()
        .map(|row| Ok((get(row, 0)?, get(row, 1)?)))
        .collect()
}

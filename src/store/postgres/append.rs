//! What deliveries change, many in one transaction: raw events, what their sources are known
//! to have done, gaps, and the stretches of time that the linker has to look at.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::try_join;
use tokio::sync::Mutex;
use tokio_postgres::Statement;

use super::{
    changes,
    counts::{self, Counts},
    failure::Failure,
    gaps,
    ids::{self, Ids},
    instances::{self, Processes},
    quarantine,
    raw::{self, Columns},
    sent::{self, Key, Marks, NumberedEvent, Sent},
    session::{Parameters, Session, begin_keeping_plans},
    values::{Numbered, get, id_bytes, nanoseconds},
};
use crate::{
    event::{StoredEvent, TimeSource},
    store::{Appended, RegistryKey, batch::Batch},
};

/// What was written, and whether what is known of the source's completeness changed.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) appended: Appended,
    pub(super) coverage_changed: bool,
}

/// What a committed transaction did.
#[derive(Debug, Default)]
pub(super) struct Committed {
    /// One for each delivery.
    pub(super) outcomes: Vec<Outcome>,
    /// Repositories with something for the linker.
    pub(super) unlinked: HashSet<i64>,
}

/// A delivery and the numbers of what it names.
pub(super) struct Resolved<'a> {
    pub(super) batch: &'a Batch,
    registry: i64,
    pub(super) source: i64,
    /// One for each event.
    repositories: Vec<i64>,
    /// The source delivers for the first time.
    is_first: bool,
}

/// What an open transaction has written of some deliveries.
struct Written<'a> {
    new: Vec<Sent<'a>>,
    processes: Processes<'a>,
    /// Sources of processes that speak for the first time.
    arrived: BTreeSet<i64>,
}

/// Prepared before they are needed, so that they can go behind the beginning of a
/// transaction.
struct Statements {
    insert_all: Statement,
    insert_new: Statement,
    named: Statement,
    lock: Statement,
    note: Statement,
}

impl Statements {
    async fn prepare(session: &Session) -> Result<Self, Failure> {
        Ok(Self {
            insert_all: session.statement(raw::INSERT_ALL).await?,
            insert_new: session.statement(raw::INSERT_NEW).await?,
            named: session.statement(instances::NAMED).await?,
            lock: session.statement(LOCK_SOURCES).await?,
            note: session.statement(counts::NOTE).await?,
        })
    }
}

/// Writes deliveries in a transaction of its own: two round trips, the second with the
/// commit, unless there is something unusual among them. The connection is not to be used
/// again where this fails.
pub(super) async fn commit(
    session: &Session,
    ids: &Mutex<Ids>,
    operator: i64,
    mark: i64,
    batches: &[&Batch],
) -> Result<Committed, Failure> {
    let statements = Statements::prepare(session).await?;
    let (mut resolved, all_known) = resolve(session, ids, batches).await?;
    let mut written = None;
    if all_known && !resolved.iter().any(Resolved::is_timed_by_receipt) {
        written = write_all(session, &statements, &resolved).await?;
    }
    let Written {
        new,
        processes,
        arrived,
    } = match written {
        Some(written) => written,
        None => write_new(session, &statements, &mut resolved).await?,
    };
    let mut outcomes = sent::outcomes(&resolved, &new);
    let counts = Counts::of(&resolved, &outcomes);
    let sources: Parameters<'_> = &[&counts.source];
    let begun = begun(ids, &new).await;

    let changes_coverage = |one: &Resolved<'_>| {
        let Batch {
            quarantined,
            replays,
            refused_since,
            ..
        } = one.batch;
        one.is_first || quarantined.is_some() || replays.is_some() || refused_since.is_some()
    };
    if !arrived.is_empty() || !begun.is_empty() || resolved.iter().any(changes_coverage) {
        session.run(&statements.lock, sources).await?;
        for (one, outcome) in resolved.iter().zip(&mut outcomes) {
            outcome.coverage_changed = changes_coverage(one);
            quarantine(session, one).await?;
            if let Some(body) = one.batch.replays {
                quarantine::take_out(session, one.source, body).await?;
                gaps::close(session, one.source, one.batch.received).await?;
            }
            if let Some(since) = one.batch.refused_since {
                gaps::open(session, one.source, gaps::REFUSED, since, one.batch.received).await?;
            }
        }
        for delivery in instances::arrive(session, &processes, &arrived).await? {
            outcomes[delivery].coverage_changed = true;
        }
        for (&(source, category), &delivery) in &begun {
            let received = resolved[delivery].batch.received;
            session
                .execute(REPORTED, &[&source, &category, &received])
                .await?;
            outcomes[delivery].coverage_changed = true;
        }
        let covered: BTreeSet<i64> = resolved
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| outcome.coverage_changed)
            .map(|(one, _)| one.registry)
            .collect();
        for registry in covered {
            changes::tell(session, operator, registry, 0).await?;
        }
    }
    let lock = async {
        if counts.source.len() > 1 {
            session.run(&statements.lock, sources).await?;
        }
        Ok::<_, Failure>(())
    };
    let marks = Marks::of(&new);
    try_join!(
        lock,
        counts.note(session, &statements.note, (mark, &marks), &processes),
        session.batch_execute("COMMIT")
    )?;
    if !all_known || !begun.is_empty() {
        let mut ids = ids.lock().await;
        for one in &resolved {
            ids.remember_source(one.registry, &one.batch.source, one.source);
        }
        ids.remember_reported(begun.into_keys());
    }
    Ok(Committed {
        outcomes,
        unlinked: marks.repository.into_iter().collect(),
    })
}

/// Sources and categories of events that may be their first, each with the delivery that brought one.
async fn begun(ids: &Mutex<Ids>, new: &[Sent<'_>]) -> BTreeMap<(i64, i16), usize> {
    let ids = ids.lock().await;
    let mut begun = BTreeMap::new();
    for sent in new {
        let key = (sent.source, sent.stored.event.category.number());
        if !ids.has_reported(key.0, key.1) {
            let first = begun.entry(key).or_insert(sent.delivery);
            *first = sent.delivery.min(*first);
        }
    }
    begun
}

/// Writes deliveries of which every event is new and every process known, as nearly all are:
/// the number of rows says so, and no row need come back. Nothing, and no transaction, where
/// it is not so.
async fn write_all<'a>(
    session: &Session,
    statements: &Statements,
    resolved: &[Resolved<'a>],
) -> Result<Option<Written<'a>>, Failure> {
    let processes = Processes::of(resolved.iter().map(|one| (one.source, one.batch)));
    let new = sent::distinct(&events(resolved), &HashSet::new());
    let columns = Columns::of(&new);
    let ((), rows) = try_join!(
        session.batch_execute(begin_keeping_plans!()),
        columns.insert_all(session, &statements.insert_all, &processes)
    )?;
    if usize::try_from(rows) != Ok(new.len()) {
        session.batch_execute("ROLLBACK").await?;
        return Ok(None);
    }
    Ok(Some(Written {
        new,
        processes,
        arrived: BTreeSet::new(),
    }))
}

/// Writes what is new of deliveries.
async fn write_new<'a>(
    session: &Session,
    statements: &Statements,
    resolved: &mut [Resolved<'a>],
) -> Result<Written<'a>, Failure> {
    session.batch_execute("BEGIN").await?;
    make_sources(session, resolved).await?;
    let processes = Processes::of(resolved.iter().map(|one| (one.source, one.batch)));
    let events = events(resolved);
    let (known, new) = try_join!(
        processes.known(session, &statements.named),
        insert_new(session, &statements.insert_new, &events)
    )?;
    let arrived = processes.news(&known)?;
    Ok(Written {
        new,
        processes,
        arrived,
    })
}

/// Inserts what is new of these events, in the caller's transaction.
pub(super) async fn insert_new<'a>(
    session: &Session,
    statement: &Statement,
    events: &[NumberedEvent<'a>],
) -> Result<Vec<Sent<'a>>, Failure> {
    let received = insert_received(session, events).await?;
    let mut new = sent::distinct(events, &received);
    let rows = Columns::of(&new).insert_new(session, statement).await?;
    let mut keys: HashSet<Key> = HashSet::with_capacity(rows.len());
    for row in &rows {
        keys.insert((get(row, 0)?, get(row, 1)?, get(row, 2)?));
    }
    new.retain(|sent| keys.contains(&sent.key));
    Ok(new)
}

impl<'a> Resolved<'a> {
    fn is_timed_by_receipt(&self) -> bool {
        self.batch.events.iter().any(is_timed_by_receipt)
    }

    fn events(&self) -> impl Iterator<Item = (i64, &'a StoredEvent)> {
        self.repositories.iter().copied().zip(&self.batch.events)
    }
}

fn events<'a>(resolved: &[Resolved<'a>]) -> Vec<NumberedEvent<'a>> {
    let mut events = Vec::with_capacity(resolved.iter().map(|one| one.batch.events.len()).sum());
    for (delivery, one) in resolved.iter().enumerate() {
        events.extend(one.events().map(|(repository, stored)| NumberedEvent {
            delivery,
            repository,
            source: one.source,
            stored,
        }));
    }
    events
}

fn is_timed_by_receipt(stored: &StoredEvent) -> bool {
    stored.time_source == TimeSource::Received
}

/// The numbers of what deliveries name; whether all of their sources are known. One that is
/// not has the number 0.
async fn resolve<'a>(
    session: &Session,
    ids: &Mutex<Ids>,
    batches: &[&'a Batch],
) -> Result<(Vec<Resolved<'a>>, bool), Failure> {
    let mut ids = ids.lock().await;
    let registries: Vec<&RegistryKey> = batches.iter().map(|batch| &batch.registry).collect();
    let repositories: Vec<(&RegistryKey, &str)> = batches
        .iter()
        .flat_map(|batch| {
            let paths = batch.events.iter().map(|stored| stored.event.repository.as_str());
            paths.map(move |path| (&batch.registry, path))
        })
        .collect();
    ids.learn(session, &registries, &repositories).await?;
    let missing = || Failure::Malformed("a repository that was just written");
    let mut all_known = true;
    let mut resolved = Vec::with_capacity(batches.len());
    for &batch in batches {
        let registry = ids.registry(&batch.registry).ok_or_else(missing)?;
        let source = ids.source(registry, &batch.source);
        all_known &= source.is_some();
        let repositories = batch
            .events
            .iter()
            .map(|stored| {
                ids.repository(registry, &stored.event.repository)
                    .ok_or_else(missing)
            })
            .collect::<Result<_, _>>()?;
        resolved.push(Resolved {
            batch,
            registry,
            source: source.unwrap_or_default(),
            repositories,
            is_first: false,
        });
    }
    Ok((resolved, all_known))
}

async fn make_sources(session: &Session, resolved: &mut [Resolved<'_>]) -> Result<(), Failure> {
    let mut made: BTreeMap<(i64, &str), i64> = BTreeMap::new();
    for one in resolved.iter_mut().filter(|one| one.source == 0) {
        let key = (one.registry, one.batch.source.as_str());
        if let Some(&source) = made.get(&key) {
            one.source = source;
            continue;
        }
        (one.source, one.is_first) =
            ids::make_source(session, one.registry, &one.batch.source, one.batch.received).await?;
        made.insert(key, one.source);
    }
    Ok(())
}

/// The new ones (repository, id) among events known by the time they were received.
async fn insert_received(
    session: &Session,
    events: &[NumberedEvent<'_>],
) -> Result<HashSet<(i64, Vec<u8>)>, Failure> {
    let mut events: Vec<_> = events
        .iter()
        .filter(|event| is_timed_by_receipt(event.stored))
        .map(|event| {
            let stored = event.stored;
            let stated = stored.event.time.map(nanoseconds);
            (
                event.repository,
                id_bytes(&stored.event.id),
                nanoseconds(stored.received),
                stated,
            )
        })
        .collect();
    if events.is_empty() {
        return Ok(HashSet::new());
    }
    events.sort_unstable();
    let repositories: Vec<i64> = events.iter().map(|event| event.0).collect();
    let names: Vec<&[u8]> = events.iter().map(|event| event.1.as_slice()).collect();
    let received: Vec<i64> = events.iter().map(|event| event.2).collect();
    let stated: Vec<Option<i64>> = events.iter().map(|event| event.3).collect();
    session
        .query(raw::INSERT_RECEIVED, &[&repositories, &names, &received, &stated])
        .await?
        .iter()
        .map(|row| Ok((get(row, 0)?, get(row, 1)?)))
        .collect()
}

/// Keeps a body that could not be read, if there was one.
async fn quarantine(session: &Session, one: &Resolved<'_>) -> Result<(), Failure> {
    let Some(body) = &one.batch.quarantined else {
        return Ok(());
    };
    let received = one.batch.received;
    if body.may_hold_events() {
        gaps::open(session, one.source, gaps::QUARANTINED, received, received).await?;
    }
    quarantine::keep(session, one.source, received, body).await
}

/// Another operator may have been first.
const REPORTED: &str =
    "INSERT INTO reported (source, category, first) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// In one order, so that two operators do not wait for each other.
pub(super) const LOCK_SOURCES: &str = "SELECT id FROM sources WHERE id = ANY ($1) ORDER BY id FOR UPDATE";

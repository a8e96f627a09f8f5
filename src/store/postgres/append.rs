//! What deliveries change, many in one transaction: raw events, what their sources are known
//! to have done, gaps, and the stretches of time that the linker has to look at.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::try_join;
use tokio::sync::Mutex;

use super::{
    changes,
    failure::Failure,
    gaps,
    ids::{self, Ids},
    instances::{self, Processes},
    quarantine,
    raw::{self, Columns},
    session::{Parameters, Session},
    values::{get, id_bytes, nanoseconds},
};
use crate::{
    event::{StoredEvent, TimeSource},
    store::{Appended, batch::Batch},
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
struct Resolved<'a> {
    batch: &'a Batch,
    registry: i64,
    source: i64,
    /// One for each event.
    repositories: Vec<i64>,
    /// The source delivers for the first time.
    is_first: bool,
}

/// The key of a raw event: (repository, time, id).
type Key = (i64, i64, Vec<u8>);

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
    let insert = session.statement(raw::INSERT).await?;
    let named = session.statement(instances::NAMED).await?;
    let lock = session.statement(LOCK_SOURCES).await?;
    let count = session.statement(COUNT).await?;
    let seen = session.statement(instances::SEEN).await?;

    let (mut resolved, all_known) = resolve(session, ids, batches).await?;
    let is_unusual = !all_known || resolved.iter().any(Resolved::is_timed_by_receipt);
    let mut received = HashSet::new();
    if is_unusual {
        session.batch_execute("BEGIN").await?;
        make_sources(session, &mut resolved).await?;
        received = insert_received(session, &resolved).await?;
    }

    let columns = columns(&resolved, &received);
    let processes = Processes::of(resolved.iter().map(|one| (one.source, one.batch)));
    let begin = async {
        if is_unusual {
            Ok(())
        } else {
            session.batch_execute("BEGIN").await
        }
    };
    let ((), known, new) = try_join!(
        begin,
        processes.known(session, &named),
        columns.insert(session, &insert, mark)
    )?;
    let mut is_new: HashSet<Key> = HashSet::with_capacity(new.len());
    for row in &new {
        is_new.insert((get(row, 0)?, get(row, 1)?, get(row, 2)?));
    }
    let unlinked = is_new.iter().map(|(repository, ..)| *repository).collect();
    let mut outcomes = outcomes(&resolved, is_new);
    let counts = Counts::of(&resolved, &outcomes);

    let news = processes.news(&known)?;
    let changes_coverage = |one: &Resolved<'_>| {
        one.is_first || one.batch.quarantined.is_some() || one.batch.refused_since.is_some()
    };
    if !news.is_empty() || resolved.iter().any(changes_coverage) {
        session.run(&lock, &[&counts.source]).await?;
        for (one, outcome) in resolved.iter().zip(&mut outcomes) {
            outcome.coverage_changed = changes_coverage(one);
            quarantine(session, one).await?;
            if let Some(since) = one.batch.refused_since {
                gaps::open(session, one.source, gaps::REFUSED, since, one.batch.received).await?;
            }
        }
        for delivery in instances::arrive(session, &processes, &news).await? {
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
    let sources: Parameters<'_> = &[&counts.source];
    try_join!(
        session.run(&lock, sources),
        counts.save(session, &count),
        processes.save(session, &seen),
        session.batch_execute("COMMIT")
    )?;
    if !all_known {
        let mut ids = ids.lock().await;
        for one in &resolved {
            ids.remember_source(one.registry, &one.batch.source, one.source);
        }
    }
    Ok(Committed { outcomes, unlinked })
}

impl Resolved<'_> {
    fn is_timed_by_receipt(&self) -> bool {
        self.batch.events.iter().any(is_timed_by_receipt)
    }

    fn events(&self) -> impl Iterator<Item = (i64, &StoredEvent)> {
        self.repositories.iter().copied().zip(&self.batch.events)
    }
}

fn is_timed_by_receipt(stored: &StoredEvent) -> bool {
    stored.time_source == TimeSource::Received
}

fn key(repository: i64, stored: &StoredEvent) -> Key {
    (repository, nanoseconds(stored.time), id_bytes(&stored.event.id))
}

/// The numbers of what deliveries name; whether all of their sources are known. One that is
/// not has the number 0.
async fn resolve<'a>(
    session: &Session,
    ids: &Mutex<Ids>,
    batches: &[&'a Batch],
) -> Result<(Vec<Resolved<'a>>, bool), Failure> {
    let mut ids = ids.lock().await;
    ids.learn(session, batches).await?;
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
    resolved: &[Resolved<'_>],
) -> Result<HashSet<(i64, Vec<u8>)>, Failure> {
    let mut events: Vec<_> = resolved
        .iter()
        .flat_map(Resolved::events)
        .filter(|(_, stored)| is_timed_by_receipt(stored))
        .map(|(repository, stored)| {
            let stated = stored.event.time.map(nanoseconds);
            (
                repository,
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

/// Each event once, in the order of their keys: two transactions that write the same ones
/// then wait for each other in one direction only.
fn columns<'a>(resolved: &'a [Resolved<'_>], received: &HashSet<(i64, Vec<u8>)>) -> Columns<'a> {
    let mut events: BTreeMap<Key, (i64, &StoredEvent)> = BTreeMap::new();
    let mut taken = HashSet::new();
    for one in resolved {
        for (repository, stored) in one.events() {
            if is_timed_by_receipt(stored) {
                let id = (repository, id_bytes(&stored.event.id));
                if !received.contains(&id) || !taken.insert(id) {
                    continue;
                }
            }
            events
                .entry(key(repository, stored))
                .or_insert((one.source, stored));
        }
    }
    let mut columns = Columns::default();
    for ((repository, _, _), (source, stored)) in events {
        columns.push(repository, source, stored);
    }
    columns
}

/// What became of each delivery: an event is new to the first one that brings it.
fn outcomes(resolved: &[Resolved<'_>], mut is_new: HashSet<Key>) -> Vec<Outcome> {
    resolved
        .iter()
        .map(|one| {
            let mut appended = Appended::default();
            for (repository, stored) in one.events() {
                if !is_new.remove(&key(repository, stored)) {
                    appended.duplicates += 1;
                    continue;
                }
                appended.stored += 1;
                let path = &stored.event.repository;
                if !appended.repositories.contains(path) {
                    appended.repositories.push(path.clone());
                }
            }
            Outcome {
                appended,
                coverage_changed: false,
            }
        })
        .collect()
}

/// Keeps a body that could not be read, if there was one.
async fn quarantine(session: &Session, one: &Resolved<'_>) -> Result<(), Failure> {
    let Some(body) = &one.batch.quarantined else {
        return Ok(());
    };
    let received = one.batch.received;
    gaps::open(session, one.source, gaps::QUARANTINED, received, received).await?;
    quarantine::keep(session, one.source, received, body).await
}

/// What sources did, column by column.
#[derive(Debug, Default)]
struct Counts {
    source: Vec<i64>,
    last_delivery: Vec<i64>,
    last_event: Vec<Option<i64>>,
    stored: Vec<i64>,
    duplicates: Vec<i64>,
    ignored: Vec<i64>,
    quarantined: Vec<i64>,
}

#[derive(Default)]
struct Count {
    last_delivery: i64,
    last_event: Option<i64>,
    stored: i64,
    duplicates: i64,
    ignored: i64,
    quarantined: i64,
}

impl Counts {
    fn of(resolved: &[Resolved<'_>], outcomes: &[Outcome]) -> Self {
        let mut sums: BTreeMap<i64, Count> = BTreeMap::new();
        for (one, Outcome { appended, .. }) in resolved.iter().zip(outcomes) {
            let batch = one.batch;
            let sum = sums.entry(one.source).or_insert_with(|| Count {
                last_delivery: batch.received,
                ..Count::default()
            });
            sum.last_delivery = sum.last_delivery.max(batch.received);
            if appended.stored > 0 {
                let newest = batch.events.iter().map(|stored| nanoseconds(stored.time)).max();
                sum.last_event = sum.last_event.max(newest);
            }
            sum.stored += appended.stored;
            sum.duplicates += appended.duplicates;
            sum.ignored += batch.ignored;
            sum.quarantined += i64::from(batch.quarantined.is_some());
        }
        let mut counts = Self::default();
        for (source, count) in sums {
            counts.source.push(source);
            counts.last_delivery.push(count.last_delivery);
            counts.last_event.push(count.last_event);
            counts.stored.push(count.stored);
            counts.duplicates.push(count.duplicates);
            counts.ignored.push(count.ignored);
            counts.quarantined.push(count.quarantined);
        }
        counts
    }

    async fn save(&self, session: &Session, statement: &tokio_postgres::Statement) -> Result<(), Failure> {
        let Self {
            source,
            last_delivery,
            last_event,
            stored,
            duplicates,
            ignored,
            quarantined,
        } = self;
        session
            .run(
                statement,
                &[
                    source,
                    last_delivery,
                    last_event,
                    stored,
                    duplicates,
                    ignored,
                    quarantined,
                ],
            )
            .await?;
        Ok(())
    }
}

/// In one order, so that two operators do not wait for each other.
pub(super) const LOCK_SOURCES: &str = "SELECT id FROM sources WHERE id = ANY ($1) ORDER BY id FOR UPDATE";

/// Several operators may write: each adds.
const COUNT: &str = "UPDATE sources SET
         last_delivery = greatest(sources.last_delivery, d.last_delivery),
         last_event = greatest(sources.last_event, d.last_event),
         stored = sources.stored + d.stored,
         kept = sources.kept + d.stored,
         duplicates = sources.duplicates + d.duplicates,
         ignored = sources.ignored + d.ignored,
         quarantined = sources.quarantined + d.quarantined
     FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
         $7::bigint[])
         AS d (id, last_delivery, last_event, stored, duplicates, ignored, quarantined)
     WHERE sources.id = d.id";

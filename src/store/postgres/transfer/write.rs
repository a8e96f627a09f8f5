//! Takes records into the database while no operator writes there.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        OPEN_WITHIN, cursors,
        failure::Failure,
        gaps,
        ids::{self, Ids},
        linker::{Linker, Waiting},
        listening,
        partitions::Partitions,
        schema::{self, WRITERS_LOCK},
        sent::NumberedEvent,
        session::{Database, Role, Session, within},
        url::PostgresOptions,
        values::{Numbered, get, id_bytes, nanoseconds},
        writer::random_bytes,
    },
    events,
    facts::Facts,
    uses::{Spans, Uses},
};
use crate::store::{
    Cursor, RegistryKey, StoreError,
    transfer::{Record, TransferWriter, Written},
};

/// How often, and how many times, it looks whether those who write are gone: the server
/// notices the end of a connection a moment after it.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LOOKS: u32 = 25;
/// How long one transaction may take.
const WRITE_WITHIN: Duration = Duration::from_mins(2);

/// Numbers of sources that a step names, by registry and name.
type Sources<'a> = HashMap<(i64, &'a str), i64>;

/// Writes, and links what it writes: the database is ready for use after each step.
pub struct PostgresWriter {
    /// Holds the lock of those who write as long as it writes: no operator does meanwhile.
    session: Session,
    partitions: Partitions,
    ids: Ids,
    linker: Linker,
}

impl std::fmt::Debug for PostgresWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresWriter").finish_non_exhaustive()
    }
}

impl PostgresWriter {
    /// Makes the schema or brings it up to date, and links what an import that was
    /// interrupted left. Fails while an operator or another import is connected.
    pub async fn open(options: &PostgresOptions) -> Result<Self, StoreError> {
        let database = Arc::new(Database::new(options, Role::Command)?);
        let (session, is_by_time) = tokio::time::timeout(OPEN_WITHIN, prepare(&database))
            .await
            .map_err(|_| Failure::TimedOut.open())??;
        let linker = Linker {
            database,
            operator: i64::from_ne_bytes(random_bytes()),
            waiting: Arc::new(Waiting::default()),
            on_change: Arc::new(|_, _| {}),
            cancel: CancellationToken::new(),
        };
        let left = linker.unlinked().await.map_err(Failure::open)?;
        linker.link_whole(left).await.map_err(Failure::open)?;
        Ok(Self {
            session,
            partitions: Partitions::new(is_by_time),
            ids: Ids::default(),
            linker,
        })
    }

    /// In one transaction; the repositories of which something waits for the linker.
    async fn step(&mut self, records: &[Record]) -> Result<(Written, Vec<i64>), Failure> {
        self.prepare(records).await?;
        let session = &self.session;
        session.batch_execute("BEGIN").await?;
        let mut sources = Sources::default();
        let (mut facts, mut uses, mut spans) = (Facts::default(), Uses::default(), Spans::default());
        let mut events: Vec<NumberedEvent<'_>> = Vec::new();
        for record in records {
            match record {
                Record::Header { .. } | Record::End => {}
                Record::Registry { .. } => self.write_registry(record).await?,
                Record::Source { .. } => self.write_source(record).await?,
                Record::Instance { .. }
                | Record::Reported { .. }
                | Record::Gap { .. }
                | Record::Cursor { .. } => {
                    self.write_of_source(record, &mut sources).await?;
                }
                Record::Listened { since, until } => {
                    let id = i64::from_ne_bytes(random_bytes());
                    listening::put(session, id, nanoseconds(*since), nanoseconds(*until)).await?;
                }
                Record::Fact {
                    registry,
                    repository,
                    fact,
                } => facts.push(self.repository(registry, repository)?, fact),
                Record::Uses {
                    cluster,
                    as_of,
                    repository,
                    uses: told,
                } => uses.push(cluster, *as_of, repository, told)?,
                Record::Ran {
                    cluster,
                    repository,
                    span,
                } => spans.push(cluster, repository, span)?,
                Record::Event { registry, event } => {
                    let repository = self.repository(registry, &event.event.repository)?;
                    let source = self.source(&mut sources, registry, &event.source).await?;
                    events.push(NumberedEvent {
                        delivery: 0,
                        repository,
                        source,
                        stored: event,
                    });
                }
            }
        }
        facts.insert(session).await?;
        uses.insert(session).await?;
        spans.insert(session).await?;
        let done = events::insert(session, &events).await?;
        session.batch_execute("COMMIT").await?;
        for ((registry, name), source) in sources {
            self.ids.remember_source(registry, name, source);
        }
        Ok(done)
    }

    /// Outside of the transaction: partitions, and the numbers of what records name.
    async fn prepare(&mut self, records: &[Record]) -> Result<(), Failure> {
        let mut repositories: Vec<(&RegistryKey, &str)> = Vec::new();
        let mut times = Vec::new();
        for record in records {
            match record {
                Record::Registry {
                    retention: Some(retention),
                    ..
                } => self.partitions.reach_back(*retention),
                Record::Fact {
                    registry, repository, ..
                } => repositories.push((registry, repository)),
                Record::Event { registry, event } => {
                    repositories.push((registry, &event.event.repository));
                    times.push(nanoseconds(event.time));
                }
                _ => {}
            }
        }
        self.partitions.make(&self.session, times.into_iter()).await?;
        let registries: Vec<&RegistryKey> = records.iter().filter_map(Record::registry).collect();
        self.ids.learn(&self.session, &registries, &repositories).await
    }

    fn registry(&self, key: &RegistryKey) -> Result<i64, Failure> {
        let missing = Failure::Malformed("a registry that was just written");
        self.ids.registry(key).ok_or(missing)
    }

    fn repository(&self, key: &RegistryKey, path: &str) -> Result<i64, Failure> {
        let missing = Failure::Malformed("a repository that was just written");
        self.ids.repository(self.registry(key)?, path).ok_or(missing)
    }

    /// A file has the record of a source before those of what came through it.
    async fn source<'a>(
        &self,
        sources: &mut Sources<'a>,
        key: &RegistryKey,
        name: &'a str,
    ) -> Result<i64, Failure> {
        let registry = self.registry(key)?;
        if let Some(source) = sources.get(&(registry, name)).copied() {
            return Ok(source);
        }
        let source = match self.ids.source(registry, name) {
            Some(source) => source,
            None => ids::source(&self.session, registry, name)
                .await?
                .ok_or(Failure::Malformed("a source that was just written"))?,
        };
        sources.insert((registry, name), source);
        Ok(source)
    }

    /// What the operator told this store itself counts.
    async fn write_registry(&self, record: &Record) -> Result<(), Failure> {
        let Record::Registry {
            registry,
            retention,
            quota,
            released,
        } = record
        else {
            return Ok(());
        };
        self.session
            .execute(
                "UPDATE registries SET retention = $2, quota = $3, released = $4
                 WHERE id = $1 AND retention IS NULL AND quota IS NULL AND released IS NULL",
                &[
                    &self.registry(registry)?,
                    &retention.map(|retention| retention.as_secs()),
                    quota,
                    &released.map(nanoseconds),
                ],
            )
            .await?;
        Ok(())
    }

    /// Counts tell what a source delivered: of two tellings the larger.
    async fn write_source(&self, record: &Record) -> Result<(), Failure> {
        let Record::Source {
            registry,
            source,
            since,
            last_delivery,
            last_event,
            stored,
            duplicates,
            ignored,
            quarantined,
        } = record
        else {
            return Ok(());
        };
        self.session
            .execute(
                "INSERT INTO sources
                     (registry, name, since, last_delivery, last_event, stored, duplicates, ignored, quarantined)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                 ON CONFLICT (registry, name) DO UPDATE SET
                     since = least(sources.since, excluded.since),
                     last_delivery = greatest(sources.last_delivery, excluded.last_delivery),
                     last_event = greatest(sources.last_event, excluded.last_event),
                     stored = greatest(sources.stored, excluded.stored),
                     duplicates = greatest(sources.duplicates, excluded.duplicates),
                     ignored = greatest(sources.ignored, excluded.ignored),
                     quarantined = greatest(sources.quarantined, excluded.quarantined)",
                &[
                    &self.registry(registry)?,
                    source,
                    &nanoseconds(*since),
                    &nanoseconds(*last_delivery),
                    &last_event.map(nanoseconds),
                    stored,
                    duplicates,
                    ignored,
                    quarantined,
                ],
            )
            .await?;
        Ok(())
    }

    async fn write_of_source<'a>(
        &self,
        record: &'a Record,
        sources: &mut Sources<'a>,
    ) -> Result<(), Failure> {
        match record {
            Record::Instance {
                registry,
                source,
                id,
                first,
                last,
            } => {
                let source = self.source(sources, registry, source).await?;
                self.session
                    .execute(
                        "INSERT INTO instances (source, id, first, last) VALUES ($1, $2, $3, $4)
                         ON CONFLICT (source, id) DO UPDATE SET first = least(instances.first, excluded.first),
                             last = greatest(instances.last, excluded.last)",
                        &[&source, &id_bytes(id), &nanoseconds(*first), &nanoseconds(*last)],
                    )
                    .await?;
                Ok(())
            }
            Record::Reported {
                registry,
                source,
                category,
                first,
            } => {
                let source = self.source(sources, registry, source).await?;
                self.session
                    .execute(
                        "INSERT INTO reported (source, category, first) VALUES ($1, $2, $3)
                         ON CONFLICT (source, category) DO UPDATE SET
                             first = least(reported.first, excluded.first)",
                        &[&source, &category.number(), &nanoseconds(*first)],
                    )
                    .await?;
                Ok(())
            }
            Record::Gap {
                registry,
                source,
                reason,
                start,
                end,
            } => {
                let source = self.source(sources, registry, source).await?;
                gaps::put(
                    &self.session,
                    source,
                    reason,
                    nanoseconds(*start),
                    nanoseconds(*end),
                )
                .await
            }
            Record::Cursor {
                registry,
                source,
                log,
                since,
                until,
            } => {
                let source = self.source(sources, registry, source).await?;
                let (since, until) = (*since, *until);
                cursors::put(&self.session, source, log, Cursor { since, until }).await
            }
            _ => Ok(()),
        }
    }
}

impl TransferWriter for PostgresWriter {
    fn write(&mut self, records: Vec<Record>) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move {
            let (written, unlinked) = within(WRITE_WITHIN, Box::pin(self.step(&records)))
                .await
                .map_err(Failure::write)?;
            self.linker.link_whole(unlinked).await.map_err(Failure::write)?;
            Ok(written)
        })
    }
}

/// A session that alone may write, and whether raw events lie in partitions of time.
async fn prepare(database: &Database) -> Result<(Session, bool), StoreError> {
    let session = database.session().await.map_err(Failure::open)?;
    for look in 0..=LOOKS {
        let row = session
            .query_opt("SELECT pg_try_advisory_lock($1)", &[&WRITERS_LOCK])
            .await
            .map_err(Failure::open)?;
        let is_ours = row.map_or(Ok(false), |row| get(&row, 0)).map_err(Failure::open)?;
        if is_ours {
            break;
        }
        if look == LOOKS {
            return Err(StoreError::Open(
                "an operator or another import is connected to the database: only one may run".to_owned(),
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    schema::prepare(&session).await?;
    let is_by_time = schema::is_partitioned_by_time(&session)
        .await
        .map_err(Failure::open)?;
    Ok((session, is_by_time))
}

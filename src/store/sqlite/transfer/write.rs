//! Takes records into the file while no store runs on it.

use std::{collections::HashMap, path::Path, time::Instant};

use futures::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::super::{
    append, cursors, gaps,
    known::Known,
    listening,
    opened::Opened,
    pointers, relink,
    schema::{self, FileLock},
    touched::Touched,
    values::{Column, Id, MediaType, nanoseconds},
};
use crate::{
    event::StoredEvent,
    store::{
        Cursor, RegistryKey, StoreError, UsageSpan,
        transfer::{Fact, Record, TransferWriter, Written},
        usage::{self, SpanRow},
    },
};

/// Writes on the caller's thread, and links what it writes: the file is ready for use
/// after each step.
#[derive(Debug)]
pub struct SqliteWriter {
    connection: Connection,
    ids: Ids,
    /// Held as long as it writes: no operator does meanwhile.
    _lock: FileLock,
}

/// What records name, as the file has it. Forgotten after a rollback.
#[derive(Debug, Default)]
struct Ids {
    known: Known,
    sources: HashMap<(i64, String), i64>,
}

impl SqliteWriter {
    /// Opens or makes the file, and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = schema::lock(path)?;
        Ok(Self {
            connection: schema::open_writer(path)?,
            ids: Ids::default(),
            _lock: lock,
        })
    }

    fn step(&mut self, records: &[Record]) -> rusqlite::Result<Written> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut written = Written::default();
        let mut touched = Touched::default();
        let mut opened = Opened::default();
        for record in records {
            write(&transaction, &mut self.ids, record, &mut touched, &mut written)?;
        }
        while let Some(repository) = touched.pop() {
            let left = relink::relink(&transaction, &mut opened, &repository, Instant::now())?;
            if !left.is_empty() {
                touched.put_back(&repository.with(left));
            }
        }
        transaction.commit()?;
        Ok(written)
    }
}

impl TransferWriter for SqliteWriter {
    fn write(&mut self, records: Vec<Record>) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move {
            self.step(&records).map_err(|error| {
                self.ids = Ids::default();
                StoreError::Write(error.to_string())
            })
        })
    }
}

fn write(
    connection: &Connection,
    ids: &mut Ids,
    record: &Record,
    touched: &mut Touched,
    written: &mut Written,
) -> rusqlite::Result<()> {
    match record {
        Record::Header { .. } | Record::End => Ok(()),
        Record::Registry { registry, .. } => {
            let registry = ids.registry(connection, registry)?;
            write_registry(connection, registry, record)
        }
        Record::Source { registry, .. } => {
            let registry = ids.registry(connection, registry)?;
            write_source(connection, registry, record)
        }
        Record::Instance {
            registry,
            source,
            id,
            first,
            last,
        } => {
            let source = ids.source(connection, registry, source)?;
            connection
                .prepare_cached(
                    "INSERT INTO instances (source, id, first, last) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET first = min(first, excluded.first),
                         last = max(last, excluded.last)",
                )?
                .execute(params![source, Id(id), Column(*first), Column(*last)])
                .map(drop)
        }
        Record::Reported {
            registry,
            source,
            category,
            first,
        } => {
            let source = ids.source(connection, registry, source)?;
            connection
                .prepare_cached(
                    "INSERT INTO reported (source, category, first) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET first = min(first, excluded.first)",
                )?
                .execute(params![source, Column(*category), Column(*first)])
                .map(drop)
        }
        Record::Gap {
            registry,
            source,
            reason,
            start,
            end,
        } => {
            let source = ids.source(connection, registry, source)?;
            gaps::put(connection, source, reason, nanoseconds(*start), nanoseconds(*end))
        }
        Record::Listened { since, until } => {
            listening::put(connection, nanoseconds(*since), nanoseconds(*until))
        }
        Record::Cursor {
            registry,
            source,
            log,
            since,
            until,
        } => {
            let source = ids.source(connection, registry, source)?;
            let (since, until) = (*since, *until);
            cursors::put(connection, source, log, Cursor { since, until })
        }
        Record::Fact {
            registry,
            repository,
            fact,
        } => {
            let repository = ids.repository(connection, registry, repository)?;
            write_fact(connection, repository, fact)
        }
        Record::Uses {
            cluster,
            as_of,
            repository,
            uses,
        } => {
            let uses = usage::encode(uses)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            write_uses(
                connection,
                cluster,
                nanoseconds(*as_of),
                &repository.to_string(),
                &uses,
            )
        }
        Record::Ran {
            cluster,
            repository,
            span,
        } => write_span(connection, cluster, &repository.to_string(), span),
        Record::Event { registry, event } => write_event(connection, ids, registry, event, touched, written),
    }
}

fn write_event(
    connection: &Connection,
    ids: &mut Ids,
    registry: &RegistryKey,
    stored: &StoredEvent,
    touched: &mut Touched,
    written: &mut Written,
) -> rusqlite::Result<()> {
    let source = ids.source(connection, registry, &stored.source)?;
    let known = ids.known.registry(connection, registry)?;
    if !append::take(connection, registry, known, source, touched, stored)? {
        written.duplicates += 1;
        return Ok(());
    }
    written.events += 1;
    connection
        .prepare_cached("UPDATE sources SET kept = kept + 1 WHERE id = ?1")?
        .execute([source])
        .map(drop)
}

/// What the operator told this store itself counts.
fn write_registry(connection: &Connection, id: i64, record: &Record) -> rusqlite::Result<()> {
    let Record::Registry {
        registry: _,
        retention,
        quota,
        released,
    } = record
    else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "UPDATE registries SET retention = ?2, quota = ?3, released = ?4
             WHERE id = ?1 AND retention IS NULL AND quota IS NULL AND released IS NULL",
        )?
        .execute(params![
            id,
            retention.map(|retention| retention.as_secs()),
            quota,
            released.map(Column)
        ])
        .map(drop)
}

/// Counts tell what a source delivered: of two tellings the larger.
fn write_source(connection: &Connection, registry: i64, record: &Record) -> rusqlite::Result<()> {
    let Record::Source {
        registry: _,
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
    connection
        .prepare_cached(
            "INSERT INTO sources
                 (registry, name, since, last_delivery, last_event, stored, duplicates, ignored, quarantined)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT DO UPDATE SET since = min(since, excluded.since),
                 last_delivery = max(last_delivery, excluded.last_delivery),
                 last_event = coalesce(max(last_event, excluded.last_event), last_event, excluded.last_event),
                 stored = max(stored, excluded.stored),
                 duplicates = max(duplicates, excluded.duplicates),
                 ignored = max(ignored, excluded.ignored),
                 quarantined = max(quarantined, excluded.quarantined)",
        )?
        .execute(params![
            registry,
            source,
            Column(*since),
            Column(*last_delivery),
            last_event.map(Column),
            stored,
            duplicates,
            ignored,
            quarantined
        ])
        .map(drop)
}

fn write_fact(connection: &Connection, repository: i64, fact: &Fact) -> rusqlite::Result<()> {
    match fact {
        Fact::Points { tag, time, digest } => {
            pointers::keep(connection, repository, tag, nanoseconds(*time), digest).map(drop)
        }
        Fact::Ended { time, tag, digest } => pointers::end(
            connection,
            repository,
            nanoseconds(*time),
            tag.as_deref(),
            digest.as_ref(),
        )
        .map(drop),
        Fact::Manifest {
            digest,
            media_type,
            learnt,
        } => connection
            .prepare_cached(
                "INSERT INTO manifests (repository, digest, media_type, learnt) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET media_type = excluded.media_type
                     WHERE media_type IS NULL AND excluded.media_type IS NOT NULL",
            )?
            .execute(params![
                repository,
                Column(digest),
                media_type.as_deref().map(MediaType),
                Column(*learnt)
            ])
            .map(drop),
        Fact::Times {
            tag,
            category,
            first,
            last,
        } => connection
            .prepare_cached(
                "INSERT INTO category_facts (repository, tag, category, first, last)
                 VALUES (?1, coalesce(?2, ''), ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)",
            )?
            .execute(params![
                repository,
                tag,
                Column(*category),
                Column(*first),
                Column(*last)
            ])
            .map(drop),
    }
}

/// Of a cluster that is known to be newer here, nothing is taken.
fn write_uses(
    connection: &Connection,
    cluster: &str,
    as_of: i64,
    repository: &str,
    uses: &str,
) -> rusqlite::Result<()> {
    let id: Option<i64> = connection
        .prepare_cached(
            "INSERT INTO usage_clusters (uid, as_of) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET as_of = excluded.as_of WHERE as_of <= excluded.as_of RETURNING id",
        )?
        .query_row(params![cluster, as_of], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(()) };
    connection
        .prepare_cached(
            "INSERT INTO last_uses (cluster, repository, uses) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET uses = excluded.uses WHERE uses <> excluded.uses",
        )?
        .execute(params![id, repository, uses])
        .map(drop)
}

/// One that is known here, with whatever end, stays as it is.
fn write_span(
    connection: &Connection,
    cluster: &str,
    repository: &str,
    span: &UsageSpan,
) -> rusqlite::Result<()> {
    let SpanRow { what, start, end } =
        usage::span_row(span).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection
        .prepare_cached("INSERT INTO usage_clusters (uid, as_of) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![cluster, Column(end.unwrap_or(start))])?;
    connection
        .prepare_cached(
            "INSERT INTO usage_spans (cluster, repository, what, start, end)
             SELECT id, ?2, ?3, ?4, ?5 FROM usage_clusters WHERE uid = ?1 ON CONFLICT DO NOTHING",
        )?
        .execute(params![cluster, repository, what, Column(start), end.map(Column)])
        .map(drop)
}

impl Ids {
    fn registry(&mut self, connection: &Connection, key: &RegistryKey) -> rusqlite::Result<i64> {
        Ok(self.known.registry(connection, key)?.id)
    }

    fn repository(
        &mut self,
        connection: &Connection,
        key: &RegistryKey,
        path: &str,
    ) -> rusqlite::Result<i64> {
        let (repository, _) = self
            .known
            .registry(connection, key)?
            .repository(connection, path)?;
        Ok(repository.id)
    }

    /// A file has the record of a source before its events.
    fn source(&mut self, connection: &Connection, key: &RegistryKey, name: &str) -> rusqlite::Result<i64> {
        let registry = self.registry(connection, key)?;
        let named = (registry, name.to_owned());
        if let Some(id) = self.sources.get(&named) {
            return Ok(*id);
        }
        let id = connection
            .prepare_cached("SELECT id FROM sources WHERE registry = ?1 AND name = ?2")?
            .query_row(params![registry, name], |row| row.get(0))?;
        self.sources.insert(named, id);
        Ok(id)
    }
}

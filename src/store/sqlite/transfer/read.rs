//! Gives the file's content as records, from one snapshot, on a thread of its own.

use std::{collections::HashMap, path::Path, sync::mpsc};

use futures::{executor::block_on, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, params, types::Type};

use super::super::{
    rows::{self, raw_columns},
    schema,
    usage::span_row,
    values::{Column, Id, IdText, MediaTypeText, nanoseconds},
};
use crate::store::{
    RegistryKey, StoreError,
    transfer::{EventKey, Events, Fact, Parts, Reading, Record, Scope, Stop, TransferReader, VERSION, parts},
    usage,
};

/// Reads a file that a running store may be writing.
#[derive(Debug)]
pub struct SqliteReader(Reading);

impl SqliteReader {
    /// Fails where the file has not the schema that this version knows. From then on all
    /// is as it is now, whatever is written meanwhile.
    pub fn open(path: &Path, scope: Scope) -> Result<Self, StoreError> {
        let connection = schema::open_current(path)?;
        let (mut parts, reading) = parts(|error: rusqlite::Error| StoreError::Read(error.to_string()));
        let (began, begins) = mpsc::channel();
        std::thread::Builder::new()
            .name("store-reader".to_owned())
            .spawn(move || {
                let done = read(&connection, &scope, &began, &mut parts);
                block_on(parts.end(done));
            })
            .map_err(|error| StoreError::Open(error.to_string()))?;
        // Gone without a word where it failed: then the first part says why.
        let _ = begins.recv();
        Ok(Self(reading))
    }
}

impl TransferReader for SqliteReader {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Record>, StoreError>> {
        Box::pin(self.0.next())
    }
}

type Output = Parts<rusqlite::Error>;
type Outcome<T = ()> = Result<T, Stop<rusqlite::Error>>;

fn push(parts: &mut Output, record: Record) -> Outcome {
    block_on(parts.push(record))
}

struct Registry {
    id: i64,
    key: RegistryKey,
}

fn read(connection: &Connection, scope: &Scope, began: &mpsc::Sender<()>, parts: &mut Output) -> Outcome {
    let snapshot = connection.unchecked_transaction()?;
    // The first read fixes what is seen.
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let _ = began.send(());
    push(parts, Record::Header { version: VERSION })?;
    let registries = registries(&snapshot, scope, parts)?;
    for registry in &registries {
        sources(&snapshot, registry, parts)?;
    }
    if !registries.is_empty() {
        listened(&snapshot, parts)?;
    }
    for registry in &registries {
        each_repository(&snapshot, registry, "", |repository, path| {
            facts(&snapshot, registry, repository, path, parts)
        })?;
    }
    if scope.takes_uses() {
        uses(&snapshot, parts)?;
        spans(&snapshot, parts)?;
    }
    events(&snapshot, &registries, scope, parts)?;
    push(parts, Record::End)
}

/// By namespace, name and uid, as all that follows.
fn registries(connection: &Connection, scope: &Scope, parts: &mut Output) -> Outcome<Vec<Registry>> {
    let mut found = Vec::new();
    let mut statement = connection.prepare(
        "SELECT id, namespace, name, uid, retention, quota, released FROM registries
         ORDER BY namespace, name, uid",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let key = RegistryKey {
            namespace: row.get(1)?,
            name: row.get(2)?,
            uid: row.get(3)?,
        };
        if !scope.takes(&key) {
            continue;
        }
        push(
            parts,
            Record::Registry {
                registry: key.clone(),
                retention: row.get::<_, Option<i64>>(4)?.map(SignedDuration::from_secs),
                quota: row.get(5)?,
                released: optional(row, 6)?,
            },
        )?;
        found.push(Registry { id: row.get(0)?, key });
    }
    Ok(found)
}

fn sources(connection: &Connection, registry: &Registry, parts: &mut Output) -> Outcome {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, since, last_delivery, last_event, stored, duplicates, ignored, quarantined
         FROM sources WHERE registry = ?1 ORDER BY name",
    )?;
    let mut rows = statement.query([registry.id])?;
    while let Some(row) = rows.next()? {
        let (id, source): (i64, String) = (row.get(0)?, row.get(1)?);
        push(
            parts,
            Record::Source {
                registry: registry.key.clone(),
                source: source.clone(),
                since: time(row, 2)?,
                last_delivery: time(row, 3)?,
                last_event: optional(row, 4)?,
                stored: row.get(5)?,
                duplicates: row.get(6)?,
                ignored: row.get(7)?,
                quarantined: row.get(8)?,
            },
        )?;
        let mut statement = connection
            .prepare_cached("SELECT id, first, last FROM instances WHERE source = ?1 ORDER BY id")?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            push(
                parts,
                Record::Instance {
                    registry: registry.key.clone(),
                    source: source.clone(),
                    id: row.get::<_, IdText>(0)?.0,
                    first: time(row, 1)?,
                    last: time(row, 2)?,
                },
            )?;
        }
        let mut statement = connection
            .prepare_cached("SELECT category, first FROM reported WHERE source = ?1 ORDER BY category")?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            push(
                parts,
                Record::Reported {
                    registry: registry.key.clone(),
                    source: source.clone(),
                    category: row.get::<_, Column<_>>(0)?.0,
                    first: time(row, 1)?,
                },
            )?;
        }
        let mut statement = connection.prepare_cached(
            "SELECT reason, start, end FROM gaps WHERE source = ?1 ORDER BY start, end, reason",
        )?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            push(
                parts,
                Record::Gap {
                    registry: registry.key.clone(),
                    source: source.clone(),
                    reason: row.get(0)?,
                    start: time(row, 1)?,
                    end: time(row, 2)?,
                },
            )?;
        }
        let mut statement = connection
            .prepare_cached("SELECT log, since, until FROM cursors WHERE source = ?1 ORDER BY log")?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            push(
                parts,
                Record::Cursor {
                    registry: registry.key.clone(),
                    source: source.clone(),
                    log: row.get(0)?,
                    since: time(row, 1)?,
                    until: time(row, 2)?,
                },
            )?;
        }
    }
    Ok(())
}

fn listened(connection: &Connection, parts: &mut Output) -> Outcome {
    let mut statement = connection.prepare("SELECT since, until FROM listening ORDER BY since, until")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        push(
            parts,
            Record::Listened {
                since: time(row, 0)?,
                until: time(row, 1)?,
            },
        )?;
    }
    Ok(())
}

/// By path, those after `after`.
fn each_repository(
    connection: &Connection,
    registry: &Registry,
    after: &str,
    mut each: impl FnMut(i64, &str) -> Outcome,
) -> Outcome {
    let mut statement = connection.prepare_cached(
        "SELECT id, path FROM repositories WHERE registry = ?1 AND path > ?2 ORDER BY path",
    )?;
    let mut rows = statement.query(params![registry.id, after])?;
    while let Some(row) = rows.next()? {
        let path: String = row.get(1)?;
        each(row.get(0)?, &path)?;
    }
    Ok(())
}

type ReadFact = fn(&Row<'_>) -> rusqlite::Result<Fact>;

/// Each read in the order of its key.
const FACTS: [(&str, ReadFact); 4] = [
    (
        "SELECT tag, time, digest FROM tag_facts WHERE repository = ?1 ORDER BY tag, time, digest",
        |row| {
            Ok(Fact::Points {
                tag: row.get(0)?,
                time: time(row, 1)?,
                digest: row.get::<_, Column<_>>(2)?.0,
            })
        },
    ),
    (
        "SELECT time, nullif(tag, ''), nullif(digest, x'') FROM tag_ends WHERE repository = ?1 ORDER BY tag, digest, time",
        |row| {
            Ok(Fact::Ended {
                time: time(row, 0)?,
                tag: row.get(1)?,
                digest: row.get::<_, Option<Column<_>>>(2)?.map(|Column(digest)| digest),
            })
        },
    ),
    (
        "SELECT digest, media_type, learnt FROM manifests WHERE repository = ?1 ORDER BY digest",
        |row| {
            Ok(Fact::Manifest {
                digest: row.get::<_, Column<_>>(0)?.0,
                media_type: row
                    .get::<_, Option<MediaTypeText>>(1)?
                    .map(|MediaTypeText(text)| text),
                learnt: time(row, 2)?,
            })
        },
    ),
    (
        "SELECT nullif(tag, ''), category, first, last FROM category_facts WHERE repository = ?1 ORDER BY tag, category",
        |row| {
            Ok(Fact::Times {
                tag: row.get(0)?,
                category: row.get::<_, Column<_>>(1)?.0,
                first: time(row, 2)?,
                last: time(row, 3)?,
            })
        },
    ),
];

fn facts(
    connection: &Connection,
    registry: &Registry,
    repository: i64,
    path: &str,
    parts: &mut Output,
) -> Outcome {
    for (sql, fact) in FACTS {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([repository])?;
        while let Some(row) = rows.next()? {
            push(
                parts,
                Record::Fact {
                    registry: registry.key.clone(),
                    repository: path.to_owned(),
                    fact: fact(row)?,
                },
            )?;
        }
    }
    Ok(())
}

fn uses(connection: &Connection, parts: &mut Output) -> Outcome {
    let mut statement = connection.prepare(
        "SELECT c.uid, c.as_of, u.repository, u.uses
         FROM usage_clusters c JOIN last_uses u ON u.cluster = c.id ORDER BY c.uid, u.repository",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (repository, uses): (String, String) = (row.get(2)?, row.get(3)?);
        // A name that this version cannot read says nothing to it.
        let Ok(repository) = repository.parse() else {
            continue;
        };
        push(
            parts,
            Record::Uses {
                cluster: row.get(0)?,
                as_of: time(row, 1)?,
                repository,
                uses: usage::decode(&uses).map_err(|error| {
                    rusqlite::Error::FromSqlConversionFailure(3, Type::Text, Box::new(error))
                })?,
            },
        )?;
    }
    Ok(())
}

fn spans(connection: &Connection, parts: &mut Output) -> Outcome {
    let mut statement = connection.prepare(
        "SELECT s.what, s.start, s.end, c.uid, s.repository
         FROM usage_clusters c JOIN usage_spans s ON s.cluster = c.id
         ORDER BY c.uid, s.repository, s.what, s.start",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let repository: String = row.get(4)?;
        let (Ok(repository), Some(span)) = (repository.parse(), usage::span(span_row(row)?)) else {
            continue;
        };
        push(
            parts,
            Record::Ran {
                cluster: row.get(3)?,
                repository,
                span,
            },
        )?;
    }
    Ok(())
}

/// By registry, repository, time and id.
fn events(connection: &Connection, registries: &[Registry], scope: &Scope, parts: &mut Output) -> Outcome {
    let since = scope.since.map_or(i64::MIN, nanoseconds);
    for registry in registries {
        let after = match scope.events_of(&registry.key) {
            Events::Nothing => continue,
            Events::After(after) => Some(after),
            Events::All => None,
        };
        let sources = source_names(connection, registry)?;
        let mut of_repository = |repository: i64, path: &str, from: (i64, &str)| -> Outcome {
            let mut statement = connection.prepare_cached(EVENTS)?;
            let mut rows = statement.query(params![repository, from.0, Id(from.1), since])?;
            while let Some(row) = rows.next()? {
                let source = sources.get(&row.get(0)?).map_or("", String::as_str);
                push(
                    parts,
                    Record::Event {
                        registry: registry.key.clone(),
                        event: Box::new(rows::raw(row, path, source)?),
                    },
                )?;
            }
            Ok(())
        };
        let mut begin = "";
        if let Some(EventKey {
            repository, time, id, ..
        }) = after
        {
            begin = repository;
            if let Some(found) = super::super::known::repository_id(connection, registry.id, repository)? {
                of_repository(found, repository, (nanoseconds(*time), id))?;
            }
        }
        each_repository(connection, registry, begin, |repository, path| {
            of_repository(repository, path, (since, ""))
        })?;
    }
    Ok(())
}

/// After a time and an id, or from a time on: no id is empty.
pub(in super::super) const EVENTS: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e WHERE e.repository = ?1 AND (e.time, e.id) > (?2, ?3) AND e.time >= ?4
      ORDER BY e.time, e.id"
);

fn source_names(connection: &Connection, registry: &Registry) -> rusqlite::Result<HashMap<i64, String>> {
    connection
        .prepare_cached("SELECT id, name FROM sources WHERE registry = ?1")?
        .query_map([registry.id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(|Column(time)| time)
}

fn optional(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<Column<_>>>(column)?.map(|Column(time)| time))
}

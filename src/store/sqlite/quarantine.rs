//! Bodies that could not be read: a ring, so that a source that sends nothing else
//! cannot fill the disk.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};

use super::{gaps, schema, values::Column};
use crate::store::{BodyAside, CONFIRMATION_ASKED, Quarantined, QuarantinedBody, RegistryKey, StoreError};

const MOST_ENTRIES: i64 = 1_000;
const MOST_BYTES: i64 = 16 * 1024 * 1024;
/// Bodies given at a time.
const PART: i64 = 16;

/// A body with its source and registry, in the order `listed` reads.
macro_rules! listed {
    () => {
        "SELECT q.id, g.namespace, g.name, g.uid, s.name, q.received, q.reason, length(q.body), q.format, q.headers, q.body
         FROM quarantine q JOIN sources s ON s.id = q.source JOIN registries g ON g.id = s.registry"
    };
}

/// How much the ring holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quarantine {
    entries: i64,
    bytes: i64,
}

impl Quarantine {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        connection.query_row(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM quarantine",
            [],
            |row| {
                Ok(Self {
                    entries: row.get(0)?,
                    bytes: row.get(1)?,
                })
            },
        )
    }

    /// Keeps a body; the oldest of any source leave where there is no room.
    pub(super) fn keep(
        &mut self,
        connection: &Connection,
        source: i64,
        received: i64,
        quarantined: &Quarantined,
    ) -> rusqlite::Result<()> {
        let headers = serde_json::to_string(&quarantined.headers)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        let size = i64::try_from(quarantined.body.len()).unwrap_or(i64::MAX);
        while self.entries > 0
            && (self.entries >= MOST_ENTRIES || self.bytes.saturating_add(size) > MOST_BYTES)
        {
            if !self.drop_oldest(connection)? {
                break;
            }
        }
        connection
            .prepare_cached(
                "INSERT INTO quarantine (source, received, reason, format, headers, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                source,
                received,
                quarantined.reason,
                quarantined.format,
                headers,
                quarantined.body
            ])?;
        self.entries += 1;
        self.bytes += size;
        Ok(())
    }

    /// Whether there was one. What it may have said is lost for good.
    fn drop_oldest(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        let oldest: Option<(i64, i64, i64, String)> = connection
            .prepare_cached("SELECT id, source, received, reason FROM quarantine ORDER BY id LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .optional()?;
        let Some((id, source, received, reason)) = oldest else {
            return Ok(false);
        };
        if reason != CONFIRMATION_ASKED {
            gaps::open(connection, source, gaps::QUARANTINE_FULL, received, received)?;
        }
        self.take_out(connection, source, id)?;
        Ok(true)
    }

    /// Takes a body of a source out, if it is there.
    pub(super) fn take_out(&mut self, connection: &Connection, source: i64, id: i64) -> rusqlite::Result<()> {
        let length: Option<i64> = connection
            .prepare_cached("DELETE FROM quarantine WHERE id = ?1 AND source = ?2 RETURNING length(body)")?
            .query_row([id, source], |row| row.get(0))
            .optional()?;
        if let Some(length) = length {
            self.entries -= 1;
            self.bytes -= length;
        }
        Ok(())
    }
}

/// The newest bodies of the ring in the file at `path`, newest first. A store may be
/// running on it.
pub fn quarantined(path: &Path, limit: u32) -> Result<Vec<QuarantinedBody>, StoreError> {
    let connection = schema::open_current(path)?;
    let read = || {
        let mut statement = connection.prepare(concat!(listed!(), " ORDER BY q.id DESC LIMIT ?1"))?;
        statement
            .query_map([limit], listed)?
            .collect::<rusqlite::Result<_>>()
    };
    read().map_err(|error: rusqlite::Error| StoreError::Read(error.to_string()))
}

/// One body of the ring.
pub fn quarantined_body(path: &Path, id: i64) -> Result<Option<BodyAside>, StoreError> {
    let connection = schema::open_current(path)?;
    connection
        .query_row(concat!(listed!(), " WHERE q.id = ?1"), [id], aside)
        .optional()
        .map_err(|error| StoreError::Read(error.to_string()))
}

/// The next bodies that may hold events, by their numbers.
pub(super) fn next(connection: &Connection, after: i64) -> rusqlite::Result<Vec<BodyAside>> {
    connection
        .prepare_cached(concat!(
            listed!(),
            " WHERE q.id > ?1 AND q.reason <> ?2 ORDER BY q.id LIMIT ?3"
        ))?
        .query_map(params![after, CONFIRMATION_ASKED, PART], aside)?
        .collect()
}

fn aside(row: &Row<'_>) -> rusqlite::Result<BodyAside> {
    let headers: Option<String> = row.get(9)?;
    let headers: BTreeMap<String, String> = serde_json::from_str(headers.as_deref().unwrap_or("{}"))
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(9, Type::Text, Box::new(error)))?;
    Ok(BodyAside {
        of: listed(row)?,
        format: row.get(8)?,
        headers,
        body: row.get(10)?,
    })
}

fn listed(row: &Row<'_>) -> rusqlite::Result<QuarantinedBody> {
    Ok(QuarantinedBody {
        id: row.get(0)?,
        registry: RegistryKey {
            namespace: row.get(1)?,
            name: row.get(2)?,
            uid: row.get(3)?,
        },
        source: row.get(4)?,
        received: row.get::<_, Column<_>>(5)?.0,
        reason: row.get(6)?,
        bytes: row.get(7)?,
    })
}

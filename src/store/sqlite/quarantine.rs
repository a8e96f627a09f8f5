//! Bodies that could not be read: a ring, so that a source that sends nothing else
//! cannot fill the disk.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{schema, values::Column};
use crate::store::{Quarantined, RegistryKey, StoreError};

const MOST_ENTRIES: i64 = 1_000;
const MOST_BYTES: i64 = 16 * 1024 * 1024;

/// A body with its source and registry, in the order `listed` reads.
macro_rules! listed {
    () => {
        "SELECT q.id, g.namespace, g.name, g.uid, s.name, q.received, q.reason, length(q.body), q.body
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
        let size = i64::try_from(quarantined.body.len()).unwrap_or(i64::MAX);
        while self.entries > 0
            && (self.entries >= MOST_ENTRIES || self.bytes.saturating_add(size) > MOST_BYTES)
        {
            let oldest: Option<(i64, i64)> = connection
                .prepare_cached("SELECT id, length(body) FROM quarantine ORDER BY id LIMIT 1")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((id, length)) = oldest else { break };
            connection
                .prepare_cached("DELETE FROM quarantine WHERE id = ?1")?
                .execute([id])?;
            self.entries -= 1;
            self.bytes -= length;
        }
        connection
            .prepare_cached(
                "INSERT INTO quarantine (source, received, reason, body) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![source, received, quarantined.reason, quarantined.body])?;
        self.entries += 1;
        self.bytes += size;
        Ok(())
    }
}

/// A body in the ring, without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedBody {
    pub id: i64,
    pub registry: RegistryKey,
    pub source: String,
    pub received: Timestamp,
    /// Why it could not be read.
    pub reason: String,
    pub bytes: i64,
}

/// The same with what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyAside {
    pub of: QuarantinedBody,
    pub body: Vec<u8>,
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
        .query_row(concat!(listed!(), " WHERE q.id = ?1"), [id], |row| {
            Ok(BodyAside {
                of: listed(row)?,
                body: row.get(8)?,
            })
        })
        .optional()
        .map_err(|error| StoreError::Read(error.to_string()))
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

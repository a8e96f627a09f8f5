//! Bodies that could not be read: a ring, so that a source that sends nothing else
//! cannot fill the disk.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::Quarantined;

const MOST_ENTRIES: i64 = 1_000;
const MOST_BYTES: i64 = 16 * 1024 * 1024;

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

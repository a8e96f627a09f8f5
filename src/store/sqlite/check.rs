//! Whether a file is whole, and what it holds. A store may be running on it.

use std::path::Path;

use rusqlite::Connection;

use super::schema::{self, Version};
use crate::store::StoreError;

/// Most damages told.
const MOST_DAMAGES: usize = 20;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    pub schema: i64,
    /// The newest schema that this version knows.
    pub known: i64,
    /// What is damaged, in words, 20 at most; empty where the file is whole.
    pub damages: Vec<String>,
    /// What it holds, by its name. Nothing where the schema is not the one known.
    pub counts: Vec<(&'static str, i64)>,
}

const COUNTS: [(&str, &str); 6] = [
    ("registries", "SELECT count(*) FROM registries"),
    ("repositories", "SELECT count(*) FROM repositories"),
    ("raw events", "SELECT count(*) FROM raw_events"),
    ("logical events", "SELECT count(*) FROM logical_events"),
    ("gaps", "SELECT count(*) FROM gaps"),
    ("bodies in quarantine", "SELECT count(*) FROM quarantine"),
];

/// Reads the whole file. An error says that it cannot be read at all.
pub fn check(path: &Path) -> Result<Findings, StoreError> {
    let (connection, Version { found, known }) = schema::open_existing(path)?;
    let failed = |error: rusqlite::Error| StoreError::Read(error.to_string());
    let snapshot = connection.unchecked_transaction().map_err(failed)?;
    let mut findings = Findings {
        schema: found,
        known,
        damages: damages(&snapshot).unwrap_or_else(|error| vec![error.to_string()]),
        counts: Vec::new(),
    };
    if found == known && findings.damages.is_empty() {
        findings.counts = counts(&snapshot).map_err(failed)?;
        findings.damages = miscounted(&snapshot).map_err(failed)?;
    }
    Ok(findings)
}

fn damages(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut damages: Vec<String> = connection
        .prepare(&format!("PRAGMA integrity_check({MOST_DAMAGES})"))?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    damages.retain(|damage| damage != "ok");
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if damages.len() >= MOST_DAMAGES {
            break;
        }
        let (table, missing): (String, String) = (row.get(0)?, row.get(2)?);
        damages.push(format!("a row of {table} belongs to none of {missing}"));
    }
    Ok(damages)
}

fn counts(connection: &Connection) -> rusqlite::Result<Vec<(&'static str, i64)>> {
    COUNTS
        .iter()
        .map(|(name, sql)| Ok((*name, connection.query_row(sql, [], |row| row.get(0))?)))
        .collect()
}

/// Quotas rest on counts that are carried along: they have to be right.
fn miscounted(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare(
            "SELECT s.name, s.kept, coalesce(c.events, 0)
             FROM sources s LEFT JOIN
                 (SELECT source, count(*) AS events FROM raw_events GROUP BY source) c ON c.source = s.id
             WHERE s.kept <> coalesce(c.events, 0)",
        )?
        .query_map([], |row| {
            let (source, kept, events): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(format!("source {source} counts {kept} events and has {events}"))
        })?
        .take(MOST_DAMAGES)
        .collect()
}

//! What waits for the linker: the writer's memory of the table `unlinked`, which outlives
//! a crash.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::store::{RegistryKey, order::Order, spans::Spans};

#[derive(Debug, Default)]
pub(super) struct Touched {
    repositories: HashMap<i64, TouchedRepository>,
    order: Order,
}

/// Stretches of one repository to link again.
#[derive(Debug)]
pub(super) struct TouchedRepository {
    pub(super) id: i64,
    pub(super) registry: RegistryKey,
    pub(super) path: String,
    pub(super) spans: Spans,
}

impl Touched {
    /// What an earlier run left unlinked.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut touched = Self::default();
        let mut statement = connection.prepare(
            "SELECT r.id, g.namespace, g.name, g.uid, r.path, u.start, u.end
             FROM unlinked u
             JOIN repositories r ON r.id = u.repository
             JOIN registries g ON g.id = r.registry",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let registry = RegistryKey {
                namespace: row.get(1)?,
                name: row.get(2)?,
                uid: row.get(3)?,
            };
            let path: String = row.get(4)?;
            touched.add(row.get(0)?, &registry, &path, row.get(5)?, row.get(6)?);
        }
        Ok(touched)
    }

    pub(super) fn add(&mut self, id: i64, registry: &RegistryKey, path: &str, start: i64, end: i64) {
        self.repositories
            .entry(id)
            .or_insert_with(|| {
                self.order.add(id);
                TouchedRepository {
                    id,
                    registry: registry.clone(),
                    path: path.to_owned(),
                    spans: Spans::default(),
                }
            })
            .spans
            .add(start, end);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The one whose turn it is.
    pub(super) fn pop(&mut self) -> Option<TouchedRepository> {
        let id = self.order.take()?;
        self.repositories.remove(&id)
    }

    /// Takes what a committed transaction touched.
    pub(super) fn merge(&mut self, mut other: Self) {
        while let Some(repository) = other.pop() {
            self.put_back(&repository);
        }
    }

    /// Takes what was touched, or could not be linked.
    pub(super) fn put_back(&mut self, repository: &TouchedRepository) {
        let TouchedRepository {
            id,
            registry,
            path,
            spans,
        } = repository;
        for (start, end) in spans.iter() {
            self.add(*id, registry, path, start, end);
        }
    }

    /// Makes it outlive a crash, in the transaction of the raw events.
    pub(super) fn save(&self, connection: &Connection) -> rusqlite::Result<()> {
        for touched in self.repositories.values() {
            save(connection, touched.id, &touched.spans)?;
        }
        Ok(())
    }
}

impl TouchedRepository {
    /// The same repository with these stretches.
    pub(super) fn with(&self, spans: Spans) -> Self {
        Self {
            id: self.id,
            registry: self.registry.clone(),
            path: self.path.clone(),
            spans,
        }
    }

    /// All of it is linked but what is left, in the transaction of the logical events.
    pub(super) fn linked(&self, connection: &Connection, left: &Spans) -> rusqlite::Result<()> {
        let mut statement = connection
            .prepare_cached("DELETE FROM unlinked WHERE repository = ?1 AND start >= ?2 AND end <= ?3")?;
        for (start, end) in self.spans.iter() {
            statement.execute(params![self.id, start, end])?;
        }
        save(connection, self.id, left)
    }
}

fn save(connection: &Connection, repository: i64, spans: &Spans) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO unlinked (repository, start, end) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for (start, end) in spans.iter() {
        statement.execute(params![repository, start, end])?;
    }
    Ok(())
}

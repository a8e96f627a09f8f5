//! Ids of registries, sources and repositories, remembered by the writer.

use std::collections::{HashMap, hash_map::Entry};

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::RegistryKey;

/// Past this many repositories of one registry the memory starts afresh: a source may
/// invent names.
const REPOSITORIES: usize = 50_000;

/// What the writer has looked up or made. Forget it after a rollback: an id that was
/// made there is gone.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<RegistryKey, Registry>);

#[derive(Debug)]
pub(super) struct Registry {
    pub(super) id: i64,
    repositories: HashMap<String, i64>,
}

impl Known {
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// The registry's row, made where it is missing.
    pub(super) fn registry(
        &mut self,
        connection: &Connection,
        key: &RegistryKey,
    ) -> rusqlite::Result<&mut Registry> {
        match self.0.entry(key.clone()) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let id = match registry_id(connection, key)? {
                    Some(id) => id,
                    None => connection
                        .prepare_cached("INSERT INTO registries (namespace, name, uid) VALUES (?1, ?2, ?3)")?
                        .insert(params![key.namespace, key.name, key.uid])?,
                };
                Ok(entry.insert(Registry {
                    id,
                    repositories: HashMap::new(),
                }))
            }
        }
    }
}

impl Registry {
    /// The repository's id, its row made where it is missing.
    pub(super) fn repository(&mut self, connection: &Connection, path: &str) -> rusqlite::Result<i64> {
        if let Some(&id) = self.repositories.get(path) {
            return Ok(id);
        }
        let id = match repository_id(connection, self.id, path)? {
            Some(id) => id,
            None => connection
                .prepare_cached("INSERT INTO repositories (registry, path) VALUES (?1, ?2)")?
                .insert(params![self.id, path])?,
        };
        if self.repositories.len() >= REPOSITORIES {
            self.repositories.clear();
        }
        self.repositories.insert(path.to_owned(), id);
        Ok(id)
    }
}

pub(super) fn registry_id(connection: &Connection, key: &RegistryKey) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM registries WHERE namespace = ?1 AND name = ?2 AND uid = ?3")?
        .query_row(params![key.namespace, key.name, key.uid], |row| row.get(0))
        .optional()
}

pub(super) fn repository_id(
    connection: &Connection,
    registry: i64,
    path: &str,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM repositories WHERE registry = ?1 AND path = ?2")?
        .query_row(params![registry, path], |row| row.get(0))
        .optional()
}

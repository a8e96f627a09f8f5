//! What the writer remembers of the file, so that an event that says nothing new costs
//! little more than its row.

use hashbrown::{
    HashMap, HashSet,
    hash_map::{Entry, EntryRef},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::source::Source;
use crate::{image::Digest, store::RegistryKey};

/// Past this many repositories, tags and manifests of one registry the memory starts
/// afresh: a source may invent names. About 100 bytes each.
const MOST: usize = 50_000;

/// What the writer has looked up or written. Forget it after a rollback: what was written
/// is not there.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<RegistryKey, Registry>);

#[derive(Debug)]
pub(super) struct Registry {
    pub(super) id: i64,
    repositories: HashMap<String, Repository>,
    sources: HashMap<String, Source>,
    remembered: usize,
}

#[derive(Debug)]
pub(super) struct Repository {
    pub(super) id: i64,
    /// Manifests that are in the file with their media type.
    pub(super) manifests: HashSet<Digest>,
    pub(super) tags: HashMap<String, Held>,
    /// Whether it may have events that are known by the time they were received.
    pub(super) received: bool,
}

/// Where a tag points as far as the file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) digest: Digest,
    /// The time of the last fact about the tag.
    pub(super) since: i64,
}

impl Known {
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// The registry, its row made where it is missing.
    pub(super) fn registry(
        &mut self,
        connection: &Connection,
        key: &RegistryKey,
    ) -> rusqlite::Result<&mut Registry> {
        let registry = match self.0.entry(key.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let id = match registry_id(connection, key)? {
                    Some(id) => id,
                    None => connection
                        .prepare_cached("INSERT INTO registries (namespace, name, uid) VALUES (?1, ?2, ?3)")?
                        .insert(params![key.namespace, key.name, key.uid])?,
                };
                unknown.insert(Registry {
                    id,
                    repositories: HashMap::new(),
                    sources: HashMap::new(),
                    remembered: 0,
                })
            }
        };
        if registry.remembered > MOST {
            registry.repositories.clear();
            registry.remembered = 0;
        }
        Ok(registry)
    }

    /// Writes what sources have done since the last time.
    pub(super) fn save_sources(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.0
            .values_mut()
            .flat_map(|registry| registry.sources.values_mut())
            .try_for_each(|source| source.save(connection))
    }
}

impl Registry {
    /// The repository, its row made where it is missing, and the count to raise when
    /// more of it is remembered.
    pub(super) fn repository(
        &mut self,
        connection: &Connection,
        path: &str,
    ) -> rusqlite::Result<(&mut Repository, &mut usize)> {
        let registry = self.id;
        let repository = match self.repositories.entry_ref(path) {
            EntryRef::Occupied(known) => known.into_mut(),
            EntryRef::Vacant(unknown) => {
                let id = match repository_id(connection, registry, path)? {
                    Some(id) => id,
                    None => connection
                        .prepare_cached("INSERT INTO repositories (registry, path) VALUES (?1, ?2)")?
                        .insert(params![registry, path])?,
                };
                let received = connection
                    .prepare_cached("SELECT EXISTS (SELECT 1 FROM received_ids WHERE repository = ?1)")?
                    .query_row([id], |row| row.get(0))?;
                self.remembered += 1;
                unknown.insert(Repository {
                    id,
                    manifests: HashSet::new(),
                    tags: HashMap::new(),
                    received,
                })
            }
        };
        Ok((repository, &mut self.remembered))
    }

    /// The source, its row made where it is missing, and whether it was.
    pub(super) fn source(
        &mut self,
        connection: &Connection,
        name: &str,
        received: i64,
    ) -> rusqlite::Result<(&mut Source, bool)> {
        let registry = self.id;
        match self.sources.entry_ref(name) {
            EntryRef::Occupied(known) => Ok((known.into_mut(), false)),
            EntryRef::Vacant(unknown) => match Source::load(connection, registry, name)? {
                Some(source) => Ok((unknown.insert(source), false)),
                None => Ok((
                    unknown.insert(Source::begin(connection, registry, name, received)?),
                    true,
                )),
            },
        }
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

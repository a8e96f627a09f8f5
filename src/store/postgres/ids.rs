//! Numbers of registries, repositories and sources: they never change, so that each is
//! asked for once.

use std::collections::{HashMap, HashSet};

use super::{failure::Failure, session::Session, values::get};
use crate::store::RegistryKey;

/// Past this many the memory starts afresh: a source may invent names.
const MOST: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Ids {
    registries: HashMap<RegistryKey, i64>,
    repositories: HashMap<i64, HashMap<String, i64>>,
    sources: HashMap<i64, HashMap<String, i64>>,
    /// Sources and the categories they have reported.
    reported: HashSet<(i64, i16)>,
    remembered: usize,
}

impl Ids {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn registry(&self, key: &RegistryKey) -> Option<i64> {
        self.registries.get(key).copied()
    }

    pub(super) fn repository(&self, registry: i64, path: &str) -> Option<i64> {
        self.repositories.get(&registry)?.get(path).copied()
    }

    pub(super) fn source(&self, registry: i64, name: &str) -> Option<i64> {
        self.sources.get(&registry)?.get(name).copied()
    }

    /// Takes what a committed transaction brought.
    pub(super) fn remember_source(&mut self, registry: i64, name: &str, id: i64) {
        self.sources
            .entry(registry)
            .or_default()
            .insert(name.to_owned(), id);
    }

    /// Whether a source is known to have reported a category.
    pub(super) fn has_reported(&self, source: i64, category: i16) -> bool {
        self.reported.contains(&(source, category))
    }

    /// Takes what a committed transaction brought.
    pub(super) fn remember_reported(&mut self, reported: impl IntoIterator<Item = (i64, i16)>) {
        self.reported.extend(reported);
    }

    /// Learns these registries and their repositories; their rows are made where they are
    /// missing, whatever becomes of what names them.
    pub(super) async fn learn(
        &mut self,
        session: &Session,
        registries: &[&RegistryKey],
        repositories: &[(&RegistryKey, &str)],
    ) -> Result<(), Failure> {
        if self.remembered > MOST {
            self.forget();
        }
        for &key in registries {
            if !self.registries.contains_key(key) {
                let id = make_registry(session, key).await?;
                self.registries.insert(key.clone(), id);
            }
        }
        let mut missing: HashMap<i64, HashSet<&str>> = HashMap::new();
        for &(key, path) in repositories {
            if let Some(registry) = self.registry(key)
                && self.repository(registry, path).is_none()
            {
                missing.entry(registry).or_default().insert(path);
            }
        }
        for (registry, paths) in missing {
            let mut paths: Vec<&str> = paths.into_iter().collect();
            // In one order, so that two operators do not wait for each other.
            paths.sort_unstable();
            session
                .execute(
                    "INSERT INTO repositories (registry, path)
                     SELECT $1, path FROM unnest($2::text[]) AS wanted (path)
                     WHERE NOT EXISTS (SELECT 1 FROM repositories r WHERE r.registry = $1 AND r.path = wanted.path)
                     ON CONFLICT DO NOTHING",
                    &[&registry, &paths],
                )
                .await?;
            let rows = session
                .query(
                    "SELECT path, id FROM repositories WHERE registry = $1 AND path = ANY ($2)",
                    &[&registry, &paths],
                )
                .await?;
            let known = self.repositories.entry(registry).or_default();
            for row in rows {
                known.insert(get(&row, 0)?, get(&row, 1)?);
                self.remembered += 1;
            }
        }
        Ok(())
    }
}

pub(super) async fn make_registry(session: &Session, key: &RegistryKey) -> Result<i64, Failure> {
    if let Some(id) = registry(session, key).await? {
        return Ok(id);
    }
    session
        .execute(
            "INSERT INTO registries (namespace, name, uid) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            &[&key.namespace, &key.name, &key.uid],
        )
        .await?;
    registry(session, key)
        .await?
        .ok_or(Failure::Malformed("a registry that was just written"))
}

pub(super) async fn registry(session: &Session, key: &RegistryKey) -> Result<Option<i64>, Failure> {
    session
        .query_opt(
            "SELECT id FROM registries WHERE namespace = $1 AND name = $2 AND uid = $3",
            &[&key.namespace, &key.name, &key.uid],
        )
        .await?
        .map(|row| get(&row, 0))
        .transpose()
}

pub(super) async fn repository(
    session: &Session,
    key: &RegistryKey,
    path: &str,
) -> Result<Option<i64>, Failure> {
    session
        .query_opt(
            "SELECT r.id FROM repositories r JOIN registries g ON g.id = r.registry
             WHERE g.namespace = $1 AND g.name = $2 AND g.uid = $3 AND r.path = $4",
            &[&key.namespace, &key.name, &key.uid, &path],
        )
        .await?
        .map(|row| get(&row, 0))
        .transpose()
}

/// A source's number, its row made where it is missing, and whether it was.
pub(super) async fn make_source(
    session: &Session,
    registry: i64,
    name: &str,
    received: i64,
) -> Result<(i64, bool), Failure> {
    if let Some(id) = source(session, registry, name).await? {
        return Ok((id, false));
    }
    let made = session
        .query_opt(
            "INSERT INTO sources (registry, name, since, last_delivery) VALUES ($1, $2, $3, $3)
             ON CONFLICT DO NOTHING RETURNING id",
            &[&registry, &name, &received],
        )
        .await?;
    if let Some(row) = made {
        return Ok((get(&row, 0)?, true));
    }
    match source(session, registry, name).await? {
        Some(id) => Ok((id, false)),
        None => Err(Failure::Malformed("a source that was just written")),
    }
}

pub(super) async fn source(session: &Session, registry: i64, name: &str) -> Result<Option<i64>, Failure> {
    session
        .query_opt(
            "SELECT id FROM sources WHERE registry = $1 AND name = $2",
            &[&registry, &name],
        )
        .await?
        .map(|row| get(&row, 0))
        .transpose()
}

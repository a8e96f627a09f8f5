//! Whose deliveries are taken now: shared by the writer, which asks before each commit,
//! and by those who ask why nothing comes.

use std::{ops::Deref, path::PathBuf};

use rusqlite::Connection;

use super::{gaps, space::Space};
use crate::store::{
    KeepFree, Refusing, RegistryKey, Room, StoreError,
    accounts::{Accounts, Entry, Pending, SourceEntry},
};

#[derive(Debug)]
pub(super) struct Gate {
    space: Space,
    accounts: Accounts,
}

impl Deref for Gate {
    type Target = Accounts;

    fn deref(&self) -> &Accounts {
        &self.accounts
    }
}

impl Gate {
    pub(super) fn load(connection: &Connection, folder: PathBuf, keep: KeepFree) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare(
            "SELECT g.namespace, g.name, g.uid, g.quota, s.kept, s.name,
                 (SELECT start FROM gaps WHERE source = s.id AND reason = ?1 AND end > s.last_delivery + 1
                  ORDER BY start LIMIT 1)
             FROM registries g LEFT JOIN sources s ON s.registry = g.id",
        )?;
        let entries: Vec<Entry> = statement
            .query_map([gaps::REFUSED], |row| {
                let source: Option<String> = row.get(5)?;
                let (kept, refused_since): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(6)?);
                Ok(Entry {
                    registry: RegistryKey {
                        namespace: row.get(0)?,
                        name: row.get(1)?,
                        uid: row.get(2)?,
                    },
                    quota: row.get(3)?,
                    source: source.map(|name| SourceEntry {
                        name,
                        kept: kept.unwrap_or(0),
                        refused_since,
                    }),
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            space: Space::new(folder, keep),
            accounts: Accounts::of(entries),
        })
    }

    /// Whether a delivery of so many events and bytes is taken beside those that are.
    pub(super) fn admit(
        &self,
        registry: &RegistryKey,
        events: usize,
        bytes: usize,
        pending: &mut Pending,
    ) -> Result<(), StoreError> {
        match self.low_space(bytes) {
            Some(keep_free) => Err(StoreError::LowSpace { keep_free }),
            None => self.accounts.admit(registry, events, pending),
        }
    }

    /// A write failed for lack of room.
    pub(super) fn disk_is_full(&self) -> StoreError {
        StoreError::LowSpace {
            keep_free: self.space.is_full().keep_free,
        }
    }

    pub(super) fn refusing(&self, registry: &RegistryKey) -> Option<Refusing> {
        let low = self
            .low_space(0)
            .map(|keep_free| Refusing::LowSpace { keep_free });
        low.or_else(|| self.accounts.refusing(registry))
    }

    /// How much is to stay free, where less is.
    fn low_space(&self, bytes: usize) -> Option<u64> {
        let seen = self.space.look(bytes);
        seen.low.then_some(seen.keep_free)
    }

    pub(super) fn room(&self) -> Room {
        let seen = self.space.look(0);
        Room {
            free: seen.free,
            low_space: seen.low,
            over_quota: self.accounts.over_quota(),
        }
    }
}

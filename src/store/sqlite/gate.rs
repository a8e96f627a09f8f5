//! Whose deliveries are taken now: shared by the writer, which asks before each commit,
//! and by those who ask why nothing comes.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;

use super::{gaps, space::Space};
use crate::store::{KeepFree, Refusing, RegistryKey, Room};

#[derive(Debug)]
pub(super) struct Gate {
    space: Space,
    accounts: Mutex<HashMap<RegistryKey, Account>>,
}

#[derive(Debug, Default)]
struct Account {
    /// Raw events that are in the file.
    kept: i64,
    quota: Option<i64>,
    /// A delivery did not fit any more.
    full: bool,
    /// Since when each source is refused.
    refused: HashMap<String, i64>,
}

/// Events of deliveries that were let through and are not in the file yet.
pub(super) type Pending = HashMap<RegistryKey, i64>;

impl Gate {
    pub(super) fn load(connection: &Connection, folder: PathBuf, keep: KeepFree) -> rusqlite::Result<Self> {
        let mut accounts: HashMap<RegistryKey, Account> = HashMap::new();
        let mut statement = connection.prepare(
            "SELECT g.namespace, g.name, g.uid, g.quota, s.kept, s.name,
                 (SELECT start FROM gaps WHERE source = s.id AND reason = ?1 AND end > s.last_delivery + 1
                  ORDER BY start LIMIT 1)
             FROM registries g LEFT JOIN sources s ON s.registry = g.id",
        )?;
        let mut rows = statement.query([gaps::REFUSED])?;
        while let Some(row) = rows.next()? {
            let key = RegistryKey {
                namespace: row.get(0)?,
                name: row.get(1)?,
                uid: row.get(2)?,
            };
            let account = accounts.entry(key).or_default();
            account.quota = row.get(3)?;
            account.kept += row.get::<_, Option<i64>>(4)?.unwrap_or(0);
            let source: Option<String> = row.get(5)?;
            account.refused.extend(source.zip(row.get::<_, Option<i64>>(6)?));
        }
        Ok(Self {
            space: Space::new(folder, keep),
            accounts: Mutex::new(accounts),
        })
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<RegistryKey, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a delivery of so many events and bytes is taken beside those that are. All of them
    /// count, also those that may turn out to be there already.
    pub(super) fn admit(
        &self,
        registry: &RegistryKey,
        events: usize,
        bytes: usize,
        pending: &mut Pending,
    ) -> Result<(), Refusing> {
        if let Some(low) = self.low_space(bytes) {
            return Err(low);
        }
        let mut accounts = self.accounts();
        let Some((account, quota)) = accounts
            .get_mut(registry)
            .and_then(|account| account.quota.map(|quota| (account, quota)))
        else {
            return Ok(());
        };
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        let before = pending.get(registry).copied().unwrap_or(0);
        let there = account.kept.saturating_add(before);
        if there >= quota || there.saturating_add(events) > quota {
            account.full = true;
            return Err(Refusing::QuotaExceeded { quota });
        }
        pending.insert(registry.clone(), before.saturating_add(events));
        Ok(())
    }

    /// Notes that a source was refused; whether that is news.
    pub(super) fn refused(&self, registry: &RegistryKey, source: &str, received: i64) -> bool {
        let mut accounts = self.accounts();
        let refused = &mut accounts.entry(registry.clone()).or_default().refused;
        if let Some(since) = refused.get_mut(source) {
            *since = received.min(*since);
            return false;
        }
        refused.insert(source.to_owned(), received);
        true
    }

    /// Since when a source is refused.
    pub(super) fn refused_since(&self, registry: &RegistryKey, source: &str) -> Option<i64> {
        self.accounts().get(registry)?.refused.get(source).copied()
    }

    /// A delivery is in the file.
    pub(super) fn taken(&self, registry: &RegistryKey, source: &str, stored: i64) {
        let mut accounts = self.accounts();
        let account = accounts.entry(registry.clone()).or_default();
        account.kept += stored;
        account.full = false;
        account.refused.remove(source);
    }

    pub(super) fn purged(&self, registry: &RegistryKey, events: i64) {
        if let Some(account) = self.accounts().get_mut(registry)
            && events > 0
        {
            account.kept -= events;
            account.full = false;
        }
    }

    pub(super) fn set_quota(&self, registry: &RegistryKey, quota: Option<i64>) {
        let mut accounts = self.accounts();
        let account = accounts.entry(registry.clone()).or_default();
        if account.quota != quota {
            account.quota = quota;
            account.full = false;
        }
    }

    pub(super) fn forget(&self, registry: &RegistryKey) {
        self.accounts().remove(registry);
    }

    /// A write failed for lack of room.
    pub(super) fn disk_is_full(&self) -> Refusing {
        Refusing::LowSpace {
            keep_free: self.space.is_full().keep_free,
        }
    }

    pub(super) fn refusing(&self, registry: &RegistryKey) -> Option<Refusing> {
        self.low_space(0)
            .or_else(|| self.accounts().get(registry)?.over_quota())
    }

    fn low_space(&self, bytes: usize) -> Option<Refusing> {
        let seen = self.space.look(bytes);
        seen.low.then_some(Refusing::LowSpace {
            keep_free: seen.keep_free,
        })
    }

    pub(super) fn room(&self) -> Room {
        let seen = self.space.look(0);
        let over = self
            .accounts()
            .values()
            .filter(|account| account.over_quota().is_some())
            .count();
        Room {
            free: seen.free,
            low_space: seen.low,
            over_quota: i64::try_from(over).unwrap_or(i64::MAX),
        }
    }
}

impl Account {
    fn over_quota(&self) -> Option<Refusing> {
        let quota = self.quota?;
        (self.full || self.kept >= quota).then_some(Refusing::QuotaExceeded { quota })
    }
}

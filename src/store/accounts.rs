//! How much is kept of each registry, against its quota, and which sources are refused.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Refusing, RegistryKey};

/// What is known of every registry, carried along: nobody counts.
#[derive(Debug, Default)]
pub(super) struct Accounts(Mutex<HashMap<RegistryKey, Account>>);

#[derive(Debug, Default)]
struct Account {
    /// Raw events that are there.
    kept: i64,
    quota: Option<i64>,
    /// A delivery did not fit any more.
    full: bool,
    /// Since when each source is refused.
    refused: HashMap<String, i64>,
}

/// Of one source of a registry, or of a registry without any.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) registry: RegistryKey,
    pub(super) quota: Option<i64>,
    pub(super) source: Option<SourceEntry>,
}

#[derive(Debug)]
pub(super) struct SourceEntry {
    pub(super) name: String,
    /// Raw events that came through it and are there.
    pub(super) kept: i64,
    pub(super) refused_since: Option<i64>,
}

/// Events of deliveries that were let through and are not there yet.
pub(super) type Pending = HashMap<RegistryKey, i64>;

impl Accounts {
    pub(super) fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut accounts: HashMap<RegistryKey, Account> = HashMap::new();
        for Entry {
            registry,
            quota,
            source,
        } in entries
        {
            let account = accounts.entry(registry).or_default();
            account.quota = quota;
            if let Some(SourceEntry {
                name,
                kept,
                refused_since,
            }) = source
            {
                account.kept += kept;
                account.refused.extend(refused_since.map(|since| (name, since)));
            }
        }
        Self(Mutex::new(accounts))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RegistryKey, Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a delivery of so many events is taken beside those that are. All of them count,
    /// also those that may turn out to be there already.
    pub(super) fn admit(
        &self,
        registry: &RegistryKey,
        events: usize,
        pending: &mut Pending,
    ) -> Result<(), Refusing> {
        let mut accounts = self.lock();
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

    pub(super) fn has_quota(&self, registry: &RegistryKey) -> bool {
        self.lock()
            .get(registry)
            .is_some_and(|account| account.quota.is_some())
    }

    /// Notes that a source was refused; whether that is news.
    pub(super) fn refused(&self, registry: &RegistryKey, source: &str, received: i64) -> bool {
        let mut accounts = self.lock();
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
        self.lock().get(registry)?.refused.get(source).copied()
    }

    /// A delivery is there.
    pub(super) fn taken(&self, registry: &RegistryKey, source: &str, stored: i64) {
        let mut accounts = self.lock();
        let account = accounts.entry(registry.clone()).or_default();
        account.kept += stored;
        account.full = false;
        account.refused.remove(source);
    }

    pub(super) fn purged(&self, registry: &RegistryKey, events: i64) {
        if let Some(account) = self.lock().get_mut(registry)
            && events > 0
        {
            account.kept -= events;
            account.full = false;
        }
    }

    pub(super) fn set_quota(&self, registry: &RegistryKey, quota: Option<i64>) {
        let mut accounts = self.lock();
        let account = accounts.entry(registry.clone()).or_default();
        if account.quota != quota {
            account.quota = quota;
            account.full = false;
        }
    }

    pub(super) fn forget(&self, registry: &RegistryKey) {
        self.lock().remove(registry);
    }

    pub(super) fn refusing(&self, registry: &RegistryKey) -> Option<Refusing> {
        self.lock().get(registry)?.over_quota()
    }

    /// How many registries have reached their quota.
    pub(super) fn over_quota(&self) -> i64 {
        let accounts = self.lock();
        let over = accounts
            .values()
            .filter(|account| account.over_quota().is_some())
            .count();
        i64::try_from(over).unwrap_or(i64::MAX)
    }
}

impl Account {
    fn over_quota(&self) -> Option<Refusing> {
        let quota = self.quota?;
        (self.full || self.kept >= quota).then_some(Refusing::QuotaExceeded { quota })
    }
}

//! How much is kept of each registry, against its quota, and which sources are refused.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Refusing, RegistryKey, StoreError};

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
    /// By source.
    refused: HashMap<String, Refused>,
}

/// A source whose deliveries are refused.
#[derive(Debug, Clone, Copy)]
struct Refused {
    since: i64,
    /// The gap that this opened is in the store.
    is_written: bool,
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
                let refused = refused_since.map(|since| Refused {
                    since,
                    is_written: true,
                });
                account.refused.extend(refused.map(|refused| (name, refused)));
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
    ) -> Result<(), StoreError> {
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
            return Err(StoreError::QuotaExceeded { quota });
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
        if let Some(refused) = refused.get_mut(source) {
            refused.since = received.min(refused.since);
            return false;
        }
        let news = Refused {
            since: received,
            is_written: false,
        };
        refused.insert(source.to_owned(), news);
        true
    }

    /// Refused sources whose gap is not in the store yet, and since when they are refused.
    pub(super) fn unwritten(&self) -> Vec<(RegistryKey, String, i64)> {
        let accounts = self.lock();
        let refused = accounts.iter().flat_map(|(registry, account)| {
            let refused = account.refused.iter();
            refused.map(move |(source, refused)| (registry, source, refused))
        });
        refused
            .filter(|(.., refused)| !refused.is_written)
            .map(|(registry, source, refused)| (registry.clone(), source.clone(), refused.since))
            .collect()
    }

    /// The gap of a refused source is in the store.
    pub(super) fn written(&self, registry: &RegistryKey, source: &str) {
        let mut accounts = self.lock();
        let refused = accounts
            .get_mut(registry)
            .and_then(|account| account.refused.get_mut(source));
        if let Some(refused) = refused {
            refused.is_written = true;
        }
    }

    /// Since when a source is refused.
    pub(super) fn refused_since(&self, registry: &RegistryKey, source: &str) -> Option<i64> {
        Some(self.lock().get(registry)?.refused.get(source)?.since)
    }

    /// A delivery is there.
    pub(super) fn taken(&self, registry: &RegistryKey, source: &str, stored: i64) {
        let mut accounts = self.lock();
        let account = accounts.entry(registry.clone()).or_default();
        account.kept += stored;
        account.full = false;
        account.refused.remove(source);
    }

    /// A delivery is there that is none of now.
    pub(super) fn replayed(&self, registry: &RegistryKey, stored: i64) {
        self.lock().entry(registry.clone()).or_default().kept += stored;
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
        self.lock().get(registry)?.refusing()
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
    /// What cannot be written down is refused because nothing can be.
    fn refusing(&self) -> Option<Refusing> {
        let unwritten = || self.refused.values().any(|refused| !refused.is_written);
        self.over_quota()
            .or_else(|| unwritten().then_some(Refusing::Unavailable))
    }

    fn over_quota(&self) -> Option<Refusing> {
        let quota = self.quota?;
        (self.full || self.kept >= quota).then_some(Refusing::QuotaExceeded { quota })
    }
}

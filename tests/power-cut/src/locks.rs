//! The locks that connections hold on one file: those of the database file, and those of the shared memory of
//! its write-ahead log. As `SQLite`'s own file system for Unix grants them.

use std::collections::BTreeMap;

/// One open connection to a file.
pub(crate) type HandleId = usize;

/// How strongly a connection holds the database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    None,
    Shared,
    Reserved,
    Pending,
    Exclusive,
}

/// Who holds the database file, and how strongly.
#[derive(Debug, Default)]
pub(crate) struct FileLocks(BTreeMap<HandleId, Level>);

impl FileLocks {
    /// Whether it is granted. Whoever is refused an exclusive lock by readers alone keeps new readers away.
    pub(crate) fn raise(&mut self, handle: HandleId, to: Level) -> bool {
        let own = self.level(handle);
        let others = self.others(handle);
        if own >= to {
            return true;
        }
        let granted = match to {
            Level::None | Level::Shared => others < Level::Pending,
            Level::Reserved => others < Level::Reserved,
            Level::Pending | Level::Exclusive => {
                if others >= Level::Reserved {
                    return false;
                }
                self.0.insert(handle, Level::Pending);
                others == Level::None
            }
        };
        if granted {
            self.0.insert(handle, to);
        }
        granted
    }

    pub(crate) fn lower(&mut self, handle: HandleId, to: Level) {
        if to == Level::None {
            self.0.remove(&handle);
        } else if self.level(handle) > to {
            self.0.insert(handle, to);
        }
    }

    /// Whether somebody is about to write.
    pub(crate) fn is_reserved(&self) -> bool {
        self.0.values().any(|level| *level >= Level::Reserved)
    }

    fn level(&self, handle: HandleId) -> Level {
        self.0.get(&handle).copied().unwrap_or(Level::None)
    }

    fn others(&self, handle: HandleId) -> Level {
        let others = self.0.iter().filter(|(other, _)| **other != handle);
        others.map(|(_, level)| *level).max().unwrap_or(Level::None)
    }
}

/// How a connection holds a lock of the shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    Shared,
    Exclusive,
}

/// Who holds the locks of the shared memory, each by its number.
#[derive(Debug, Default)]
pub(crate) struct MemoryLocks(BTreeMap<(usize, HandleId), Hold>);

impl MemoryLocks {
    /// All of them or none; whether they are granted.
    pub(crate) fn take(&mut self, handle: HandleId, locks: std::ops::Range<usize>, hold: Hold) -> bool {
        let is_taken = self.0.iter().any(|((lock, holder), held)| {
            locks.contains(lock) && *holder != handle && (hold == Hold::Exclusive || *held == Hold::Exclusive)
        });
        if !is_taken {
            self.0.extend(locks.map(|lock| ((lock, handle), hold)));
        }
        !is_taken
    }

    pub(crate) fn give_back(&mut self, handle: HandleId, locks: &std::ops::Range<usize>) {
        self.0
            .retain(|(lock, holder), _| *holder != handle || !locks.contains(lock));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusive_lock_waits_for_readers_and_keeps_new_ones_away() {
        let mut locks = FileLocks::default();
        assert!(locks.raise(1, Level::Shared) && locks.raise(2, Level::Shared));
        assert!(locks.raise(1, Level::Reserved));
        assert!(!locks.raise(2, Level::Reserved), "one writer");
        assert!(!locks.raise(1, Level::Exclusive), "a reader is there");
        assert!(!locks.raise(3, Level::Shared), "the writer waits");
        locks.lower(2, Level::None);
        assert!(locks.raise(1, Level::Exclusive) && locks.is_reserved());
        locks.lower(1, Level::Shared);
        assert!(!locks.is_reserved() && locks.raise(3, Level::Shared));
    }

    #[test]
    fn locks_of_the_memory_are_shared_or_exclusive_and_taken_all_or_none() {
        let mut locks = MemoryLocks::default();
        assert!(locks.take(1, 3..4, Hold::Shared) && locks.take(2, 3..4, Hold::Shared));
        assert!(!locks.take(3, 2..5, Hold::Exclusive));
        assert!(locks.take(3, 4..8, Hold::Exclusive));
        assert!(!locks.take(1, 4..5, Hold::Shared));
        locks.give_back(3, &(4..8));
        assert!(locks.take(1, 4..5, Hold::Shared));
    }
}

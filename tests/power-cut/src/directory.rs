//! The names of one folder: as programs see them, as they are durable, and what lies between.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::contents::Loss;

/// A file, whatever its name.
pub(crate) type FileId = usize;

#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    seen: BTreeMap<String, FileId>,
    durable: BTreeMap<String, FileId>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Create(String, FileId),
    Delete(String),
}

impl Directory {
    pub(crate) fn find(&self, name: &str) -> Option<FileId> {
        self.seen.get(name).copied()
    }

    pub(crate) fn create(&mut self, name: &str, file: FileId) {
        self.seen.insert(name.to_owned(), file);
        self.pending.push(Change::Create(name.to_owned(), file));
    }

    /// Whether it was there.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        let was_there = self.seen.remove(name).is_some();
        if was_there {
            self.pending.push(Change::Delete(name.to_owned()));
        }
        was_there
    }

    /// Makes durable what was done so far.
    pub(crate) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// The names that a cut leaves: each change that was not synced has happened or has not.
    pub(crate) fn cut(&self, loss: Loss, random: &mut Rng) -> BTreeMap<String, FileId> {
        let mut left = self.durable.clone();
        for change in &self.pending {
            if !loss.takes(random) {
                change.clone().apply(&mut left);
            }
        }
        left
    }
}

impl Change {
    fn apply(self, names: &mut BTreeMap<String, FileId>) {
        match self {
            Self::Create(name, file) => names.insert(name, file),
            Self::Delete(name) => names.remove(&name),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_were_not_synced_may_be_found_as_before() {
        let random = &mut Rng::with_seed(1);
        let mut directory = Directory::default();
        directory.create("a", 1);
        directory.sync();
        assert!(directory.delete("a"));
        assert!(!directory.delete("a"));
        directory.create("b", 2);
        assert_eq!((directory.find("a"), directory.find("b")), (None, Some(2)));

        let names = |left: BTreeMap<String, FileId>| left.into_keys().collect::<String>();
        assert_eq!(names(directory.cut(Loss::All, random)), "a");
        assert_eq!(names(directory.cut(Loss::Nothing, random)), "b");
        let any: std::collections::BTreeSet<String> = (0..100)
            .map(|_| names(directory.cut(Loss::Half, random)))
            .collect();
        assert_eq!(any, ["", "a", "ab", "b"].map(str::to_owned).into());

        directory.sync();
        assert_eq!(names(directory.cut(Loss::All, random)), "b");
    }
}

//! Records under small ids, each found by its key, stored once.

use std::{
    fmt,
    hash::{BuildHasher, Hash, Hasher},
    marker::PhantomData,
    num::NonZeroU32,
};

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

/// Names a record of a [`Table`]: four bytes, as an `Option` too. Valid until the
/// record is removed; then another may get it.
pub(super) struct Id<T>(NonZeroU32, PhantomData<fn() -> T>);

impl<T> Id<T> {
    fn at(index: usize) -> Self {
        #[expect(clippy::expect_used, reason = "the memory budget ends long before")]
        let number = u32::try_from(index + 1)
            .ok()
            .and_then(NonZeroU32::new)
            .expect("a table has fewer than 2^32 records");
        Self(number, PhantomData)
    }

    fn index(self) -> usize {
        // On the 32-bit targets and wider that this is built for, nothing is lost.
        self.0.get() as usize - 1
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A record that holds its own key.
pub(super) trait Keyed {
    type Key: ?Sized + Hash + Eq;

    fn key(&self) -> &Self::Key;
}

#[derive(Debug)]
pub(super) struct Table<T> {
    slots: Vec<Option<T>>,
    free: Vec<Id<T>>,
    index: HashTable<Id<T>>,
    /// Seeded at random: the keys are a remote's.
    hasher: DefaultHashBuilder,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl<T: Keyed> Table<T> {
    pub(super) fn find(&self, key: &T::Key) -> Option<Id<T>> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |&id| self.get(id).key() == key).copied()
    }

    /// The record with this key, made where there is none; whether it was made.
    pub(super) fn find_or_insert(&mut self, key: &T::Key, make: impl FnOnce() -> T) -> (Id<T>, bool) {
        let Self {
            slots,
            free,
            index,
            hasher,
        } = self;
        let entry = index.entry(
            hasher.hash_one(key),
            |&id| live(slots, id).key() == key,
            |&id| hasher.hash_one(live(slots, id).key()),
        );
        match entry {
            Entry::Occupied(found) => (*found.get(), false),
            Entry::Vacant(vacant) => {
                let record = Some(make());
                let id = free.pop().unwrap_or_else(|| Id::at(slots.len()));
                vacant.insert(id);
                match slots.get_mut(id.index()) {
                    Some(slot) => *slot = record,
                    None => slots.push(record),
                }
                (id, true)
            }
        }
    }

    pub(super) fn remove(&mut self, id: Id<T>) -> T {
        let hash = self.hasher.hash_one(self.get(id).key());
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        self.free.push(id);
        #[expect(clippy::expect_used, reason = "`get` above has proved it")]
        self.slots[id.index()].take().expect("an id names a live record")
    }

    /// Gives back the room after the last record, where many were removed.
    pub(super) fn trim(&mut self) {
        let Self {
            slots,
            free,
            index,
            hasher,
        } = self;
        slots.truncate(slots.iter().rposition(Option::is_some).map_or(0, |last| last + 1));
        free.retain(|id| id.index() < slots.len());
        slots.shrink_to_fit();
        free.shrink_to_fit();
        index.shrink_to_fit(|&id| hasher.hash_one(live(slots, id).key()));
    }

    pub(super) fn get(&self, id: Id<T>) -> &T {
        live(&self.slots, id)
    }

    pub(super) fn get_mut(&mut self, id: Id<T>) -> &mut T {
        #[expect(clippy::expect_used, reason = "ids live no longer than their records")]
        self.slots[id.index()]
            .as_mut()
            .expect("an id names a live record")
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| Some((Id::at(index), slot.as_ref()?)))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Heap bytes of the table itself, less what its records own.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<T>>()
            + self.free.capacity() * size_of::<Id<T>>()
            + self.index.allocation_size()
    }
}

fn live<T>(slots: &[Option<T>], id: Id<T>) -> &T {
    #[expect(clippy::expect_used, reason = "ids live no longer than their records")]
    slots[id.index()].as_ref().expect("an id names a live record")
}

/// A table whose records live as long as something refers to them.
#[derive(Debug)]
pub(super) struct Interner<T> {
    table: Table<T>,
    references: Vec<u32>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            table: Table::default(),
            references: Vec::new(),
        }
    }
}

impl<T: Keyed> Interner<T> {
    /// One more reference to the record with this key, made where there is none;
    /// whether it was made.
    pub(super) fn acquire(&mut self, key: &T::Key, make: impl FnOnce() -> T) -> (Id<T>, bool) {
        let (id, is_new) = self.table.find_or_insert(key, make);
        if id.index() == self.references.len() {
            self.references.push(0);
        }
        self.references[id.index()] += 1;
        (id, is_new)
    }

    /// One more reference to a record that is held already.
    pub(super) fn share(&mut self, id: Id<T>) -> Id<T> {
        self.references[id.index()] += 1;
        id
    }

    /// One reference less; the record, where that was the last.
    pub(super) fn release(&mut self, id: Id<T>) -> Option<T> {
        let references = &mut self.references[id.index()];
        *references -= 1;
        (*references == 0).then(|| self.table.remove(id))
    }

    pub(super) fn trim(&mut self) {
        self.table.trim();
        self.references.truncate(self.table.slots.len());
        self.references.shrink_to_fit();
    }

    pub(super) fn references(&self, id: Id<T>) -> u32 {
        self.references[id.index()]
    }

    pub(super) fn find(&self, key: &T::Key) -> Option<Id<T>> {
        self.table.find(key)
    }

    pub(super) fn get(&self, id: Id<T>) -> &T {
        self.table.get(id)
    }

    pub(super) fn get_mut(&mut self, id: Id<T>) -> &mut T {
        self.table.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Id<T>, &T)> {
        self.table.iter()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.table.values_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.table.bytes() + self.references.capacity() * size_of::<u32>()
    }
}

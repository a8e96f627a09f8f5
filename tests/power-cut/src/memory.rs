//! The memory that the connections of one database share, the index of its write-ahead log.

use std::{collections::BTreeSet, ffi::c_void, iter::repeat_with, sync::atomic::AtomicU64};

use crate::locks::{HandleId, MemoryLocks};

#[derive(Debug, Default)]
pub(crate) struct SharedMemory {
    /// Of atomics, which may be written through a shared reference; `SQLite` itself keeps its readers and
    /// writers in order. A region never moves once it is there.
    regions: Vec<Box<[AtomicU64]>>,
    users: BTreeSet<HandleId>,
    pub(crate) locks: MemoryLocks,
}

impl SharedMemory {
    /// Where a region of so many bytes is. One that is not there is made of zeros where `extend` allows it.
    pub(crate) fn map(
        &mut self,
        handle: HandleId,
        region: usize,
        bytes: usize,
        extend: bool,
    ) -> Option<*mut c_void> {
        self.users.insert(handle);
        while extend && self.regions.len() <= region {
            let words = repeat_with(AtomicU64::default).take(bytes.div_ceil(size_of::<u64>()));
            self.regions.push(words.collect());
        }
        let region = self.regions.get(region)?;
        Some(region.as_ptr().cast_mut().cast())
    }

    /// The last one who leaves clears it: whoever comes next begins with reading the log.
    pub(crate) fn leave(&mut self, handle: HandleId) {
        self.locks.give_back(handle, &(0..usize::MAX));
        self.users.remove(&handle);
        if self.users.is_empty() {
            self.regions.clear();
        }
    }
}

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Inventory;

/// One cluster's inventory, written by its watch and read by all. Locks are held for one
/// object or one query, never across an `await`.
#[derive(Debug, Clone, Default)]
pub struct SharedInventory(Arc<RwLock<Inventory>>);

impl SharedInventory {
    /// Waits for a write in progress, a matter of microseconds. Drop it soon: the
    /// watch waits meanwhile.
    pub fn read(&self) -> RwLockReadGuard<'_, Inventory> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::cluster) fn write(&self) -> RwLockWriteGuard<'_, Inventory> {
        // A panic while writing ends the watch's task, and with it the process.
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

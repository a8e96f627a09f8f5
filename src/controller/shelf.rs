use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::touch::ObjectKey;

/// What is known of the objects of one kind, by their names: written by their controller, read by all.
#[derive(Debug)]
pub struct Shelf<T>(RwLock<BTreeMap<ObjectKey, Arc<T>>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> Shelf<T> {
    pub fn insert(&self, key: ObjectKey, value: T) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, Arc::new(value));
    }

    /// What was there.
    pub fn remove(&self, key: &ObjectKey) -> Option<Arc<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(key)
    }

    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<T>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    /// By name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<T>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }
}

use std::sync::Arc;

use hashbrown::HashSet;

use crate::image::RepositoryName;

/// The repositories whose answers changes may have altered, each once.
#[derive(Debug, Default)]
pub struct Touched {
    repositories: HashSet<Arc<RepositoryName>>,
    everything: bool,
    is_silent: bool,
}

impl Touched {
    /// Records nothing: for an initial list, after which everything counts as touched.
    #[must_use]
    pub fn silent() -> Self {
        Self {
            is_silent: true,
            ..Self::default()
        }
    }

    /// No change since the last [`Touched::take`] matters to any answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.repositories.is_empty() && !self.everything
    }

    /// What is no matter of single repositories changed, such as a node's address.
    #[must_use]
    pub fn everything(&self) -> bool {
        self.everything
    }

    /// Hands over the repositories, in no order, and starts afresh.
    pub fn take(&mut self) -> Vec<Arc<RepositoryName>> {
        self.everything = false;
        self.repositories.drain().collect()
    }

    pub(super) fn is_silent(&self) -> bool {
        self.is_silent
    }

    pub(super) fn all(&mut self) {
        self.everything = !self.is_silent;
    }

    pub(super) fn add<'a>(&mut self, names: impl Iterator<Item = &'a Arc<RepositoryName>>) {
        if self.is_silent {
            return;
        }
        for name in names {
            if !self.repositories.contains(name) {
                self.repositories.insert(Arc::clone(name));
            }
        }
    }
}

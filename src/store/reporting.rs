//! Which sources of a registry report what, as far as linking has to know it.

use std::collections::{HashMap, HashSet};

use crate::{
    event::{Category, link::DigestFacts},
    image::Digest,
};

/// The sources of one registry, by their number in the store.
#[derive(Debug, Default)]
pub(super) struct Reporting {
    names: HashMap<i64, String>,
    sources: HashMap<Category, usize>,
}

impl Reporting {
    /// A source and a category that it reports, each once.
    pub(super) fn add(&mut self, source: i64, name: String, category: Category) {
        self.names.insert(source, name);
        *self.sources.entry(category).or_default() += 1;
    }

    pub(super) fn sources(&self, category: Category) -> usize {
        self.sources.get(&category).copied().unwrap_or(1)
    }

    /// The name by which linking tells sources apart; empty while no two report the same.
    pub(super) fn name(&self, source: i64) -> &str {
        if self.sources.values().all(|&sources| sources < 2) {
            return "";
        }
        self.names.get(&source).map_or("", String::as_str)
    }
}

/// What a store knows when it links. No edge is known here.
pub(super) struct Facts<'a> {
    pub(super) manifests: &'a HashSet<Digest>,
    pub(super) reporting: &'a Reporting,
}

impl DigestFacts for Facts<'_> {
    fn is_manifest(&self, digest: &Digest) -> bool {
        self.manifests.contains(digest)
    }

    fn sources(&self, category: Category) -> usize {
        self.reporting.sources(category)
    }
}

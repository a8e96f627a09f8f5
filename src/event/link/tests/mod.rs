mod properties;
mod registries;
mod scenarios;
mod shelf;
mod sources;
mod sources_properties;

use std::collections::{BTreeMap, BTreeSet};

use super::DigestFacts;
use crate::{event::fixture::digest, image::Digest};

/// Facts written down: `A` is a manifest, `I>AB` an index of A and B (and a manifest).
#[derive(Debug, Clone, Default)]
struct Written {
    manifests: BTreeSet<Digest>,
    parents: BTreeMap<Digest, Vec<Digest>>,
}

impl Written {
    fn new(words: &str) -> Self {
        let mut written = Self::default();
        for word in words.split_whitespace() {
            let (names, children) = word.split_once('>').unwrap_or((word, ""));
            written
                .manifests
                .extend(names.chars().chain(children.chars()).map(digest));
            for child in children.chars() {
                let parents = written.parents.entry(digest(child)).or_default();
                parents.extend(names.chars().map(digest));
            }
        }
        written
    }
}

impl DigestFacts for Written {
    fn is_manifest(&self, digest: &Digest) -> bool {
        self.manifests.contains(digest)
    }

    fn has_edges(&self) -> bool {
        !self.parents.is_empty()
    }

    fn parents(&self, child: &Digest) -> Vec<Digest> {
        self.parents.get(child).cloned().unwrap_or_default()
    }
}

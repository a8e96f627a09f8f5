use crate::{event::Category, image::Digest};

/// What is known of digests, and of the registry's sources, beyond the events at hand.
///
/// A closure `Fn(&Digest) -> bool` is one that knows manifests, no graph and one source.
pub trait DigestFacts {
    /// Whether a push, pull or HEAD (or a read of the registry) has shown this digest
    /// to be a manifest or an index.
    fn is_manifest(&self, digest: &Digest) -> bool;

    /// Whether any edge from an index to a child is known.
    fn has_edges(&self) -> bool {
        false
    }

    /// The indexes that hold this digest, at any depth.
    fn parents(&self, _child: &Digest) -> Vec<Digest> {
        Vec::new()
    }

    /// How many sources of the registry report events of this category, at the least those
    /// whose raw events are there. [`Relink`](super::Relink) reads no further than it must for
    /// so many; [`link()`](super::link()) does not ask.
    fn sources(&self, _category: Category) -> usize {
        1
    }
}

impl<F: Fn(&Digest) -> bool> DigestFacts for F {
    fn is_manifest(&self, digest: &Digest) -> bool {
        self(digest)
    }
}

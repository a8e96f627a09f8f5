use crate::image::Digest;

/// What is known of digests beyond the events at hand.
///
/// A closure `Fn(&Digest) -> bool` is one that knows manifests and no graph.
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
}

impl<F: Fn(&Digest) -> bool> DigestFacts for F {
    fn is_manifest(&self, digest: &Digest) -> bool {
        self(digest)
    }
}

use crate::image::Digest;

/// What is known of digests beyond the events at hand.
///
/// A closure `Fn(&Digest) -> bool` is one that knows manifests and no graph.
pub trait DigestFacts {
    /// Whether a push, pull or HEAD (or a read of the registry) has shown this digest
    /// to be a manifest or an index.
    fn is_manifest(&self, digest: &Digest) -> bool;

    /// The indexes that hold this digest, at any depth. The inverse of [`Self::children`].
    fn parents(&self, _child: &Digest) -> Vec<Digest> {
        Vec::new()
    }

    /// The manifests and indexes that this index holds, at any depth.
    fn children(&self, _index: &Digest) -> Vec<Digest> {
        Vec::new()
    }
}

impl<F: Fn(&Digest) -> bool> DigestFacts for F {
    fn is_manifest(&self, digest: &Digest) -> bool {
        self(digest)
    }
}

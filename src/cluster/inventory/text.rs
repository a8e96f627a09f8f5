use std::sync::Arc;

use super::table::{Interner, Keyed};
use crate::image::MAX_REFERENCE_BYTES;

/// Names of one vocabulary, each stored once.
pub(super) type Names = Interner<Name>;

#[derive(Debug)]
pub(super) struct Name(pub(super) Arc<str>);

impl Keyed for Name {
    type Key = str;

    fn key(&self) -> &str {
        &self.0
    }
}

/// A namespace, apart from other names so that a query can judge each once.
#[derive(Debug)]
pub(super) struct Namespace(pub(super) Arc<str>);

impl Keyed for Namespace {
    type Key = str;

    fn key(&self) -> &str {
        &self.0
    }
}

/// The start of a text that is longer than any valid name or image reference: a
/// remote may send megabytes, and they would be kept.
pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_REFERENCE_BYTES)]
}

/// Heap bytes of a shared text: its two counts and its bytes, as malloc rounds them.
pub(super) fn text_bytes(text: &str) -> usize {
    (16 + text.len()).next_multiple_of(16) + 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("web"), "web");
        let long = "ä".repeat(MAX_REFERENCE_BYTES);
        assert_eq!(cut(&long).len(), MAX_REFERENCE_BYTES);
        let odd = format!("x{long}");
        assert_eq!(cut(&odd).len(), MAX_REFERENCE_BYTES - 1);
    }
}

//! The selections that buckets are counted for: what a clause asks for is one of them, or so
//! rare that it is read. Deletes of tags and of whole repositories are.

use std::collections::HashMap;

use super::{EventClient, rollup::Rollup};
use crate::{
    event::{DeleteTarget, LogicalCategory},
    image::Digest,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scope {
    All,
    Tag(String),
    /// Events that name this digest and a tag.
    TaggedDigest(Digest),
    /// Events that name this digest and no tag.
    UntaggedDigest(Digest),
}

/// What counts of a logical event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(crate) category: LogicalCategory,
    pub(crate) target: Option<DeleteTarget>,
    pub(crate) tags: &'a [String],
    pub(crate) digest: Option<&'a Digest>,
    pub(crate) client: EventClient<'a>,
    /// Nanoseconds since 1970 UTC.
    pub(crate) time: i64,
}

/// The roll-ups of one bucket as they are made, by scope and category.
#[derive(Debug, Default)]
pub(crate) struct Scopes(HashMap<(Scope, LogicalCategory), Rollup>);

impl Scopes {
    /// Counts an event in each scope that it belongs to.
    pub(crate) fn count(&mut self, event: Counted<'_>) {
        let Counted {
            category,
            target,
            tags,
            digest,
            client,
            time,
        } = event;
        let digest = digest.cloned().map(|digest| {
            if tags.is_empty() {
                Scope::UntaggedDigest(digest)
            } else {
                Scope::TaggedDigest(digest)
            }
        });
        let tags = tags.iter().cloned().map(Scope::Tag);
        for scope in [Scope::All].into_iter().chain(tags).chain(digest) {
            self.0
                .entry((scope, category))
                .or_default()
                .add(target, client, time);
        }
    }

    /// Takes out the roll-up of one scope and category; empty where nothing was counted.
    pub(crate) fn take(&mut self, key: &(Scope, LogicalCategory)) -> Rollup {
        self.0.remove(key).unwrap_or_default()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &(Scope, LogicalCategory)> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture::digest;

    #[test]
    fn an_event_counts_in_each_scope_it_belongs_to() {
        let mut scopes = Scopes::default();
        let tags = ["v1".to_owned(), "v2".to_owned()];
        let client = EventClient {
            address: None,
            network_type: None,
            actor: None,
        };
        let (a, b) = (digest('A'), digest('B'));
        for (category, tags, digest) in [
            (LogicalCategory::Delete, &tags[..], Some(&a)),
            (LogicalCategory::Pull, &[], Some(&b)),
            (LogicalCategory::Push, &tags[..1], None),
        ] {
            scopes.count(Counted {
                category,
                target: None,
                tags,
                digest,
                client,
                time: 7,
            });
        }
        let mut keys: Vec<_> = scopes.keys().cloned().collect();
        keys.sort();
        let tag = |tag: &str| Scope::Tag(tag.to_owned());
        assert_eq!(
            keys,
            [
                (Scope::All, LogicalCategory::Push),
                (Scope::All, LogicalCategory::Pull),
                (Scope::All, LogicalCategory::Delete),
                (tag("v1"), LogicalCategory::Push),
                (tag("v1"), LogicalCategory::Delete),
                (tag("v2"), LogicalCategory::Delete),
                (Scope::TaggedDigest(a), LogicalCategory::Delete),
                (Scope::UntaggedDigest(b), LogicalCategory::Pull),
            ]
        );
        let mut bytes = |tag_name| scopes.take(&(tag(tag_name), LogicalCategory::Push)).encode(0);
        assert_eq!(bytes("v3"), Rollup::default().encode(0));
        assert_ne!(bytes("v1"), Rollup::default().encode(0));
        assert_eq!(bytes("v1"), Rollup::default().encode(0), "it was taken out");
    }
}

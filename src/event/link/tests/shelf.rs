//! A store reduced to what the linker asks of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::{prelude::*, sample::subsequence};

use super::Written;
use crate::{
    event::{
        Category, LogicalEvent, StoredEvent,
        fixture::raws,
        link::{DigestFacts, Relink, Span, link},
    },
    image::Digest,
};

/// Time and id.
type Place = (Timestamp, String);

fn owned((time, id): (Timestamp, &str)) -> Place {
    (time, id.to_owned())
}

#[derive(Default)]
pub(super) struct Shelf {
    pub(super) raw: BTreeMap<Place, StoredEvent>,
    logical: BTreeMap<Place, LogicalEvent>,
}

/// Facts written down, and the sources that have told something.
struct Known<'a> {
    written: &'a Written,
    raw: &'a BTreeMap<Place, StoredEvent>,
}

impl DigestFacts for Known<'_> {
    fn is_manifest(&self, digest: &Digest) -> bool {
        self.written.is_manifest(digest)
    }

    fn has_edges(&self) -> bool {
        self.written.has_edges()
    }

    fn parents(&self, child: &Digest) -> Vec<Digest> {
        self.written.parents(child)
    }

    fn sources(&self, category: Category) -> usize {
        self.raw
            .values()
            .filter(|stored| stored.event.category == category)
            .map(|stored| &stored.source)
            .collect::<BTreeSet<_>>()
            .len()
    }
}

impl Shelf {
    pub(super) fn append(&mut self, new: &[StoredEvent], facts: &Written) {
        let Some(first) = new.iter().map(|stored| stored.time).min() else {
            return;
        };
        let last = new.iter().map(|stored| stored.time).max().unwrap_or(first);
        self.raw
            .extend(new.iter().map(|stored| (owned(stored.place()), stored.clone())));
        self.relink(Span { first, last }, facts);
    }

    pub(super) fn relink(&mut self, changed: Span, written: &Written) {
        let known = Known {
            written,
            raw: &self.raw,
        };
        let mut stretches = vec![changed];
        if known.sources(Category::Delete) > 1 {
            stretches.extend(self.of_same_requests(changed).map(|stored| Span {
                first: stored.time,
                last: stored.time,
            }));
        }
        for stretch in stretches {
            self.relink_stretch(stretch, written);
        }
    }

    /// Deletes that share a request with one in the stretch.
    fn of_same_requests(&self, stretch: Span) -> impl Iterator<Item = &StoredEvent> {
        let deletes = || {
            self.raw
                .values()
                .filter(|stored| stored.event.category == Category::Delete)
        };
        let requests: BTreeSet<&String> = deletes()
            .filter(|stored| stretch.contains(stored.time))
            .filter_map(|stored| stored.event.request_id.as_ref())
            .collect();
        deletes().filter(move |stored| {
            let request = stored.event.request_id.as_ref();
            request.is_some_and(|request| requests.contains(request))
        })
    }

    fn relink_stretch(&mut self, changed: Span, written: &Written) {
        let known = Known {
            written,
            raw: &self.raw,
        };
        let relink = Relink::around(changed, &known);
        let mut read: Vec<StoredEvent> = self
            .raw
            .values()
            .filter(|stored| {
                let merged = relink.merged(stored.event.category);
                merged.unwrap_or(relink.read).contains(stored.time)
            })
            .cloned()
            .collect();
        let deletes = relink.merged(Category::Delete).unwrap_or(changed);
        read.extend(self.of_same_requests(deletes).cloned());
        let replacement = relink.replacement(&read, &known);
        for stored in &replacement.deciding {
            self.logical.remove(&owned(stored.place()));
        }
        for made in replacement.insert {
            let place = made.place();
            assert!(
                replacement.deciding.iter().any(|stored| stored.place() == place),
                "inserted only what was removed"
            );
            self.logical.insert(owned(place), made);
        }
    }

    pub(super) fn check(&self, facts: &Written) -> Result<(), TestCaseError> {
        let raw: Vec<StoredEvent> = self.raw.values().cloned().collect();
        let scratch = link(&raw, facts);
        let kept: Vec<LogicalEvent> = self.logical.values().cloned().collect();
        prop_assert_eq!(kept, scratch);
        Ok(())
    }
}

/// What was there, and what came then: the store holds what linking all of it makes.
#[track_caller]
pub(super) fn settles(facts: &str, before: &str, then: &str) {
    let facts = Written::new(facts);
    let mut shelf = Shelf::default();
    shelf.append(&raws(before), &facts);
    shelf.append(&raws(then), &facts);
    shelf.check(&facts).unwrap();
}

/// Events in another order, cut into portions.
pub(super) fn deliveries_of(
    events: impl Strategy<Value = Vec<StoredEvent>>,
) -> impl Strategy<Value = Vec<Vec<StoredEvent>>> {
    events.prop_flat_map(|events| {
        let places: Vec<usize> = (0..=events.len()).collect();
        let cuts = subsequence(places, 0..=events.len());
        (Just(events).prop_shuffle(), cuts).prop_map(|(events, cuts)| {
            let mut portions = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([events.len()]) {
                portions.push(events[from..cut].to_vec());
                from = cut;
            }
            portions
        })
    })
}

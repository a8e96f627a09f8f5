use std::collections::{HashMap, HashSet, hash_map::Entry};

use super::{Act, DigestFacts, families::families, pairing::nearest};
use crate::event::{LogicalCategory, StoredEvent};

/// Each push is a Push, save that of a child which its client pushed without a tag
/// right before the index, and one that is told again in other words.
///
/// `raw` holds pushes of one source only, in order of (time, id).
pub(super) fn pushes<'a>(raw: &[&'a StoredEvent], facts: &impl DigestFacts) -> Vec<Act<'a>> {
    let pairs = if facts.has_edges() {
        indexes(raw, facts)
    } else {
        Vec::new()
    };
    let taken: HashSet<usize> = pairs.iter().map(|&(child, _)| child).collect();
    let mut children: HashMap<usize, i64> = HashMap::new();
    for (_, index) in pairs {
        *children.entry(index).or_default() += 1;
    }
    let pushes = raw
        .iter()
        .enumerate()
        .filter(|(position, _)| !taken.contains(position))
        .map(|(position, &stored)| {
            let mut push = Act::of(stored, LogicalCategory::Push);
            push.made.raw_count += children.get(&position).copied().unwrap_or_default();
            push
        });
    told_once(pushes.collect())
}

/// What a source tells twice under two ids, with one request id and of one time, tag and digest,
/// is one push: a webhook that sends GitHub's two kinds of events does so. That decides which
/// was received first.
fn told_once(mut pushes: Vec<Act<'_>>) -> Vec<Act<'_>> {
    pushes.sort_by_key(|push| (push.decides.received, &push.decides.event.id));
    let mut place_of: HashMap<_, usize> = HashMap::new();
    let mut once: Vec<Act<'_>> = Vec::with_capacity(pushes.len());
    for push in pushes {
        let event = &push.decides.event;
        let Some(request) = &event.request_id else {
            once.push(push);
            continue;
        };
        let told = (request, push.decides.time, &event.tag, &event.digest);
        match place_of.entry(told) {
            Entry::Occupied(place) => once[*place.get()].made.raw_count += push.made.raw_count,
            Entry::Vacant(place) => {
                place.insert(once.len());
                once.push(push);
            }
        }
    }
    once
}

/// Pairs `(child, index)`. An index takes of each child the nearest earlier push.
fn indexes(raw: &[&StoredEvent], facts: &impl DigestFacts) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for family in families(raw, facts, |_, stored| Some(stored.event.tag.is_some())) {
        pairs.extend(nearest(raw, &family.children, &family.indexes, |_, _| true));
    }
    pairs
}

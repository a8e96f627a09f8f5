use std::collections::{HashMap, HashSet};

use super::{
    DigestFacts, logical,
    pairing::{Client, nearest},
};
use crate::{
    event::{LogicalCategory, LogicalEvent, StoredEvent},
    image::Digest,
};

/// Each push is a Push, save that of a child which its client pushed without a tag
/// right before the index.
///
/// `raw` holds pushes only, in order of (time, id).
pub(super) fn pushes(raw: &[&StoredEvent], facts: &impl DigestFacts) -> Vec<LogicalEvent> {
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
    raw.iter()
        .enumerate()
        .filter(|(position, _)| !taken.contains(position))
        .map(|(position, event)| LogicalEvent {
            raw_count: 1 + children.get(&position).copied().unwrap_or_default(),
            ..logical(event, LogicalCategory::Push)
        })
        .collect()
}

/// Pairs `(child, index)`. An index takes of each child the nearest earlier push.
fn indexes(raw: &[&StoredEvent], facts: &impl DigestFacts) -> Vec<(usize, usize)> {
    let mut parents_of: HashMap<&Digest, Vec<Digest>> = HashMap::new();
    let mut children: HashMap<(Client<'_>, &Digest), Vec<usize>> = HashMap::new();
    let mut tops: HashMap<(Client<'_>, &Digest), Vec<usize>> = HashMap::new();
    for (position, stored) in raw.iter().enumerate() {
        let Some(digest) = &stored.event.digest else {
            continue;
        };
        let parents = parents_of.entry(digest).or_insert_with(|| facts.parents(digest));
        let top = stored.event.tag.is_some() || parents.is_empty();
        let kind = if top { &mut tops } else { &mut children };
        kind.entry((Client::of(&stored.event), digest))
            .or_default()
            .push(position);
    }
    let mut pairs = Vec::new();
    for ((client, child), earlier) in &children {
        let mut later: Vec<usize> = parents_of[child]
            .iter()
            .filter_map(|parent| tops.get(&(*client, parent)))
            .flatten()
            .copied()
            .collect();
        later.sort_unstable();
        later.dedup();
        pairs.extend(nearest(raw, earlier, &later, |_, _| true));
    }
    pairs
}

use std::collections::{HashMap, HashSet};

use super::{Act, DigestFacts, families::families, pairing::nearest};
use crate::event::{LogicalCategory, StoredEvent};

/// Each push is a Push, save that of a child which its client pushed without a tag
/// right before the index.
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
    raw.iter()
        .enumerate()
        .filter(|(position, _)| !taken.contains(position))
        .map(|(position, &stored)| {
            let mut push = Act::of(stored, LogicalCategory::Push);
            push.made.raw_count += children.get(&position).copied().unwrap_or_default();
            push
        })
        .collect()
}

/// Pairs `(child, index)`. An index takes of each child the nearest earlier push.
fn indexes(raw: &[&StoredEvent], facts: &impl DigestFacts) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for family in families(raw, facts, |_, stored| Some(stored.event.tag.is_some())) {
        pairs.extend(nearest(raw, &family.children, &family.indexes, |_, _| true));
    }
    pairs
}

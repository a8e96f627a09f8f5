use std::collections::HashMap;

use super::{DigestFacts, pairing::Client};
use crate::{event::StoredEvent, image::Digest};

/// Requests for a child of an index and for the index itself, by the same client. Positions in `raw`, ascending.
pub(super) struct Family {
    pub(super) children: Vec<usize>,
    pub(super) indexes: Vec<usize>,
}

/// The families among requests that name a digest: one for each client and child. `is_named` says of a position
/// whether it was asked for by name, which a child never is; nothing leaves it out.
pub(super) fn families(
    raw: &[&StoredEvent],
    facts: &impl DigestFacts,
    is_named: impl Fn(usize, &StoredEvent) -> Option<bool>,
) -> Vec<Family> {
    let mut parents_of: HashMap<&Digest, Vec<Digest>> = HashMap::new();
    let mut children: HashMap<(Client<'_>, &Digest), Vec<usize>> = HashMap::new();
    let mut tops: HashMap<(Client<'_>, &Digest), Vec<usize>> = HashMap::new();
    for (position, stored) in raw.iter().enumerate() {
        let Some(digest) = &stored.event.digest else {
            continue;
        };
        let Some(named) = is_named(position, stored) else {
            continue;
        };
        let parents = parents_of.entry(digest).or_insert_with(|| facts.parents(digest));
        let kind = if named || parents.is_empty() {
            &mut tops
        } else {
            &mut children
        };
        kind.entry((Client::of(&stored.event), digest))
            .or_default()
            .push(position);
    }
    children
        .into_iter()
        .map(|((client, child), children)| {
            let mut indexes: Vec<usize> = parents_of[child]
                .iter()
                .filter_map(|parent| tops.get(&(client, parent)))
                .flatten()
                .copied()
                .collect();
            indexes.sort_unstable();
            indexes.dedup();
            Family { children, indexes }
        })
        .collect()
}

use std::collections::HashMap;

use super::{
    Act, DigestFacts,
    families::families,
    is_head,
    pairing::{Client, nearest},
};
use crate::{
    event::{LogicalCategory, StoredEvent},
    image::Digest,
};

/// Each GET is a Pull, save one that fetches a platform's manifest right after its
/// index; a HEAD that no GET takes is a Check.
///
/// `raw` holds pulls of one source only, in order of (time, id).
pub(super) fn pulls<'a>(raw: &[&'a StoredEvent], facts: &impl DigestFacts) -> Vec<Act<'a>> {
    let head_of = heads(raw);
    let index_of = if facts.has_edges() {
        indexes(raw, &head_of, facts)
    } else {
        HashMap::new()
    };

    let mut made: HashMap<usize, Act<'_>> = HashMap::new();
    for (position, &stored) in raw.iter().enumerate() {
        let category = if is_head(stored) {
            LogicalCategory::Check
        } else {
            LogicalCategory::Pull
        };
        made.insert(position, Act::of(stored, category));
    }
    for (get, head) in head_of {
        absorb(&mut made, get, head);
        if let Some(get) = made.get_mut(&get) {
            get.head = Some(raw[head]);
        }
    }
    for (child, index) in index_of {
        absorb(&mut made, index, child);
    }
    made.into_values().collect()
}

/// `part` becomes a part of `whole`, which keeps its own id, time and, if it has one, tag.
fn absorb(made: &mut HashMap<usize, Act<'_>>, whole: usize, part: usize) {
    let Some(Act { made: part, .. }) = made.remove(&part) else {
        return;
    };
    if let Some(Act { made: whole, .. }) = made.get_mut(&whole) {
        whole.raw_count += part.raw_count;
        if whole.tags.is_empty() {
            whole.tags = part.tags;
        }
    }
}

/// Which HEAD by tag each GET takes.
fn heads(raw: &[&StoredEvent]) -> HashMap<usize, usize> {
    #[derive(Default)]
    struct Requests {
        heads: Vec<usize>,
        gets: Vec<usize>,
    }
    let mut groups: HashMap<(Client<'_>, &Digest), Requests> = HashMap::new();
    for (position, stored) in raw.iter().enumerate() {
        let Some(digest) = &stored.event.digest else {
            continue;
        };
        let group = groups.entry((Client::of(&stored.event), digest)).or_default();
        if !is_head(stored) {
            group.gets.push(position);
        } else if stored.event.tag.is_some() {
            group.heads.push(position);
        }
    }
    let mut head_of = HashMap::new();
    for Requests { heads, gets } in groups.values() {
        let pairs = nearest(raw, heads, gets, |head, get| {
            get.tag.is_none() || get.tag == head.tag
        });
        head_of.extend(pairs.into_iter().map(|(head, get)| (get, head)));
    }
    head_of
}

/// Which GET of an index takes each GET of one of its children: the nearest before it
/// that has not taken this child yet.
///
/// A GET by tag, or after a HEAD by tag, is never a child's: it was asked for by name.
/// Only a GET that is not itself of this kind can take one.
fn indexes(
    raw: &[&StoredEvent],
    head_of: &HashMap<usize, usize>,
    facts: &impl DigestFacts,
) -> HashMap<usize, usize> {
    let is_named = |position, stored: &StoredEvent| {
        (!is_head(stored)).then(|| stored.event.tag.is_some() || head_of.contains_key(&position))
    };
    let mut index_of = HashMap::new();
    for family in families(raw, facts, is_named) {
        let pairs = nearest(raw, &family.indexes, &family.children, |_, _| true);
        index_of.extend(pairs.into_iter().map(|(index, child)| (child, index)));
    }
    index_of
}

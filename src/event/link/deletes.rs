use std::collections::{BTreeMap, BTreeSet};

use super::{Act, DigestFacts, LATE};
use crate::{
    event::{DeleteTarget, LogicalCategory, StoredEvent},
    image::Digest,
};

/// The deletes of one request are one Delete: a registry that removes a manifest
/// reports the tags that go with it one by one (distribution, `registry/handlers/manifests.go`).
///
/// `raw` holds deletes of one source only.
pub(super) fn deletes<'a>(raw: &[&'a StoredEvent], facts: &impl DigestFacts) -> Vec<Act<'a>> {
    let mut requests: BTreeMap<&str, Vec<&'a StoredEvent>> = BTreeMap::new();
    let mut made = Vec::new();
    for &stored in raw {
        match &stored.event.request_id {
            Some(request) => requests.entry(request).or_default().push(stored),
            None => made.push(delete(&[stored], facts)),
        }
    }
    for mut request in requests.into_values() {
        request.sort_by_key(|stored| (stored.received, stored.time, &stored.event.id));
        let mut rest = request.as_slice();
        while let Some(first) = rest.first() {
            let length =
                rest.partition_point(|stored| stored.received.duration_since(first.received) <= LATE);
            let (together, late) = rest.split_at(length);
            made.extend(acts(together).iter().map(|act| delete(act, facts)));
            rest = late;
        }
    }
    made
}

/// What one request did. One act, unless it removed several manifests: then one for
/// each, and one for the tags of which it is not said to which they belonged.
fn acts<'a>(request: &[&'a StoredEvent]) -> Vec<Vec<&'a StoredEvent>> {
    let digests: BTreeSet<&Digest> = request
        .iter()
        .filter_map(|stored| stored.event.digest.as_ref())
        .collect();
    let whole = request
        .iter()
        .any(|stored| stored.event.target == Some(DeleteTarget::Repository));
    if whole || digests.len() < 2 {
        return vec![request.to_vec()];
    }
    let mut acts: BTreeMap<Option<&Digest>, Vec<&StoredEvent>> = BTreeMap::new();
    for &stored in request {
        acts.entry(stored.event.digest.as_ref()).or_default().push(stored);
    }
    acts.into_values().collect()
}

/// One Delete of its parts, of which there is at least one. The part that removed most
/// decides, the earliest of several.
fn delete<'a>(parts: &[&'a StoredEvent], facts: &impl DigestFacts) -> Act<'a> {
    let mut parts = parts.to_vec();
    parts.sort_by_key(|stored| (rank(stored), stored.time, &stored.event.id));
    let tags: BTreeSet<&String> = parts
        .iter()
        .filter_map(|stored| stored.event.tag.as_ref())
        .collect();
    let digest = parts.iter().find_map(|stored| stored.event.digest.as_ref());

    let mut act = Act::of(parts[0], LogicalCategory::Delete);
    let made = &mut act.made;
    made.raw_count = i64::try_from(parts.len()).unwrap_or(i64::MAX);
    made.tags = tags.into_iter().cloned().collect();
    if made.target == Some(DeleteTarget::Manifest) {
        made.digest = digest.cloned();
        // Tags go only with manifests: the request itself shows what it was.
        let manifest = !made.tags.is_empty() || digest.is_some_and(|digest| facts.is_manifest(digest));
        if !manifest {
            made.category = LogicalCategory::UnresolvedDelete;
        }
    }
    act
}

fn rank(stored: &StoredEvent) -> u8 {
    match stored.event.target {
        Some(DeleteTarget::Repository) => 0,
        Some(DeleteTarget::Manifest) => 1,
        Some(DeleteTarget::Tag) | None => 2,
    }
}

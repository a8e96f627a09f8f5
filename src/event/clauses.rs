//! Which events belong to a question about a tag, a digest or a repository: the
//! [`Clause`]s of a [`store::EventQuery`](crate::store::EventQuery).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::Attribution;
use crate::{
    image::Digest,
    store::{Clause, Select, TagPointer, Window},
};

/// A stretch of time in which a tag had a digest. It holds the instant of the delete
/// that ended it: the tag pointed there when it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    pub digest: Digest,
    pub window: Window,
    /// Whether another tag of the repository had the digest too, all of this time.
    pub shared: bool,
}

/// The smallest step between two times.
const INSTANT: SignedDuration = SignedDuration::from_nanos(1);

/// For a tag: the events that name it, those that name the whole repository, and those
/// without a tag that name the digest it had at their time.
#[must_use]
pub fn clauses_for_tag(tag: &str, pointers: &[TagPointer], window: Window) -> Vec<Clause> {
    let named = Clause {
        select: Select::Tag(tag.to_owned()),
        window,
        attribution: Attribution::Named,
    };
    let linked = stretches(tag, pointers, window)
        .into_iter()
        .map(|stretch| Clause {
            select: Select::UntaggedDigest(stretch.digest),
            window: stretch.window,
            attribution: if stretch.shared {
                Attribution::Shared
            } else {
                Attribution::Linked
            },
        });
    [named, whole_repository(window)]
        .into_iter()
        .chain(linked)
        .collect()
}

/// For a digest: the events that name it, those that name the whole repository, and
/// the deletes of tags that pointed at it then.
#[must_use]
pub fn clauses_for_digest(digest: &Digest, pointers: &[TagPointer], window: Window) -> Vec<Clause> {
    let named = Clause {
        select: Select::Digest(digest.clone()),
        window,
        attribution: Attribution::Named,
    };
    let untagged = held(pointers)
        .into_iter()
        .filter(|held| held.digest == digest && held.deleted)
        .filter_map(|held| {
            let window = common(held.window, window)?;
            let select = Select::TagDelete(held.tag.to_owned());
            Some(Clause {
                select,
                window,
                attribution: Attribution::Linked,
            })
        });
    [named, whole_repository(window)]
        .into_iter()
        .chain(untagged)
        .collect()
}

/// For a repository: all its events.
#[must_use]
pub fn clauses_for_repository(window: Window) -> Vec<Clause> {
    vec![Clause {
        select: Select::All,
        window,
        attribution: Attribution::Named,
    }]
}

fn whole_repository(window: Window) -> Clause {
    Clause {
        select: Select::WholeRepository,
        window,
        attribution: Attribution::Linked,
    }
}

/// What the tag pointed at within the window, oldest first, cut where another tag
/// begins or ceases to share the digest.
///
/// `pointers` are those of the whole repository, oldest first.
#[must_use]
pub fn stretches(tag: &str, pointers: &[TagPointer], window: Window) -> Vec<Stretch> {
    let mut by_digest: HashMap<&Digest, Vec<&Held<'_>>> = HashMap::new();
    let all = held(pointers);
    for held in &all {
        by_digest.entry(held.digest).or_default().push(held);
    }
    all.iter()
        .filter(|held| held.tag == tag)
        .filter_map(|own| Some((own, common(own.window, window)?)))
        .flat_map(|(own, window)| {
            let others = by_digest[own.digest].iter().filter(|other| other.tag != tag);
            let pieces = shared_or_not(window, others.map(|other| other.window));
            pieces.into_iter().map(|(window, shared)| Stretch {
                digest: own.digest.clone(),
                window,
                shared,
            })
        })
        .collect()
}

/// Cuts `whole` into pieces, and says of each whether one of `others` covers it.
fn shared_or_not(whole: Window, others: impl Iterator<Item = Window>) -> Vec<(Window, bool)> {
    // How many begin, less how many end, at an instant.
    let mut turns: BTreeMap<Timestamp, i64> = BTreeMap::from([(whole.end, 0)]);
    for other in others.filter_map(|other| common(other, whole)) {
        *turns.entry(other.start).or_default() += 1;
        *turns.entry(other.end).or_default() -= 1;
    }
    let mut pieces: Vec<(Window, bool)> = Vec::new();
    let (mut start, mut covering) = (whole.start, 0);
    for (end, change) in turns {
        let shared = covering > 0;
        match pieces.last_mut() {
            Some((last, before)) if *before == shared => last.end = end,
            _ if start < end => pieces.push((Window { start, end }, shared)),
            _ => {}
        }
        start = end;
        covering += change;
    }
    pieces
}

/// A tag's digest from one pointer to the next.
struct Held<'a> {
    tag: &'a str,
    digest: &'a Digest,
    window: Window,
    /// Whether a delete ended it.
    deleted: bool,
}

fn held(pointers: &[TagPointer]) -> Vec<Held<'_>> {
    let mut histories: BTreeMap<&str, Vec<&TagPointer>> = BTreeMap::new();
    for pointer in pointers {
        histories.entry(&pointer.tag).or_default().push(pointer);
    }
    let mut held = Vec::new();
    for (tag, history) in histories {
        for (position, pointer) in history.iter().enumerate() {
            let Some(digest) = &pointer.digest else { continue };
            let next = history.get(position + 1);
            let deleted = next.is_some_and(|next| next.digest.is_none());
            let end = match next {
                Some(next) if deleted => next.from.checked_add(INSTANT).unwrap_or(Timestamp::MAX),
                Some(next) => next.from,
                None => Timestamp::MAX,
            };
            held.push(Held {
                tag,
                digest,
                window: Window {
                    start: pointer.from,
                    end,
                },
                deleted,
            });
        }
    }
    held
}

fn common(one: Window, other: Window) -> Option<Window> {
    let window = Window {
        start: one.start.max(other.start),
        end: one.end.min(other.end),
    };
    (window.start < window.end).then_some(window)
}

//! The same act, told by several sources of one registry.
//!
//! A webhook and an audit log tell of one pull; an image action and an audit trail of one
//! push. Each source is linked for itself first: its HEADs and GETs, its indexes and children,
//! the deletes of its requests. Then acts of different sources are one where all of this holds:
//!
//! - They are of one kind: pulls, pushes, deletes of one target, or HEADs. A HEAD is looked for
//!   among the HEADs of the other source, those that a GET took among them: a check that another
//!   source tells as part of a pull is no check. A pull of a source that names no method counts
//!   as a GET, as everywhere.
//! - Both have a time of their own, at most [`PAIRING`] apart. When they were *received* does
//!   not matter: an audit log that is polled tells hours later.
//! - They name no two different digests and no two different tags, and have a digest or a tag in
//!   common (or both removed the whole repository). A row that names the tag alone and one that
//!   names the digest alone may be two pulls; what names both is one with either.
//! - They name no two different addresses, and no two different actors that are written in
//!   the same way. One source writes `alice`, another `alice@example.com` or an id: such two
//!   names tell nothing of each other, and where they did, a pull by a second person would be
//!   lost. Case does not count: no registry holds two names apart by it, and where one does, the
//!   two would have to pull the same image within seconds. User agents are not compared: a log
//!   may cut them.
//! - Instead of address and actor, and of a name in common, the same request id is enough: a
//!   proxy's log knows the client, the registry behind it the proxy. Different ids tell nothing:
//!   each source may count in its own way.
//!
//! An act is one with at most one act of each other source: N pulls by one source and M by
//! another are as many as the greater number, as long as their clocks agree. The same request is
//! taken before others, the near before the far ([`ROUNDS`]): many sources cut their times to
//! whole seconds.
//!
//! Of the acts that are one, that decides which was *received first*: id and time stay when an
//! audit log tells of it later, whatever the order in which raw events come to be linked.
//! What it does not tell is taken from the others, in the order they were received.
//!
//! Sources are taken one after the other, by name. Each matches what is there in [`ROUNDS`],
//! whose outcome is as local as that of [`nearest`](super::pairing::nearest).

use std::{
    collections::{HashMap, HashSet},
    iter,
    net::IpAddr,
};

use jiff::{SignedDuration, Timestamp};

use super::{Act, PAIRING, pairing::nearest_within};
use crate::event::{AddressSource, DeleteTarget, LogicalCategory, LogicalEvent, SourceAddress, TimeSource};

/// Two sources of which one tells whole seconds are this much apart.
const NEAR: SignedDuration = SignedDuration::from_secs(1);

/// What is taken first: how far apart two acts may lie, and whether only those of one request.
const ROUNDS: [(SignedDuration, bool); 3] = [(NEAR, true), (NEAR, false), (PAIRING, false)];

/// How far one act of a source can move what others are one with, either way: each round is two
/// pairings, the later act taking the earlier and the other way round.
pub(super) const MOVES: SignedDuration =
    SignedDuration::from_secs(2 * (NEAR.as_secs() + NEAR.as_secs() + PAIRING.as_secs()));

/// Acts that are one: at most one of each source.
#[derive(Debug)]
struct Together<'a> {
    first: Act<'a>,
    others: Vec<Act<'a>>,
}

/// Pushes or deletes of each source, made one.
pub(super) fn acts(sources: Vec<Vec<Act<'_>>>) -> Vec<LogicalEvent> {
    if sources.len() < 2 {
        return of_one_source(sources);
    }
    merge(sources).into_iter().filter_map(whole).collect()
}

/// Pulls and checks of each source, made one.
pub(super) fn pulls(sources: Vec<Vec<Act<'_>>>) -> Vec<LogicalEvent> {
    if sources.len() < 2 {
        return of_one_source(sources);
    }
    let mut gets: Vec<Vec<Act<'_>>> = Vec::with_capacity(sources.len());
    let mut heads: Vec<Vec<Act<'_>>> = Vec::with_capacity(sources.len());
    for source in sources {
        let taken = source.iter().filter_map(|act| act.head);
        let taken: Vec<Act<'_>> = taken.map(|head| Act::of(head, LogicalCategory::Check)).collect();
        let (mut checks, pulls): (Vec<_>, Vec<_>) = source
            .into_iter()
            .partition(|act| act.made.category == LogicalCategory::Check);
        checks.extend(taken);
        heads.push(checks);
        gets.push(pulls);
    }

    let pulls = merge(gets);
    // The pull that each HEAD is part of.
    let pull_of: HashMap<_, usize> = pulls
        .iter()
        .enumerate()
        .flat_map(|(place, pull)| {
            let heads = pull.acts().filter_map(|act| act.head);
            heads.map(move |head| (head.place(), place))
        })
        .collect();
    let mut made: Vec<LogicalEvent> = pulls.into_iter().filter_map(whole).collect();
    for look in merge(heads) {
        let pull = |act: &Act<'_>| pull_of.get(&act.place()).copied();
        let looks = look.in_order();
        match looks.iter().find_map(pull) {
            None => made.extend(joined(looks)),
            Some(place) => {
                let alone = looks.into_iter().filter(|act| pull(act).is_none());
                alone.for_each(|act| add(&mut made[place], act.made));
            }
        }
    }
    made
}

fn of_one_source(sources: Vec<Vec<Act<'_>>>) -> Vec<LogicalEvent> {
    sources.into_iter().flatten().map(|act| act.made).collect()
}

fn merge(sources: Vec<Vec<Act<'_>>>) -> Vec<Together<'_>> {
    let mut sources = sources.into_iter();
    let first = sources.next().unwrap_or_default();
    let mut merged: Vec<Together<'_>> = first.into_iter().map(Together::of).collect();
    for acts in sources {
        told_again(&mut merged, acts);
    }
    merged
}

/// Adds what a further source tells.
fn told_again<'a>(merged: &mut Vec<Together<'a>>, mut acts: Vec<Act<'a>>) {
    merged.sort_by(|one, other| one.first.place().cmp(&other.first.place()));
    acts.sort_by(|one, other| one.place().cmp(&other.place()));
    let mut places: Vec<usize> = (0..merged.len())
        .filter(|&place| merged[place].first.has_own_time())
        .collect();
    let mut coming: Vec<usize> = (0..acts.len())
        .filter(|&place| acts[place].has_own_time())
        .collect();
    let (merged_at, acts_at) = (
        |place: usize| merged[place].first.time(),
        |place: usize| acts[place].time(),
    );
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (within, of_one_request) in ROUNDS {
        let fits = |place: usize, act: usize| merged[place].is_told_by(&acts[act], of_one_request);
        for acts_take in [true, false] {
            let found = if acts_take {
                nearest_within(within, (&places, merged_at), (&coming, acts_at), fits)
            } else {
                let found = nearest_within(within, (&coming, acts_at), (&places, merged_at), |act, place| {
                    fits(place, act)
                });
                found.into_iter().map(|(act, place)| (place, act)).collect()
            };
            let (taken, told): (HashSet<usize>, HashSet<usize>) = found.iter().copied().unzip();
            places.retain(|place| !taken.contains(place));
            coming.retain(|act| !told.contains(act));
            pairs.extend(found);
        }
    }
    let place_of: HashMap<usize, usize> = pairs.into_iter().map(|(place, act)| (act, place)).collect();
    for (number, act) in acts.into_iter().enumerate() {
        match place_of.get(&number) {
            Some(&place) => merged[place].others.push(act),
            None => merged.push(Together::of(act)),
        }
    }
}

impl Act<'_> {
    fn time(&self) -> Timestamp {
        self.decides.time
    }

    fn place(&self) -> (Timestamp, &str) {
        self.decides.place()
    }

    fn has_own_time(&self) -> bool {
        self.decides.time_source == TimeSource::Event
    }
}

impl<'a> Together<'a> {
    fn of(first: Act<'a>) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }

    fn acts(&self) -> impl Iterator<Item = &Act<'a>> {
        iter::once(&self.first).chain(&self.others)
    }

    /// Whether this act of another source is the same.
    fn is_told_by(&self, act: &Act<'_>, of_one_request: bool) -> bool {
        let is_possible = self.acts().all(|one| {
            one.time().duration_since(act.time()).abs() <= PAIRING
                && one.made.target == act.made.target
                && !differ(one.made.digest.as_ref(), act.made.digest.as_ref())
        });
        if !is_possible {
            return false;
        }
        let tags = &act.made.tags;
        let shares_tag = self
            .acts()
            .any(|one| one.made.tags.iter().any(|tag| tags.contains(tag)));
        let names_other_tags =
            !shares_tag && !tags.is_empty() && self.acts().any(|one| !one.made.tags.is_empty());
        if names_other_tags {
            return false;
        }
        let request = act.decides.event.request_id.as_deref();
        if request.is_some()
            && self
                .acts()
                .any(|one| one.decides.event.request_id.as_deref() == request)
        {
            return true;
        }
        let shares_name = shares_tag
            || act.made.target == Some(DeleteTarget::Repository)
            || act.made.digest.is_some() && self.acts().any(|one| one.made.digest == act.made.digest);
        !of_one_request && shares_name && self.acts().all(|one| may_be_one_client(&one.made, &act.made))
    }

    /// As they were received.
    fn in_order(self) -> Vec<Act<'a>> {
        let mut acts = self.others;
        acts.push(self.first);
        acts.sort_by(|one, other| {
            let key = |act: &Act<'_>| (act.decides.received, act.decides.time);
            (key(one), &one.decides.event.id).cmp(&(key(other), &other.decides.event.id))
        });
        acts
    }
}

/// One event of acts that are one; there always is one.
fn whole(acts: Together<'_>) -> Option<LogicalEvent> {
    joined(acts.in_order())
}

/// One event of acts of which the first decides.
fn joined(acts: Vec<Act<'_>>) -> Option<LogicalEvent> {
    acts.into_iter().map(|act| act.made).reduce(|mut whole, part| {
        add(&mut whole, part);
        whole
    })
}

/// `part` becomes a part of `whole`, which keeps what it tells itself.
fn add(whole: &mut LogicalEvent, part: LogicalEvent) {
    let LogicalEvent {
        id: _,
        category,
        target: _,
        repository: _,
        tags,
        digest,
        media_type,
        address,
        network_type,
        actor,
        user_agent,
        time: _,
        time_source: _,
        raw_count,
    } = part;
    // One source may know that what was deleted was a manifest.
    if category == LogicalCategory::Delete {
        whole.category = category;
    }
    whole.tags.extend(tags);
    whole.tags.sort();
    whole.tags.dedup();
    whole.digest = whole.digest.take().or(digest);
    whole.media_type = whole.media_type.take().or(media_type);
    if !differ(ip(whole.address), ip(address)) {
        whole.address = surest(whole.address, address);
        whole.network_type = whole.network_type.or(network_type);
    }
    whole.actor = whole.actor.take().or(actor);
    whole.user_agent = whole.user_agent.take().or(user_agent);
    whole.raw_count += raw_count;
}

/// Of one address, known in two ways, the one that cannot be forged.
fn surest(one: Option<SourceAddress>, other: Option<SourceAddress>) -> Option<SourceAddress> {
    let is_peer = |address: &SourceAddress| address.source == AddressSource::Peer;
    one.filter(is_peer).or(other.filter(is_peer)).or(one).or(other)
}

fn may_be_one_client(one: &LogicalEvent, other: &LogicalEvent) -> bool {
    let actors = one.actor.as_deref().zip(other.actor.as_deref());
    let actors_differ = actors.is_some_and(|(one, other)| {
        Writing::of(one) == Writing::of(other) && !one.eq_ignore_ascii_case(other)
    });
    !actors_differ && !differ(ip(one.address), ip(other.address))
}

/// How an actor is written. Two that are written differently may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// `alice`, `robot$ci`, a path of a role.
    Name,
    /// `alice@example.com`.
    MailAddress,
    /// `arn:aws:iam::…`.
    ResourceName,
    /// A UUID or a number.
    Id,
}

impl Writing {
    fn of(actor: &str) -> Self {
        if actor.starts_with("arn:") {
            Self::ResourceName
        } else if actor.contains('@') {
            Self::MailAddress
        } else if is_id(actor) {
            Self::Id
        } else {
            Self::Name
        }
    }
}

fn is_id(actor: &str) -> bool {
    const UUID: usize = 36;
    let is_uuid = || {
        let mut bytes = actor.bytes();
        actor.len() == UUID && bytes.all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    actor.bytes().all(|byte| byte.is_ascii_digit()) || is_uuid()
}

fn ip(address: Option<SourceAddress>) -> Option<IpAddr> {
    address.map(|address| address.ip.to_canonical())
}

/// Whether both are there, and not the same.
fn differ<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

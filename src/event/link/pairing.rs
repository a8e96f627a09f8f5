//! Pairing of requests of one client: who takes what.
//!
//! A later request takes the nearest earlier one that is still free. Because the
//! nearest is preferred, the outcome is local: one more request shifts the choices of
//! requests at most [`PAIRING`] after it, each towards something older, and frees or
//! takes nothing older than [`PAIRING`] before it. [`Relink`](super::Relink) rests on that, and
//! on the same of any other distance.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::{LATE, PAIRING};
use crate::event::{AddressSource, RegistryEvent, StoredEvent};

/// Who asked, as far as events tell: address without port, and user agent. Clients
/// behind one address with one program are one; so are those of whom neither is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Client<'a> {
    address: Option<(IpAddr, AddressSource)>,
    user_agent: Option<&'a str>,
}

impl<'a> Client<'a> {
    pub(super) fn of(event: &'a RegistryEvent) -> Self {
        Self {
            address: event
                .address
                .map(|address| (address.ip.to_canonical(), address.source)),
            user_agent: event.user_agent.as_deref(),
        }
    }
}

/// Pairs events of one client. `earlier` and `later` are positions in `raw`, which is
/// in order of (time, id), and ascend. Each event is in at most one pair `(earlier, later)`.
pub(super) fn nearest(
    raw: &[&StoredEvent],
    earlier: &[usize],
    later: &[usize],
    fits: impl Fn(&RegistryEvent, &RegistryEvent) -> bool,
) -> Vec<(usize, usize)> {
    let time = |place: usize| raw[place].time;
    nearest_within(PAIRING, (earlier, time), (later, time), |part, taker| {
        together(raw[part], raw[taker]) && fits(&raw[part].event, &raw[taker].event)
    })
}

/// Pairs places of `earlier` with places of `later`, each with the time of a place and in its
/// order, that lie at most `within` apart.
pub(super) fn nearest_within(
    within: SignedDuration,
    (earlier, time_of_earlier): (&[usize], impl Fn(usize) -> Timestamp),
    (later, time_of_later): (&[usize], impl Fn(usize) -> Timestamp),
    fits: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut coming = earlier.iter().copied().peekable();
    for &taker in later {
        let time = time_of_later(taker);
        while let Some(part) = coming.next_if(|&part| time_of_earlier(part) <= time) {
            free.push(part);
        }
        let found = free
            .iter()
            .enumerate()
            .rev()
            .take_while(|&(_, &part)| time.duration_since(time_of_earlier(part)) <= within)
            .find(|&(_, &part)| fits(part, taker))
            .map(|(place, _)| place);
        if let Some(place) = found {
            pairs.push((free.remove(place), taker));
        }
    }
    pairs
}

/// Whether neither came too late for the other.
fn together(one: &StoredEvent, other: &StoredEvent) -> bool {
    one.received.duration_since(other.received).abs() <= LATE
}

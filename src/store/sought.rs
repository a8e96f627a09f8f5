//! Where the events of some clients lie in a bucket, as far as its roll-up tells: a page of a rare
//! client's events does not read what others did.

use std::ops::Range;

use super::{
    Clients,
    rollup::{self, Sum, Unreadable},
};

/// Times are nanoseconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sought {
    Nowhere,
    /// At these times and at no other, newest first.
    At(Vec<i64>),
    /// Somewhere in this stretch, at both of its ends for sure. It is no longer than the bucket.
    Within(Range<i64>),
}

/// More times than that are rather read as a stretch: pages are shorter.
const MOST_TIMES: usize = 256;

/// Looks for the clients in a roll-up, given as its bytes and its bucket's start.
pub(crate) fn seek(bytes: &[u8], start: i64, clients: &Clients) -> Result<Sought, Unreadable> {
    let mut times: Vec<i64> = Vec::new();
    let mut ends: Option<(i64, i64)> = None;
    let mut all_listed = true;
    rollup::read(bytes, start, |sum| {
        let Sum {
            target: _,
            client,
            count: _,
            first,
            last,
            times: listed,
        } = sum;
        if !clients.let_through(client) {
            return;
        }
        let (from, to) = ends.unwrap_or((first, last));
        ends = Some((from.min(first), to.max(last)));
        all_listed &= !listed.is_empty() && times.len() + listed.len() <= MOST_TIMES;
        if all_listed {
            times.extend_from_slice(listed);
        }
    })?;
    let Some((first, last)) = ends else {
        return Ok(Sought::Nowhere);
    };
    if !all_listed {
        return Ok(Sought::Within(first..last.saturating_add(1)));
    }
    times.sort_unstable_by(|one, other| other.cmp(one));
    times.dedup();
    Ok(Sought::At(times))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        EventClient,
        rollup::{LISTED, Rollup},
    };

    const START: i64 = 1_770_000_000_000_000_000;

    fn rollup(events: &[(&str, i64)]) -> Vec<u8> {
        let mut rollup = Rollup::default();
        for &(actor, time) in events {
            let client = EventClient {
                address: None,
                network_type: None,
                actor: Some(actor),
            };
            rollup.add(None, client, START + time);
        }
        rollup.encode(START)
    }

    fn of(actors: &'static [&'static str]) -> Clients {
        Clients::only(|client| client.actor.is_some_and(|actor| actors.contains(&actor)))
    }

    #[test]
    fn rare_clients_are_found_by_their_times_and_common_ones_by_a_stretch() {
        let busy: Vec<(&str, i64)> = (0..100).map(|time| ("busy", time + 50)).collect();
        let events = [
            &[("rare", 7), ("rare", 3), ("odd", 7), ("odd", 200)],
            busy.as_slice(),
        ]
        .concat();
        let bytes = rollup(&events);
        let sought = |actors| seek(&bytes, START, &of(actors)).unwrap();
        assert_eq!(sought(&["nobody"]), Sought::Nowhere);
        assert_eq!(sought(&["rare"]), Sought::At(vec![START + 7, START + 3]));
        assert_eq!(
            sought(&["rare", "odd"]),
            Sought::At(vec![START + 200, START + 7, START + 3])
        );
        assert_eq!(sought(&["busy"]), Sought::Within(START + 50..START + 150));
        assert_eq!(sought(&["busy", "rare"]), Sought::Within(START + 3..START + 150));
    }

    #[test]
    fn many_rare_clients_are_a_stretch() {
        let actors: Vec<String> = (0..=MOST_TIMES / LISTED).map(|n| n.to_string()).collect();
        let events: Vec<(&str, i64)> = (0..LISTED)
            .flat_map(|n| {
                actors
                    .iter()
                    .map(move |actor| (actor.as_str(), i64::try_from(n).unwrap()))
            })
            .collect();
        let sought = seek(&rollup(&events), START, &Clients::only(|_| true)).unwrap();
        assert_eq!(sought, Sought::Within(START..START + 16));
    }
}

//! The events of one bucket of time, one category and one scope, counted by client: exact
//! counts, exact first and last times, and of clients with few events the time of each.

mod bytes;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
};

use thiserror::Error;

use self::bytes::{Reader, Writer};
use super::EventClient;
use crate::event::{AddressSource, DeleteTarget, SourceAddress};

/// Of a client with so many events, or fewer, every time is kept: a page of a rare client's
/// events needs no scan.
pub(crate) const LISTED: usize = 16;

/// The first byte. Another layout takes another number; readers know all that were written.
const VERSION: u8 = 1;

/// What one client did in a bucket. Times are nanoseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum<'a> {
    pub(crate) target: Option<DeleteTarget>,
    pub(crate) client: EventClient<'a>,
    /// 1 or more.
    pub(crate) count: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Every time, in order, where `count` is at most [`LISTED`]; else none.
    pub(crate) times: &'a [i64],
}

/// What is kept is not a roll-up that this version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("failed to read a roll-up: {0}")]
pub(crate) struct Unreadable(&'static str);

/// A roll-up as it is made.
#[derive(Debug, Default)]
pub(crate) struct Rollup {
    actors: Vec<String>,
    numbers: HashMap<String, usize>,
    sums: HashMap<Key, Times>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    target: Option<DeleteTarget>,
    address: Option<SourceAddress>,
    /// Its place in the table of actors.
    actor: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Times {
    count: i64,
    first: i64,
    last: i64,
    listed: Vec<i64>,
}

impl Rollup {
    /// Whether nothing was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// Counts one event.
    pub(crate) fn add(&mut self, target: Option<DeleteTarget>, client: EventClient<'_>, time: i64) {
        self.add_sum(Sum {
            target,
            client,
            count: 1,
            first: time,
            last: time,
            times: &[time],
        });
    }

    /// Counts all that another roll-up counts, given as its bytes and its bucket's start.
    pub(crate) fn merge(&mut self, bytes: &[u8], start: i64) -> Result<(), Unreadable> {
        read(bytes, start, |sum| self.add_sum(sum))
    }

    fn add_sum(&mut self, sum: Sum<'_>) {
        let Sum {
            target,
            client: EventClient { address, actor },
            count,
            first,
            last,
            times,
        } = sum;
        let key = Key {
            target,
            address,
            actor: actor.map(|actor| self.number(actor)),
        };
        match self.sums.entry(key) {
            Entry::Vacant(new) => {
                new.insert(Times {
                    count,
                    first,
                    last,
                    listed: times.to_vec(),
                });
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.count = known.count.saturating_add(count);
                known.first = known.first.min(first);
                known.last = known.last.max(last);
                if usize::try_from(known.count).is_ok_and(|count| count <= LISTED) {
                    known.listed.extend_from_slice(times);
                    known.listed.sort_unstable();
                } else {
                    known.listed = Vec::new();
                }
            }
        }
    }

    fn number(&mut self, actor: &str) -> usize {
        if let Some(&number) = self.numbers.get(actor) {
            return number;
        }
        let number = self.actors.len();
        self.actors.push(actor.to_owned());
        self.numbers.insert(actor.to_owned(), number);
        number
    }

    /// The bytes that are kept, given the start of the bucket, in which all times lie. The same
    /// events make the same bytes, in whatever order they were counted.
    pub(crate) fn encode(&self, start: i64) -> Vec<u8> {
        let mut order: Vec<usize> = (0..self.actors.len()).collect();
        order.sort_unstable_by_key(|&actor| &self.actors[actor]);
        let mut places = vec![0; order.len()];
        for (place, &actor) in order.iter().enumerate() {
            places[actor] = place + 1;
        }

        let mut writer = Writer::new(VERSION);
        writer.length(order.len());
        for &actor in &order {
            writer.text(&self.actors[actor]);
        }
        let mut sums: Vec<(Group, u128, &Times)> = self
            .sums
            .iter()
            .map(|(key, times)| {
                let (kind, address) = kind(key.target, key.address);
                let actor = key.actor.map_or(0, |actor| places[actor]);
                (Group { actor, kind }, address, times)
            })
            .collect();
        sums.sort_unstable_by_key(|&(group, address, _)| (group, address));
        for group in sums.chunk_by(|one, other| one.0 == other.0) {
            let Group { actor, kind } = group[0].0;
            writer.length(actor);
            writer.byte(kind);
            writer.length(group.len());
            let mut before = 0;
            for &(_, address, times) in group {
                // The first of a group may be 0, each other is greater than the one before.
                writer.number(address - before);
                before = address;
                write_times(&mut writer, times, start);
            }
        }
        writer.finish()
    }
}

/// Sums that share an actor (0: none, else its place in the table, from 1) and the byte that tells target, family and
/// source of their addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    actor: usize,
    kind: u8,
}

fn write_times(writer: &mut Writer, times: &Times, start: i64) {
    let Times {
        count,
        first,
        last,
        listed,
    } = times;
    writer.number(count.unsigned_abs().into());
    let ends = [*first, *last];
    let written: &[i64] = if listed.is_empty() { &ends } else { listed };
    let mut before = start;
    for &time in written {
        writer.number(time.abs_diff(before).into());
        before = time;
    }
}

/// Reads a roll-up's bytes, sum by sum, given the start of its bucket. The same client and target
/// come once.
pub(crate) fn read(bytes: &[u8], start: i64, mut each: impl FnMut(Sum<'_>)) -> Result<(), Unreadable> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(Unreadable("another version wrote it"));
    }
    let mut actors = Vec::new();
    for _ in 0..reader.length()? {
        actors.push(reader.text()?);
    }
    let mut times = Vec::with_capacity(LISTED);
    while !reader.is_empty() {
        let actor = match reader.length()? {
            0 => None,
            place => Some(*actors.get(place - 1).ok_or(Unreadable("no such actor"))?),
        };
        let kind = reader.byte()?;
        let mut number: u128 = 0;
        for _ in 0..reader.length()? {
            number = number
                .checked_add(reader.number()?)
                .ok_or(Unreadable("an address is too great"))?;
            let (target, address) = of_kind(kind, number)?;
            let count = reader.count()?;
            let listed = usize::try_from(count).is_ok_and(|count| count <= LISTED);
            let written = if listed { count } else { 2 };
            times.clear();
            let mut time = start;
            for _ in 0..written {
                time = reader.later(time)?;
                times.push(time);
            }
            let first = times.first().copied().unwrap_or(start);
            each(Sum {
                target,
                client: EventClient { address, actor },
                count,
                first,
                last: time,
                times: if listed { &times } else { &[] },
            });
        }
    }
    Ok(())
}

/// What a group's byte says, and the address as a number.
fn kind(target: Option<DeleteTarget>, address: Option<SourceAddress>) -> (u8, u128) {
    let target = match target {
        None => 0,
        Some(DeleteTarget::Tag) => 1,
        Some(DeleteTarget::Manifest) => 2,
        Some(DeleteTarget::Repository) => 3,
    };
    let (family, number) = match address.map(|SourceAddress { ip, source }| (ip, source)) {
        None => (0, 0),
        Some((IpAddr::V4(ip), AddressSource::Peer)) => (1, ip.to_bits().into()),
        Some((IpAddr::V4(ip), AddressSource::Header)) => (2, ip.to_bits().into()),
        Some((IpAddr::V6(ip), AddressSource::Peer)) => (3, ip.to_bits()),
        Some((IpAddr::V6(ip), AddressSource::Header)) => (4, ip.to_bits()),
    };
    (target * 8 + family, number)
}

fn of_kind(kind: u8, number: u128) -> Result<(Option<DeleteTarget>, Option<SourceAddress>), Unreadable> {
    let target = match kind / 8 {
        0 => None,
        1 => Some(DeleteTarget::Tag),
        2 => Some(DeleteTarget::Manifest),
        3 => Some(DeleteTarget::Repository),
        _ => return Err(Unreadable("no such target")),
    };
    let v4 = || {
        u32::try_from(number)
            .map(|bits| IpAddr::V4(bits.into()))
            .map_err(|_| Unreadable("an address is too great"))
    };
    let v6 = || IpAddr::V6(number.into());
    let address = match kind % 8 {
        0 => None,
        1 => Some((v4()?, AddressSource::Peer)),
        2 => Some((v4()?, AddressSource::Header)),
        3 => Some((v6(), AddressSource::Peer)),
        4 => Some((v6(), AddressSource::Header)),
        _ => return Err(Unreadable("no such kind of address")),
    };
    Ok((target, address.map(|(ip, source)| SourceAddress { ip, source })))
}

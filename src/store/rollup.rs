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
use crate::event::{AddressSource, DeleteTarget, NetworkType, SourceAddress};

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
    network_type: Option<NetworkType>,
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
            client:
                EventClient {
                    address,
                    network_type,
                    actor,
                },
            count,
            first,
            last,
            times,
        } = sum;
        let key = Key {
            target,
            address,
            network_type,
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
                let (kind, address) = Kind::and_address(key.target, key.address, key.network_type);
                let actor = key.actor.map_or(0, |actor| places[actor]);
                (Group { actor, kind }, address, times)
            })
            .collect();
        sums.sort_unstable_by_key(|&(group, address, _)| (group, address));
        for group in sums.chunk_by(|one, other| one.0 == other.0) {
            let Group { actor, kind } = group[0].0;
            writer.length(actor);
            writer.byte(kind.0);
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

/// Sums that are written together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    /// 0: none, else its place in the table, from 1.
    actor: usize,
    kind: Kind,
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

/// A sum as it is written. Those of one group follow each other, in order of `address`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'a> {
    /// The group's place among those of the roll-up.
    pub(crate) group: usize,
    pub(crate) kind: Kind,
    pub(crate) actor: Option<&'a str>,
    /// The address as a number, 0 where there is none.
    pub(crate) address: u128,
    pub(crate) count: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    times: &'a [i64],
}

impl<'a> Written<'a> {
    pub(crate) fn sum(self) -> Sum<'a> {
        let (target, address, network_type) = self.kind.of(self.address);
        Sum {
            target,
            client: EventClient {
                address,
                network_type,
                actor: self.actor,
            },
            count: self.count,
            first: self.first,
            last: self.last,
            times: self.times,
        }
    }
}

/// Reads a roll-up's bytes, sum by sum, given the start of its bucket. The same client and target
/// come once.
pub(crate) fn read(bytes: &[u8], start: i64, mut each: impl FnMut(Sum<'_>)) -> Result<(), Unreadable> {
    read_written(bytes, start, |written| each(written.sum()))
}

/// The same, as the sums are written.
pub(crate) fn read_written(
    bytes: &[u8],
    start: i64,
    mut each: impl FnMut(Written<'_>),
) -> Result<(), Unreadable> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(Unreadable("another version wrote it"));
    }
    let mut actors = Vec::new();
    for _ in 0..reader.length()? {
        actors.push(reader.text()?);
    }
    let mut times = [0; LISTED];
    let mut group = 0;
    while !reader.is_empty() {
        let actor = match reader.length()? {
            0 => None,
            place => Some(*actors.get(place - 1).ok_or(Unreadable("no such actor"))?),
        };
        let kind = Kind::read(reader.byte()?)?;
        let mut address: u128 = 0;
        for _ in 0..reader.length()? {
            address = address
                .checked_add(reader.number()?)
                .filter(|address| *address <= kind.greatest())
                .ok_or(Unreadable("an address is too great"))?;
            let count = reader.count()?;
            let listed = usize::try_from(count).ok().filter(|count| *count <= LISTED);
            let times = &mut times[..listed.unwrap_or(2)];
            let mut last = start;
            for time in &mut *times {
                last = reader.later(last)?;
                *time = last;
            }
            each(Written {
                group,
                kind,
                actor,
                address,
                count,
                first: times.first().copied().unwrap_or(start),
                last,
                times: if listed.is_some() { times } else { &[] },
            });
        }
        group += 1;
    }
    Ok(())
}

/// What the sums of a group have in common besides their actor: the target of deletes, family and source of the
/// addresses, and the network that the source states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Kind(u8);

const NO_ADDRESS: u8 = 0;
const V4_PEER: u8 = 1;
const V4_HEADER: u8 = 2;
const V6_PEER: u8 = 3;
const V6_HEADER: u8 = 4;

impl Kind {
    /// The kind of a sum, and its address as a number.
    pub(crate) fn and_address(
        target: Option<DeleteTarget>,
        address: Option<SourceAddress>,
        network_type: Option<NetworkType>,
    ) -> (Self, u128) {
        let target = match target {
            None => 0,
            Some(DeleteTarget::Tag) => 1,
            Some(DeleteTarget::Manifest) => 2,
            Some(DeleteTarget::Repository) => 3,
        };
        let (family, number) = match address.map(|SourceAddress { ip, source }| (ip, source)) {
            None => (NO_ADDRESS, 0),
            Some((IpAddr::V4(ip), AddressSource::Peer)) => (V4_PEER, ip.to_bits().into()),
            Some((IpAddr::V4(ip), AddressSource::Header)) => (V4_HEADER, ip.to_bits().into()),
            Some((IpAddr::V6(ip), AddressSource::Peer)) => (V6_PEER, ip.to_bits()),
            Some((IpAddr::V6(ip), AddressSource::Header)) => (V6_HEADER, ip.to_bits()),
        };
        let network = match network_type {
            None => 0,
            Some(NetworkType::Private) => 1,
            Some(NetworkType::Public) => 2,
        };
        (Self(network * 32 + target * 8 + family), number)
    }

    fn read(byte: u8) -> Result<Self, Unreadable> {
        if byte / 32 > 2 || byte % 8 > V6_HEADER {
            return Err(Unreadable("no such kind of sums"));
        }
        Ok(Self(byte))
    }

    /// The greatest number that is an address of this kind.
    fn greatest(self) -> u128 {
        match self.0 % 8 {
            NO_ADDRESS => 0,
            V4_PEER | V4_HEADER => u32::MAX.into(),
            _ => u128::MAX,
        }
    }

    /// What the kind and an address of it stand for.
    pub(crate) fn of(
        self,
        address: u128,
    ) -> (Option<DeleteTarget>, Option<SourceAddress>, Option<NetworkType>) {
        let target = match self.0 / 8 % 4 {
            0 => None,
            1 => Some(DeleteTarget::Tag),
            2 => Some(DeleteTarget::Manifest),
            _ => Some(DeleteTarget::Repository),
        };
        let v4 = || IpAddr::V4(u32::try_from(address).unwrap_or(u32::MAX).into());
        let v6 = || IpAddr::V6(address.into());
        let address = match self.0 % 8 {
            NO_ADDRESS => None,
            V4_PEER => Some((v4(), AddressSource::Peer)),
            V4_HEADER => Some((v4(), AddressSource::Header)),
            V6_PEER => Some((v6(), AddressSource::Peer)),
            _ => Some((v6(), AddressSource::Header)),
        };
        let network_type = match self.0 / 32 {
            0 => None,
            1 => Some(NetworkType::Private),
            _ => Some(NetworkType::Public),
        };
        let address = address.map(|(ip, source)| SourceAddress { ip, source });
        (target, address, network_type)
    }
}

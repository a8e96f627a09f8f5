//! Adds up what a query selects, from events that are counted and roll-ups that are kept.

use std::{mem, sync::Arc};

use hashbrown::HashMap;
use jiff::Timestamp;

use super::{
    Clients, EventClient, Tally,
    rollup::{self, Kind, Unreadable},
};
use crate::event::{Attribution, DeleteTarget, LogicalCategory};

/// Sums by group, each in order of address, as roll-ups have them: to add one of those is to go
/// along two lists, which is several times as quick as to look each client up.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    actors: HashMap<Arc<str>, usize>,
    names: Vec<Arc<str>>,
    groups: HashMap<Group, Vec<Total>>,
    /// Single events, in no order, that wait to be added.
    single: Vec<(Group, Total)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Group {
    category: LogicalCategory,
    attribution: Attribution,
    kind: Kind,
    actor: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Total {
    /// As a number.
    address: u128,
    count: i64,
    /// Nanoseconds since 1970 UTC.
    first: i64,
    last: i64,
}

/// So many single events are added at once.
const SINGLE: usize = 16_384;

impl Tallies {
    /// Adds one event.
    pub(crate) fn add(
        &mut self,
        of: (LogicalCategory, Attribution),
        target: Option<DeleteTarget>,
        client: EventClient<'_>,
        time: i64,
    ) {
        self.add_counted(of, target, client, (1, time, time));
    }

    /// Adds some events of one client: how many, the first and the last time.
    pub(crate) fn add_counted(
        &mut self,
        (category, attribution): (LogicalCategory, Attribution),
        target: Option<DeleteTarget>,
        EventClient {
            address,
            network_type,
            actor,
        }: EventClient<'_>,
        (count, first, last): (i64, i64, i64),
    ) {
        let (kind, address) = Kind::and_address(target, address, network_type);
        let group = Group {
            category,
            attribution,
            kind,
            actor: actor.map(|actor| self.number(actor)),
        };
        let total = Total {
            address,
            count,
            first,
            last,
        };
        self.single.push((group, total));
        if self.single.len() == SINGLE {
            self.add_single();
        }
    }

    /// Adds a roll-up of one category, given as its bytes and its bucket's start.
    pub(crate) fn add_rollup(
        &mut self,
        (category, attribution): (LogicalCategory, Attribution),
        bytes: &[u8],
        start: i64,
    ) -> Result<(), Unreadable> {
        let mut totals: Vec<Total> = Vec::new();
        let mut current = None;
        rollup::read_written(bytes, start, |sum| {
            let group = match current {
                Some((place, group)) if place == sum.group => group,
                _ => {
                    if let Some((_, done)) = current {
                        self.merge(done, &totals);
                        totals.clear();
                    }
                    let actor = sum.actor.map(|actor| self.number(actor));
                    Group {
                        category,
                        attribution,
                        kind: sum.kind,
                        actor,
                    }
                }
            };
            current = Some((sum.group, group));
            totals.push(Total {
                address: sum.address,
                count: sum.count,
                first: sum.first,
                last: sum.last,
            });
        })?;
        if let Some((_, done)) = current {
            self.merge(done, &totals);
        }
        Ok(())
    }

    fn add_single(&mut self) {
        let mut single = mem::take(&mut self.single);
        single.sort_unstable_by_key(|(group, total)| (*group, total.address));
        for of_group in single.chunk_by(|one, other| one.0 == other.0) {
            let mut totals: Vec<Total> = Vec::with_capacity(of_group.len());
            for &(_, total) in of_group {
                match totals.last_mut() {
                    Some(last) if last.address == total.address => last.add(total),
                    _ => totals.push(total),
                }
            }
            self.merge(of_group[0].0, &totals);
        }
    }

    /// Adds totals that are in order of address, each address once.
    fn merge(&mut self, group: Group, totals: &[Total]) {
        let known = self.groups.entry(group).or_default();
        let mut fresh = Vec::new();
        let mut place = 0;
        for &total in totals {
            while known
                .get(place)
                .is_some_and(|known| known.address < total.address)
            {
                place += 1;
            }
            match known.get_mut(place) {
                Some(known) if known.address == total.address => known.add(total),
                _ => fresh.push(total),
            }
        }
        if !fresh.is_empty() {
            known.append(&mut fresh);
            // Two runs in order, which this sort joins.
            known.sort_by_key(|total| total.address);
        }
    }

    fn number(&mut self, actor: &str) -> usize {
        self.actors.get(actor).copied().unwrap_or_else(|| {
            let name: Arc<str> = actor.into();
            self.names.push(name.clone());
            self.actors.insert(name, self.names.len() - 1);
            self.names.len() - 1
        })
    }

    /// Those of the clients that are asked for, in a stable order.
    pub(crate) fn of(mut self, clients: &Clients) -> Vec<Tally> {
        self.add_single();
        let Self { names, groups, .. } = self;
        let mut tallies: Vec<Tally> = groups
            .into_iter()
            .flat_map(|(group, totals)| totals.into_iter().map(move |total| (group, total)))
            .map(|(group, total)| {
                let (target, address, network_type) = group.kind.of(total.address);
                Tally {
                    category: group.category,
                    target,
                    address,
                    network_type,
                    actor: group.actor.and_then(|actor| names.get(actor)).cloned(),
                    attribution: group.attribution,
                    count: total.count,
                    first: timestamp(total.first),
                    last: timestamp(total.last),
                }
            })
            .filter(|tally| clients.let_through(tally.client()))
            .collect();
        tallies.sort_by_cached_key(|tally| {
            (
                tally.category,
                tally.target,
                tally.address.map(|address| address.ip),
                tally.network_type,
                tally.actor.clone(),
                tally.first,
                tally.last,
                tally.count,
            )
        });
        tallies
    }
}

impl Total {
    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// Every number of nanoseconds is a time.
fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::fixture::raw, store::rollup::Rollup};

    const PULLS: (LogicalCategory, Attribution) = (LogicalCategory::Pull, Attribution::Named);
    const START: i64 = 1_770_000_000_000_000_000;

    #[test]
    fn events_and_roll_ups_add_up_by_client() {
        let address = |letter: char| raw(&format!("x 1 {letter} GET v1 @A")).event.address;
        let client = |letter, actor| EventClient {
            address: address(letter),
            network_type: None,
            actor,
        };
        let mut tallies = Tallies::default();
        let mut rollup = Rollup::default();
        // Addresses meet from either side, and more single events than are added at once.
        for (letter, time) in [('b', 5), ('d', 7), ('b', 1)] {
            rollup.add(None, client(letter, Some("ci")), START + time);
        }
        rollup.add(None, client('b', None), START + 9);
        for time in 0..20_000 {
            tallies.add(PULLS, None, client('a', Some("ci")), START + time);
        }
        tallies.add(PULLS, None, client('b', Some("ci")), START + 3);
        for _ in 0..2 {
            tallies.add_rollup(PULLS, &rollup.encode(START), START).unwrap();
        }
        tallies.add(PULLS, None, client('c', Some("ci")), START + 4);

        let found = tallies.of(&Clients::default());
        let told: Vec<_> = found
            .iter()
            .map(|tally| {
                let offset = |time: Timestamp| i64::try_from(time.as_nanosecond()).unwrap() - START;
                let letter = ['a', 'b', 'c', 'd']
                    .into_iter()
                    .find(|&letter| address(letter) == tally.address);
                (
                    letter.unwrap(),
                    tally.actor.as_deref(),
                    tally.count,
                    offset(tally.first),
                    offset(tally.last),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ('a', Some("ci"), 20_000, 0, 19_999),
                ('b', None, 2, 9, 9),
                ('b', Some("ci"), 5, 1, 5),
                ('c', Some("ci"), 1, 4, 4),
                ('d', Some("ci"), 2, 7, 7),
            ]
        );
    }
}

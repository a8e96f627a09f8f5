//! Adds up what a query selects, from events that are counted and roll-ups that are kept.

use std::sync::Arc;

use hashbrown::HashMap;
use jiff::Timestamp;

use super::{
    Clients, EventClient, Tally,
    rollup::{self, Sum, Unreadable},
};
use crate::event::{Attribution, DeleteTarget, LogicalCategory, SourceAddress};

#[derive(Debug, Default)]
pub(crate) struct Tallies {
    actors: HashMap<Arc<str>, usize>,
    names: Vec<Arc<str>>,
    /// The actor that was asked for last: sums of one actor come one after the other.
    actor: usize,
    sums: HashMap<Key, Total>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    category: LogicalCategory,
    attribution: Attribution,
    target: Option<DeleteTarget>,
    address: Option<SourceAddress>,
    actor: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Total {
    count: i64,
    /// Nanoseconds since 1970 UTC.
    first: i64,
    last: i64,
}

impl Tallies {
    pub(crate) fn add(&mut self, category: LogicalCategory, attribution: Attribution, sum: Sum<'_>) {
        let Sum {
            target,
            client: EventClient { address, actor },
            count,
            first,
            last,
            times: _,
        } = sum;
        let key = Key {
            category,
            attribution,
            target,
            address,
            actor: actor.map(|actor| self.number(actor)),
        };
        let total = Total { count, first, last };
        self.sums
            .entry(key)
            .and_modify(|known| {
                known.count = known.count.saturating_add(count);
                known.first = known.first.min(first);
                known.last = known.last.max(last);
            })
            .or_insert(total);
    }

    /// Adds a roll-up of one category, given as its bytes and its bucket's start.
    pub(crate) fn add_rollup(
        &mut self,
        category: LogicalCategory,
        attribution: Attribution,
        bytes: &[u8],
        start: i64,
    ) -> Result<(), Unreadable> {
        rollup::read(bytes, start, |sum| self.add(category, attribution, sum))
    }

    fn number(&mut self, actor: &str) -> usize {
        if self.names.get(self.actor).is_some_and(|last| **last == *actor) {
            return self.actor;
        }
        self.actor = match self.actors.get(actor) {
            Some(&number) => number,
            None => {
                let (name, number): (Arc<str>, _) = (actor.into(), self.names.len());
                self.names.push(name.clone());
                self.actors.insert(name, number);
                number
            }
        };
        self.actor
    }

    /// Those of the clients that are asked for, in a stable order.
    pub(crate) fn of(self, clients: &Clients) -> Vec<Tally> {
        let Self { names, sums, .. } = self;
        let mut tallies: Vec<Tally> = sums
            .into_iter()
            .map(|(key, total)| Tally {
                category: key.category,
                target: key.target,
                address: key.address,
                actor: key.actor.and_then(|actor| names.get(actor)).cloned(),
                attribution: key.attribution,
                count: total.count,
                first: timestamp(total.first),
                last: timestamp(total.last),
            })
            .filter(|tally| clients.let_through(tally.client()))
            .collect();
        tallies.sort_by_cached_key(|tally| {
            (
                tally.category,
                tally.target,
                tally.address.map(|address| address.ip),
                tally.actor.clone(),
                tally.first,
                tally.last,
                tally.count,
            )
        });
        tallies
    }
}

/// Every number of nanoseconds is a time.
fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default()
}

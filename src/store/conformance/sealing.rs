use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    Backend, all, append, append_lines, ask, clause, delivery, linking::cases, query, registry, window,
};
use crate::{
    event::{
        Attribution, LogicalCategory, NetworkType, RegistryEvent, StoredEvent,
        fixture::{at, digest, raw},
    },
    store::{AttributedEvent, Clause, Clients, EventQuery, EventReader, PageKey, Select, Tally, Upkeep},
};

const DAY: f64 = 86_400.0;

async fn seal(store: &impl Upkeep, now: f64) -> u64 {
    store.seal(at(now)).await.unwrap()
}

/// The events of a query, counted one by one.
fn counted(events: &[AttributedEvent]) -> BTreeMap<String, Tally> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for AttributedEvent { event, attribution } in events {
        let tally = Tally {
            category: event.category,
            target: event.target,
            address: event.address,
            network_type: event.network_type,
            actor: event.actor.as_deref().map(Into::into),
            attribution: *attribution,
            count: 1,
            first: event.time,
            last: event.time,
        };
        tallies
            .entry(name(&tally))
            .and_modify(|sum| {
                sum.count += 1;
                sum.first = sum.first.min(event.time);
                sum.last = sum.last.max(event.time);
            })
            .or_insert(tally);
    }
    tallies
}

fn name(tally: &Tally) -> String {
    let Tally {
        category,
        target,
        address,
        network_type,
        actor,
        attribution,
        count: _,
        first: _,
        last: _,
    } = tally;
    format!("{category:?} {target:?} {address:?} {network_type:?} {actor:?} {attribution:?}")
}

async fn tallied(store: &impl EventReader, query: EventQuery) -> BTreeMap<String, Tally> {
    let tallies = store.tally(query).await.unwrap();
    let named: BTreeMap<String, Tally> = tallies.iter().map(|tally| (name(tally), tally.clone())).collect();
    assert_eq!(named.len(), tallies.len(), "a group is told once: {tallies:?}");
    named
}

pub(crate) async fn a_late_event_opens_what_was_sealed<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let pulls: Vec<String> = (0..40).map(|n| format!("g{n} {} a GET v1 @A", n * 60)).collect();
    append_lines(&backend, &store, &pulls.join("\n")).await;
    let asked = query(vec![clause(Select::Tag("v1".to_owned()))]);
    let count = async || {
        tallied(&store, asked.clone())
            .await
            .values()
            .next()
            .unwrap()
            .count
    };
    assert!(seal(&store, 2.0 * DAY).await > 0);
    assert_eq!(count().await, 40);
    assert_eq!(seal(&store, 2.0 * DAY).await, 0, "nothing changed since");

    // A new pull, and a HEAD that makes a pull by tag of one by digest.
    append_lines(&backend, &store, "late 90 b GET - @A received=90000").await;
    assert!(seal(&store, 2.0 * DAY).await > 0);
    assert_eq!(count().await, 40);
    append_lines(&backend, &store, "head 89 b HEAD v1 @A received=90000").await;
    let theirs = tallied(&store, asked.clone()).await;
    assert_eq!(
        theirs.values().map(|tally| tally.count).collect::<Vec<_>>(),
        [40, 1]
    );
    assert!(seal(&store, 2.0 * DAY).await > 0);
    assert_eq!(tallied(&store, asked.clone()).await, theirs);
}

pub(crate) async fn what_is_not_over_stays_open<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let pulls: Vec<String> = (0..40).map(|n| format!("g{n} {n} a GET v1 @A")).collect();
    append_lines(&backend, &store, &pulls.join("\n")).await;
    assert_eq!(seal(&store, 40.0).await, 0);
    assert_eq!(seal(&store, -DAY).await, 0);
    assert!(seal(&store, 3600.0).await > 0);
}

/// Something that happens to a store.
#[derive(Debug, Clone)]
enum Turn {
    Deliver(Vec<StoredEvent>),
    /// One of the deliveries before comes again.
    Again(prop::sample::Index),
    /// Seconds after the start, as below.
    Seal(f64),
    Purge(f64),
    Reopen,
}

/// An event of few clients, tags and digests in few quarters of an hour of four days, so
/// that buckets of every level fill up, some more than others.
fn event() -> impl Strategy<Value = StoredEvent> {
    let method = prop::sample::select(vec!["GET", "GET", "GET", "HEAD", "PUT", "DELETE"]);
    let quarter = (0..4_u32, 0..3_u32, 0..3_u32)
        .prop_map(|(day, hour, quarter)| day * 86_400 + hour * hour * 3600 + quarter * 900);
    let spread = prop_oneof![1 => 0..900_u32, 1 => 0..30_u32];
    let client = (0..3_u8, 0..3_u8, 0..4_u8);
    let content = (0..3_usize, 0..3_usize);
    (
        quarter,
        spread,
        0..3_000_u32,
        client,
        method,
        content,
        any::<u64>(),
    )
        .prop_map(
            |(quarter, second, late, (address, actor, network), method, (tag, digest), id)| {
                let seconds = quarter + second;
                let address = ["a", "b", "-"][usize::from(address)];
                let tag = ["-", "v1", "v2"][tag];
                let digest = ["-", "@A", "@B"][digest];
                let stored = raw(&format!(
                    "e{id} {seconds} {address} {method} {tag} {digest} received={}",
                    seconds + late
                ));
                let event = RegistryEvent {
                    actor: ["ci", "ann"]
                        .get(usize::from(actor))
                        .map(|&actor| actor.to_owned()),
                    network_type: [NetworkType::Private, NetworkType::Public]
                        .get(usize::from(network))
                        .copied(),
                    ..stored.event
                };
                StoredEvent { event, ..stored }
            },
        )
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let deliver = prop::collection::vec(event(), 1..60).prop_map(|events| {
        // All of a delivery are received together.
        let received = events.iter().map(|stored| stored.received).max().unwrap();
        let events = events
            .into_iter()
            .map(|stored| StoredEvent { received, ..stored });
        Turn::Deliver(events.collect())
    });
    let turn = prop_oneof![
        6 => deliver,
        1 => any::<prop::sample::Index>().prop_map(Turn::Again),
        4 => (0.0..6.0 * DAY).prop_map(Turn::Seal),
        2 => (0.0..5.0 * DAY).prop_map(Turn::Purge),
        1 => Just(Turn::Reopen),
    ];
    prop::collection::vec(turn, 1..14)
}

/// Questions of every kind about a window.
fn questions(start: f64, end: f64) -> Vec<EventQuery> {
    let tag = |tag: &str| Select::Tag(tag.to_owned());
    let one = |select| {
        vec![Clause {
            window: window(start, end),
            ..clause(select)
        }]
    };
    let mut questions: Vec<EventQuery> = [
        Select::All,
        tag("v1"),
        tag("v2"),
        Select::WholeRepository,
        Select::Digest(digest('A')),
        Select::UntaggedDigest(digest('B')),
        Select::TagDelete("v1".to_owned()),
    ]
    .map(|select| query(one(select)))
    .to_vec();
    let several = vec![
        Clause {
            window: window(start, end),
            ..clause(tag("v1"))
        },
        Clause {
            window: window(start, f64::midpoint(start, end)),
            attribution: Attribution::Shared,
            select: Select::UntaggedDigest(digest('A')),
        },
        Clause {
            window: window(f64::midpoint(start, end), end),
            attribution: Attribution::Linked,
            select: Select::UntaggedDigest(digest('A')),
        },
    ];
    questions.push(query(several));
    questions.push(EventQuery {
        categories: vec![LogicalCategory::Push, LogicalCategory::Check],
        ..query(one(Select::All))
    });
    questions
}

/// Clients that are asked for: one address, somebody, nobody.
fn filters() -> [Clients; 4] {
    let address = raw("x 1 a GET v1 @A").event.address;
    [
        Clients::only(move |client| client.address == address),
        Clients::only(|client| client.address.is_none() && client.actor == Some("ann")),
        Clients::only(|client| client.actor != Some("ci")),
        Clients::only(|_| false),
    ]
}

/// Whether counts and pages are those of all events, read one by one. Each question is asked with
/// one of the filters, another one in the next round.
async fn agree(store: &impl EventReader, start: f64, end: f64, size: usize, round: usize) {
    let filters = filters().into_iter().cycle().skip(round);
    for (question, clients) in questions(start, end).into_iter().zip(filters) {
        let mut events = ask(store, question.clone()).await;
        assert_eq!(
            tallied(store, question.clone()).await,
            counted(&events),
            "{question:?}"
        );
        events.retain(|found| clients.let_through(found.client()));
        let filtered = EventQuery { clients, ..question };
        assert_eq!(tallied(store, filtered.clone()).await, counted(&events));
        let mut pages = Vec::new();
        let mut before = None;
        loop {
            let page = store.events(filtered.clone(), before, size).await.unwrap();
            assert!(page.len() <= size);
            let Some(last) = page.last() else { break };
            before = Some(PageKey {
                time: last.event.time,
                id: last.event.id.clone(),
            });
            pages.extend(page);
        }
        assert_eq!(pages, events, "{filtered:?} in pages of {size}");
    }
}

pub(crate) async fn counts_and_pages_are_those_of_the_events_whatever_is_sealed<B: Backend>() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases::<B>()));
    let runtime = tokio::runtime::Handle::current();
    let sealed = std::sync::atomic::AtomicU64::new(0);
    let window = (-DAY..5.0 * DAY, -DAY..5.0 * DAY);
    tokio::task::block_in_place(|| {
        runner
            .run(&(turns(), window, 3..40_usize), |(turns, (start, end), size)| {
                runtime.block_on(async {
                    let backend = B::fresh().await;
                    let mut store = backend.open().await;
                    let mut delivered = Vec::new();
                    for (round, turn) in turns.into_iter().enumerate() {
                        match turn {
                            Turn::Deliver(events) => {
                                append(&store, delivery(events.clone())).await;
                                delivered.push(events);
                            }
                            Turn::Again(which) if !delivered.is_empty() => {
                                let again = which.get(&delivered).clone();
                                assert_eq!(append(&store, delivery(again)).await.stored, 0);
                            }
                            Turn::Again(_) => {}
                            Turn::Seal(now) => {
                                let count = seal(&store, now).await;
                                sealed.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
                            }
                            Turn::Purge(before) => {
                                store.purge(registry(), at(before)).await.unwrap();
                                // What was purged may come again.
                                delivered.clear();
                            }
                            Turn::Reopen => {
                                backend.close(store).await;
                                store = backend.open().await;
                            }
                        }
                        backend.settle(&store).await;
                        agree(&store, start.min(end), start.max(end), size, round).await;
                    }
                    let always = 40.0 * DAY;
                    for round in 0..filters().len() {
                        agree(&store, -always, always, size, round).await;
                    }
                    backend.close(store).await;
                    Ok(())
                })
            })
            .unwrap();
    });
    assert!(sealed.into_inner() > 0, "no history was sealed");
}

pub(crate) async fn sealing_while_events_arrive_loses_none<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let history = |round: i32| -> Vec<StoredEvent> {
        (0..100)
            .map(|n| {
                raw(&format!(
                    "g{round}-{n} {} a GET v1 @A received=90000",
                    n * 37 + round
                ))
            })
            .collect()
    };
    append(&store, delivery(history(0))).await;
    let appending = async {
        for round in 1..20 {
            append(&store, delivery(history(round))).await;
        }
    };
    let sealing = async {
        for _ in 0..20 {
            seal(&store, 2.0 * DAY).await;
        }
    };
    tokio::join!(appending, sealing);
    backend.settle(&store).await;
    seal(&store, 2.0 * DAY).await;
    assert_eq!(all(&store).await.len(), 2000);
    let found = tallied(&store, query(vec![clause(Select::All)])).await;
    let told: Vec<_> = found.values().map(|tally| (tally.count, tally.first)).collect();
    assert_eq!(told, [(2000, at(0.0))]);
    assert_eq!(found.values().next().unwrap().last, at(99.0 * 37.0 + 19.0));
}

use std::collections::HashSet;

use proptest::prelude::*;

use super::{Backend, all, append, append_lines, ask, clause, delivery, query};
use crate::{
    event::{
        LogicalCategory, StoredEvent,
        fixture::{at, raw, raws},
        link,
    },
    image::Digest,
    store::{EventReader as _, Select, Tally, Upkeep as _},
};

pub(crate) async fn a_get_takes_the_head_that_arrives_after_it<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, "g1 2 a GET - @A").await;
    assert_eq!(all(&store).await, ["g1 Pull - @A x1"]);
    append_lines(&backend, &store, "h1 1 a HEAD v1 @A received=60").await;
    assert_eq!(all(&store).await, ["g1 Pull v1 @A x2"]);
    append_lines(&backend, &store, "h2 3 a HEAD v1 @A").await;
    assert_eq!(all(&store).await, ["h2 Check v1 @A x1", "g1 Pull v1 @A x2"]);
}

pub(crate) async fn what_a_webhook_and_an_audit_log_tell_is_one<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let asked = || query(vec![clause(Select::All)]);
    let counts = async |store: &B::Store| -> Vec<(LogicalCategory, Option<String>, i64)> {
        let tallies = store.tally(asked()).await.unwrap();
        let count = |tally: &Tally| {
            (
                tally.category,
                tally.actor.as_deref().map(str::to_owned),
                tally.count,
            )
        };
        tallies.iter().map(count).collect()
    };
    append_lines(
        &backend,
        &store,
        "push 0   - PUT  v1 @A received=1
         h1   60  n HEAD v1 @A
         g1   60.4 n GET  - @A",
    )
    .await;
    store.seal(at(2.0 * 86_400.0)).await.unwrap();
    assert_eq!(all(&store).await, ["g1 Pull v1 @A x2", "push Push v1 @A x1"]);

    // Rows of a poll: long after all was counted.
    let rows = raws(
        "r1 0  m PUT  v1 @A from=audit actor=ci   received=7200
         r2 60 n HEAD v1 -  from=audit actor=node received=7200
         r3 60 n GET  -  @A from=audit actor=node received=7200",
    );
    append(&store, delivery(rows.clone())).await;
    backend.settle(&store).await;
    let told = ["g1 Pull v1 @A x4", "push Push v1 @A x2"];
    assert_eq!(all(&store).await, told);
    let found = ask(&store, asked()).await;
    let actors: Vec<_> = found.iter().map(|found| found.event.actor.as_deref()).collect();
    assert_eq!(actors, [Some("node"), Some("ci")]);
    assert_eq!(found[1].event.address, rows[0].event.address);
    let counted = [
        (LogicalCategory::Pull, Some("node".to_owned()), 1),
        (LogicalCategory::Push, Some("ci".to_owned()), 1),
    ];
    let mut now = counts(&store).await;
    now.sort();
    assert_eq!(now, sorted(counted.clone()));
    // The same from sums.
    store.seal(at(2.0 * 86_400.0)).await.unwrap();
    now = counts(&store).await;
    now.sort();
    assert_eq!(now, sorted(counted));

    // Polled again, the rows are known.
    assert_eq!(append(&store, delivery(rows)).await.duplicates, 3);
    backend.settle(&store).await;
    assert_eq!(all(&store).await, told);
}

/// More than one step of linking takes, and nearer to each other than stretches are apart.
const BURST: usize = 6_500;

/// Pulls of a HEAD and a GET each, `BURST` events in all.
pub(crate) fn burst() -> Vec<StoredEvent> {
    let event = |number: usize| {
        let (seconds, milliseconds) = (number / 500, number % 500 * 2);
        let request = if number.is_multiple_of(2) {
            "HEAD v1"
        } else {
            "GET -"
        };
        raw(&format!("e{number} {seconds}.{milliseconds:03} a {request} @A"))
    };
    (0..BURST).map(event).collect()
}

pub(crate) async fn a_burst_in_one_repository_is_linked_whole<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append(&store, delivery(burst())).await;
    backend.settle(&store).await;
    let tallies = store.tally(query(vec![clause(Select::All)])).await.unwrap();
    let pulls: i64 = tallies.iter().map(|tally| tally.count).sum();
    assert_eq!(pulls, i64::try_from(BURST / 2).unwrap());
    assert!(
        tallies
            .iter()
            .all(|tally| tally.category == LogicalCategory::Pull),
        "{tallies:?}"
    );
    backend.close(store).await;
}

fn sorted<T: Ord, const N: usize>(mut values: [T; N]) -> [T; N] {
    values.sort();
    values
}

/// A line of few clients, tags and digests in a short time, so that they meet.
fn line(id: String) -> impl Strategy<Value = StoredEvent> {
    let method = prop::sample::select(vec!["GET", "HEAD", "HEAD", "PUT", "DELETE"]);
    (
        0..90_u32,
        0..3_u8,
        method,
        0..3_u8,
        0..4_u8,
        0..400_u32,
        0..3_u8,
        0..6_u8,
    )
        .prop_map(
            move |(seconds, client, method, tag, digest, late, request, source)| {
                let client = char::from(b'a' + client);
                let tag = ["-", "v1", "v2"][usize::from(tag)];
                let digest = ["-", "@A", "@B", "@C"][usize::from(digest)];
                let received = seconds + late;
                let request = if request == 0 {
                    String::new()
                } else {
                    format!(" request=r{request}")
                };
                // Some sources know more than others.
                let source = match source {
                    0..3 => "",
                    3 => " from=audit",
                    4 => " from=audit actor=alice",
                    _ => " from=trail actor=alice",
                };
                raw(&format!(
                    "{id} {seconds} {client} {method} {tag} {digest} received={received}{request}{source}"
                ))
            },
        )
}

fn lines() -> impl Strategy<Value = Vec<StoredEvent>> {
    // Registries give ids of both sorts, and some give them again; a store may write UUIDs in another way.
    (
        1..40_usize,
        any::<bool>(),
        prop_oneof![3 => Just(usize::MAX), 1 => Just(5)],
    )
        .prop_flat_map(|(count, uuids, again)| {
            let id = |number| {
                if uuids {
                    format!("5e0f3c1a-0000-4000-8000-{number:012}")
                } else {
                    format!("e{number}")
                }
            };
            let lines: Vec<_> = (0..count).map(|number| line(id(number % again))).collect();
            lines.prop_map(|mut events| {
                let mut seen = HashSet::new();
                events.retain(|stored| seen.insert((stored.time, stored.event.id.clone())));
                events
            })
        })
}

/// Deliveries of one to four events each, in the order they come.
pub(crate) fn deliveries() -> impl Strategy<Value = Vec<Vec<StoredEvent>>> {
    (lines(), prop::collection::vec(1..5_usize, 40)).prop_map(|(events, sizes)| {
        let mut rest = events.as_slice();
        let mut deliveries = Vec::new();
        for size in sizes {
            let (now, later) = rest.split_at(size.min(rest.len()));
            if !now.is_empty() {
                // All of a delivery are received together, by one source.
                let StoredEvent { received, source, .. } = &now[0];
                deliveries.push(
                    now.iter()
                        .map(|stored| StoredEvent {
                            received: *received,
                            source: source.clone(),
                            ..stored.clone()
                        })
                        .collect(),
                );
            }
            rest = later;
        }
        deliveries
    })
}

pub(crate) async fn linking_as_events_come_equals_linking_from_scratch<B: Backend>() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases::<B>()));
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        runner
            .run(&deliveries(), |deliveries| {
                runtime.block_on(async {
                    let backend = B::fresh().await;
                    let store = backend.open().await;
                    let mut known: Vec<StoredEvent> = Vec::new();
                    for events in deliveries {
                        append(&store, delivery(events.clone())).await;
                        known.extend(events);
                        backend.settle(&store).await;
                        let manifests: Vec<Digest> = known
                            .iter()
                            .filter(|stored| stored.event.category != crate::event::Category::Delete)
                            .filter_map(|stored| stored.event.digest.clone())
                            .collect();
                        let mut expected = link::link(&known, &|digest: &Digest| manifests.contains(digest));
                        expected.reverse();
                        let found: Vec<_> = ask(&store, query(vec![clause(Select::All)]))
                            .await
                            .into_iter()
                            .map(|found| found.event)
                            .collect();
                        prop_assert_eq!(found, expected);
                    }
                    backend.close(store).await;
                    Ok(())
                })
            })
            .unwrap();
    });
}

/// `STORE_CASES`, or the backend's own number.
pub(crate) fn cases<B: Backend>() -> u32 {
    std::env::var("STORE_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(B::CASES)
}

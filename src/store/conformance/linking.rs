use proptest::prelude::*;

use super::{Backend, all, append, append_lines, ask, clause, delivery, query};
use crate::{
    event::{StoredEvent, fixture::raw, link},
    image::Digest,
    store::Select,
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

/// A line of few clients, tags and digests in a short time, so that they meet.
fn line(id: String) -> impl Strategy<Value = StoredEvent> {
    let method = prop::sample::select(vec!["GET", "HEAD", "HEAD", "PUT", "DELETE"]);
    (0..90_u32, 0..3_u8, method, 0..3_u8, 0..4_u8, 0..400_u32, 0..3_u8).prop_map(
        move |(seconds, client, method, tag, digest, late, request)| {
            let client = char::from(b'a' + client);
            let tag = ["-", "v1", "v2"][usize::from(tag)];
            let digest = ["-", "@A", "@B", "@C"][usize::from(digest)];
            let received = seconds + late;
            let request = if request == 0 {
                String::new()
            } else {
                format!(" request=r{request}")
            };
            raw(&format!(
                "{id} {seconds} {client} {method} {tag} {digest} received={received}{request}"
            ))
        },
    )
}

fn lines() -> impl Strategy<Value = Vec<StoredEvent>> {
    // Registries give ids of both sorts; a store may write UUIDs in another way.
    (1..40_usize, any::<bool>()).prop_flat_map(|(count, uuids)| {
        let id = |number| {
            if uuids {
                format!("5e0f3c1a-0000-4000-8000-{number:012}")
            } else {
                format!("e{number}")
            }
        };
        (0..count).map(|number| line(id(number))).collect::<Vec<_>>()
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
                // All of a delivery are received together.
                let received = now[0].received;
                deliveries.push(
                    now.iter()
                        .map(|stored| StoredEvent {
                            received,
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

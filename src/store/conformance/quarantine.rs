use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{Backend, all, append, delivery, empty, gaps_written, registry, source};
use crate::{
    event::{
        StoredEvent,
        fixture::{at, raw},
    },
    store::{BodyAside, Delivery, Keeping, Quarantine, Quarantined, QuarantinedBody, StoreError, Terms},
};

fn unreadable(seconds: f64, body: &[u8]) -> Delivery {
    let body = Quarantined {
        reason: "UnexpectedShape",
        format: "Zot",
        headers: [("ce-id".to_owned(), "7".to_owned())].into(),
        body: body.to_vec(),
    };
    Delivery {
        quarantined: Some(body),
        ..empty(seconds)
    }
}

/// What a body turned out to say that was received at this second.
fn said(seconds: f64, events: Vec<StoredEvent>) -> Delivery {
    Delivery {
        received: at(seconds),
        ignored: 2,
        ..delivery(events)
    }
}

async fn reasons(store: &(impl crate::store::EventReader + Keeping)) -> Vec<String> {
    let gaps = gaps_written(store).await;
    gaps.into_iter().map(|gap| gap.reason).collect()
}

async fn numbers(store: &impl Quarantine) -> Vec<i64> {
    let bodies = store.aside(0).await.unwrap();
    bodies.into_iter().map(|body| body.of.id).collect()
}

pub(crate) async fn a_body_that_can_be_read_becomes_its_events_and_its_gap_ends<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append(&store, unreadable(10.0, b"{")).await;
    append(&store, delivery(vec![raw("g5 50 a GET v1 @A")])).await;
    backend.close(store).await;
    let store = backend.open().await;
    let bodies = store.aside(0).await.unwrap();
    let number = bodies[0].of.id;
    let expected = BodyAside {
        of: QuarantinedBody {
            id: number,
            registry: registry(),
            source: super::SOURCE.to_owned(),
            received: at(10.0),
            reason: "UnexpectedShape".to_owned(),
            bytes: 1,
        },
        format: Some("Zot".to_owned()),
        headers: BTreeMap::from([("ce-id".to_owned(), "7".to_owned())]),
        body: b"{".to_vec(),
    };
    assert_eq!(bodies, [expected]);
    assert_eq!(store.aside(number).await.unwrap(), []);
    assert_eq!(reasons(&store).await, ["Quarantined"]);
    backend.changes();

    let events = vec![raw("g1 9 a GET v1 @A"), raw("g5 50 a GET v1 @A")];
    let replayed = store.replay(number, said(10.0, events.clone())).await.unwrap();
    assert_eq!((replayed.stored, replayed.duplicates), (1, 1));
    backend.settle(&store).await;
    assert_eq!(all(&store).await, ["g5 Pull v1 @A x1", "g1 Pull v1 @A x1"]);
    assert!(
        backend.changes().contains(&(registry(), Vec::new())),
        "coverage changed"
    );
    assert!(numbers(&store).await.is_empty());
    let seen = source(&store).await;
    assert_eq!((seen.gaps, seen.last_delivery), (Vec::new(), at(50.0)));
    assert_eq!((seen.stored, seen.ignored, seen.quarantined), (2, 2, 1));

    // Again, as after an interruption before its answer.
    let again = store.replay(number, said(10.0, events)).await.unwrap();
    assert_eq!((again.stored, again.duplicates), (0, 2));
}

pub(crate) async fn a_gap_lasts_as_long_as_a_body_of_its_time_is_aside<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    for seconds in [10.0, 20.0, 2000.0] {
        append(&store, unreadable(seconds, b"{")).await;
    }
    let numbers = numbers(&store).await;
    assert_eq!(source(&store).await.gaps.len(), 2, "near ones are one");
    store.replay(numbers[0], said(10.0, Vec::new())).await.unwrap();
    assert_eq!(source(&store).await.gaps.len(), 2);
    store.replay(numbers[1], said(20.0, Vec::new())).await.unwrap();
    let gaps = source(&store).await.gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].window.start, at(2000.0));
}

pub(crate) async fn a_body_that_makes_room_for_others_leaves_a_gap_for_good<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let large = vec![b'['; 4 * 1024 * 1024];
    for seconds in [10.0, 20.0, 30.0, 40.0] {
        append(&store, unreadable(seconds, &large)).await;
    }
    assert_eq!(reasons(&store).await, ["Quarantined"]);
    append(&store, unreadable(50.0, &large)).await;
    let left = numbers(&store).await;
    assert_eq!(left.len(), 4, "a ring");
    for (number, seconds) in left.into_iter().zip([20.0, 30.0, 40.0, 50.0]) {
        store.replay(number, said(seconds, Vec::new())).await.unwrap();
    }
    let gaps = source(&store).await.gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(
        (gaps[0].reason.as_str(), gaps[0].window.start),
        ("QuarantineFull", at(10.0))
    );
    // And there is room again.
    append(&store, unreadable(60.0, &large)).await;
    assert_eq!(numbers(&store).await.len(), 1);
}

pub(crate) async fn what_a_quota_has_no_room_for_stays_aside_and_is_no_refusal<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let terms = |quota| Terms {
        retention: SignedDuration::from_hours(720),
        quota: Some(quota),
    };
    store.keep(registry(), terms(1)).await.unwrap();
    append(&store, unreadable(10.0, b"{")).await;
    append(&store, delivery(vec![raw("g1 20 a GET v1 @A")])).await;
    let number = numbers(&store).await[0];
    let events = vec![raw("g2 9 a GET v1 @A")];
    let refused = store.replay(number, said(10.0, events.clone())).await;
    assert!(
        matches!(refused, Err(StoreError::QuotaExceeded { quota: 1 })),
        "{refused:?}"
    );
    assert_eq!(numbers(&store).await, [number]);
    let gaps = source(&store).await.gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].reason, "Quarantined");

    store.keep(registry(), terms(2)).await.unwrap();
    assert_eq!(store.replay(number, said(10.0, events)).await.unwrap().stored, 1);
    assert_eq!(source(&store).await.gaps, []);
}

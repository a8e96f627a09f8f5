use jiff::SignedDuration;

use super::{
    Backend, REPOSITORY, SOURCE, all, append, append_lines, delivery, empty, gaps_written, registry, source,
};
use crate::{
    event::{
        StoredEvent,
        fixture::{at, raw},
    },
    store::{
        Delivery, EventLog, EventReader, Gap, Keeping, Kept, Refusing, RegistryKey, StoreError, Terms,
        Upkeep, Window,
    },
};

const MONTH: SignedDuration = SignedDuration::from_hours(720);

fn terms(quota: Option<i64>) -> Terms {
    Terms {
        retention: MONTH,
        quota,
    }
}

/// Pulls number `from` to `to`, one a second.
fn pulls(from: u32, to: u32) -> Vec<StoredEvent> {
    (from..to)
        .map(|n| raw(&format!("g{n} {n} a GET v1 @A")))
        .collect()
}

fn other() -> RegistryKey {
    RegistryKey {
        name: "other".to_owned(),
        ..registry()
    }
}

async fn refused(store: &impl EventLog, delivery: Delivery) {
    let answer = store.append(delivery).await;
    assert!(
        matches!(answer, Err(StoreError::QuotaExceeded { quota: 10 })),
        "{answer:?}"
    );
}

pub(crate) async fn a_quota_refuses_what_would_exceed_it_and_says_so<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    store.keep(registry(), terms(Some(10))).await.unwrap();
    append(&store, delivery(pulls(0, 8))).await;
    assert_eq!(store.refusing(&registry()), None);
    assert_eq!(store.room().over_quota, 0);

    // Three are too many, two are not: never more than ten are there.
    refused(&store, delivery(pulls(8, 11))).await;
    assert_eq!(
        store.refusing(&registry()),
        Some(Refusing::QuotaExceeded { quota: 10 })
    );
    append(&store, delivery(pulls(8, 10))).await;
    refused(&store, delivery(pulls(10, 11))).await;
    refused(&store, empty(11.0)).await;
    assert_eq!(
        store.refusing(&registry()),
        Some(Refusing::QuotaExceeded { quota: 10 })
    );
    assert_eq!(store.room().over_quota, 1);
    backend.settle(&store).await;
    assert_eq!(all(&store).await.len(), 10);
    assert_eq!(source(&store).await.stored, 10);

    // It is one registry's quota.
    let of_other = Delivery {
        registry: other(),
        ..delivery(pulls(0, 20))
    };
    assert_eq!(append(&store, of_other).await.stored, 20);
    assert_eq!(store.refusing(&other()), None);

    // Also after a restart.
    backend.close(store).await;
    let store = backend.open().await;
    assert_eq!(
        store.refusing(&registry()),
        Some(Refusing::QuotaExceeded { quota: 10 })
    );
    refused(&store, delivery(pulls(10, 11))).await;
}

pub(crate) async fn a_quota_gives_way_when_a_purge_makes_room_or_it_is_raised<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    store.keep(registry(), terms(Some(10))).await.unwrap();
    append(&store, delivery(pulls(0, 4))).await;
    append(&store, delivery(pulls(4, 10))).await;
    backend.settle(&store).await;
    refused(&store, delivery(pulls(5000, 5001))).await;

    // Raw events stay a while longer than the pulls that are made of them.
    store.purge(registry(), at(20_000.0)).await.unwrap();
    assert_eq!(store.refusing(&registry()), None);
    assert_eq!(append(&store, delivery(pulls(30_000, 30_010))).await.stored, 10);
    refused(&store, delivery(pulls(30_010, 30_011))).await;

    store.keep(registry(), terms(Some(11))).await.unwrap();
    assert_eq!(store.refusing(&registry()), None);
    assert_eq!(append(&store, delivery(pulls(30_010, 30_011))).await.stored, 1);
    store.keep(registry(), terms(None)).await.unwrap();
    assert_eq!(append(&store, delivery(pulls(36_000, 36_100))).await.stored, 100);
    // Lowered, it removes nothing: it only refuses.
    store.keep(registry(), terms(Some(10))).await.unwrap();
    refused(&store, delivery(pulls(37_000, 37_001))).await;
    backend.settle(&store).await;
    assert_eq!(all(&store).await.len(), 111);
}

pub(crate) async fn events_that_are_there_already_take_no_part_of_a_quota<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    store.keep(registry(), terms(Some(10))).await.unwrap();
    for _ in 0..5 {
        append(&store, delivery(pulls(0, 5))).await;
    }
    backend.close(store).await;
    let store = backend.open().await;
    assert_eq!(append(&store, delivery(pulls(5, 10))).await.stored, 5);
    refused(&store, delivery(pulls(10, 11))).await;
}

pub(crate) async fn the_time_of_a_refusal_is_a_gap_once_events_are_taken_again<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    store.keep(registry(), terms(Some(10))).await.unwrap();
    append(&store, delivery(pulls(0, 10))).await;
    backend.settle(&store).await;
    backend.changes();
    for second in [1000, 1500, 2000] {
        refused(&store, delivery(pulls(second, second + 1))).await;
    }
    backend.settle(&store).await;
    assert_eq!(
        backend.changes(),
        [(registry(), Vec::new())],
        "told once, when it begins"
    );
    store.keep(registry(), terms(None)).await.unwrap();
    append(&store, delivery(pulls(3000, 3001))).await;
    backend.settle(&store).await;
    assert!(
        backend.changes().contains(&(registry(), Vec::new())),
        "told when it ends"
    );
    append(&store, delivery(pulls(4000, 4001))).await;
    let gaps = source(&store).await.gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(
        (gaps[0].reason.as_str(), gaps[0].window.start, gaps[0].window.end),
        ("Refused", at(1000.0), at(3000.0))
    );
}

pub(crate) async fn a_refusal_goes_on_after_a_restart<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    store.keep(registry(), terms(Some(10))).await.unwrap();
    append(&store, delivery(pulls(0, 10))).await;
    refused(&store, delivery(pulls(1000, 1001))).await;
    backend.close(store).await;
    let store = backend.open().await;
    store.keep(registry(), terms(None)).await.unwrap();
    append(&store, delivery(pulls(3000, 3001))).await;
    backend.close(store).await;
    // It is over: nothing is added to it.
    let store = backend.open().await;
    append(&store, delivery(pulls(4000, 4001))).await;
    let gaps = source(&store).await.gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(
        (gaps[0].window.start, gaps[0].window.end),
        (at(1000.0), at(3000.0))
    );
}

pub(crate) async fn what_was_refused_without_the_store_is_a_gap_although_nothing_follows<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append(&store, delivery(pulls(0, 1))).await;
    backend.settle(&store).await;
    backend.changes();
    for second in [1000.0, 1500.0] {
        store.refused(&registry(), SOURCE, at(second), "TooMany");
    }
    store.refused(&registry(), "never delivered", at(1000.0), "TooMany");
    let gap = |end, is_open| Gap {
        reason: "Refused".to_owned(),
        window: Window {
            start: at(1000.0),
            end,
        },
        is_open,
    };
    let a_moment_later = at(1000.0) + SignedDuration::from_nanos(1);
    assert_eq!(gaps_written(&store).await, [gap(a_moment_later, true)]);
    assert_eq!(store.refusing(&registry()), None, "it can be written");
    assert!(backend.changes().contains(&(registry(), Vec::new())));

    // It goes on, also after a restart, until one is taken.
    backend.close(store).await;
    let store = backend.open().await;
    assert_eq!(source(&store).await.gaps, [gap(a_moment_later, true)]);
    append(&store, delivery(pulls(3000, 3001))).await;
    append(&store, delivery(pulls(4000, 4001))).await;
    assert_eq!(source(&store).await.gaps, [gap(at(3000.0), false)]);
}

pub(crate) async fn what_is_to_be_kept_is_known_after_a_restart<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let years = Terms {
        retention: SignedDuration::from_hours(24 * 99_999),
        quota: Some(5000),
    };
    store.keep(registry(), years).await.unwrap();
    store.release(registry(), at(10.0)).await.unwrap();
    store.release(registry(), at(20.0)).await.unwrap();
    append(
        &store,
        Delivery {
            registry: other(),
            ..delivery(pulls(0, 1))
        },
    )
    .await;
    backend.close(store).await;
    let store = backend.open().await;
    let kept = |released| {
        [
            Kept {
                registry: registry(),
                retention: Some(years.retention),
                released,
            },
            Kept {
                registry: other(),
                retention: None,
                released: None,
            },
        ]
    };
    assert_eq!(store.kept().await.unwrap(), kept(Some(at(10.0))));
    store.keep(registry(), years).await.unwrap();
    assert_eq!(store.kept().await.unwrap(), kept(None), "there again");
}

pub(crate) async fn a_released_registry_is_removed_whole_and_no_other<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let many = (0..1300).map(|n| format!("g{n} {n} b GET t{n} @A"));
    let others = [
        "p1 2000 a PUT v1 @A",
        "d2 2001 a DELETE v1 -",
        "d3 2002 a DELETE - @Z",
    ];
    let history: Vec<String> = others.map(str::to_owned).into_iter().chain(many).collect();
    append_lines(&backend, &store, &history.join("\n")).await;
    let of_other = Delivery {
        registry: other(),
        ..delivery(pulls(0, 10))
    };
    append(&store, of_other).await;
    backend.settle(&store).await;

    store.release(registry(), at(3000.0)).await.unwrap();
    store.remove(registry()).await.unwrap();
    assert!(all(&store).await.is_empty());
    let path = || REPOSITORY.to_owned();
    assert!(store.sources(registry()).await.unwrap().is_empty());
    assert!(store.tags(registry(), path()).await.unwrap().is_empty());
    assert!(store.tag_pointers(registry(), path()).await.unwrap().is_empty());
    assert!(!store.tags(other(), path()).await.unwrap().is_empty());
    let left: Vec<_> = store.kept().await.unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].registry, other());

    // One that comes again begins anew.
    append_lines(&backend, &store, "g1 5000 a GET v1 @A").await;
    assert_eq!(all(&store).await, ["g1 Pull v1 @A x1"]);
    assert_eq!(source(&store).await.stored, 1);
}

pub(crate) async fn a_registry_that_is_not_released_is_not_removed<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    store.keep(registry(), terms(None)).await.unwrap();
    append_lines(&backend, &store, "g1 1 a GET v1 @A").await;
    store.remove(registry()).await.unwrap();
    store.release(registry(), at(10.0)).await.unwrap();
    store.keep(registry(), terms(None)).await.unwrap();
    store.remove(registry()).await.unwrap();
    assert_eq!(all(&store).await.len(), 1);
}

use super::{Backend, append, delivery, empty, registry, source};
use crate::{
    event::{
        Category, RegistryEvent, StoredEvent,
        fixture::{at, raw},
    },
    store::{CONFIRMATION_ASKED, Delivery, EventReader, Gap, Quarantined, Window},
};

/// The line's event as seen by this process of the registry.
fn by(instance: &str, line: &str) -> StoredEvent {
    let stored = raw(line);
    let event = RegistryEvent {
        instance_id: Some(instance.to_owned()),
        ..stored.event
    };
    StoredEvent { event, ..stored }
}

fn unreadable(seconds: f64) -> Delivery {
    let body = Quarantined {
        reason: "Malformed",
        body: b"{".to_vec(),
        ..Quarantined::default()
    };
    Delivery {
        quarantined: Some(body),
        ..empty(seconds)
    }
}

fn gap(reason: &str, start: f64, end: f64) -> Gap {
    Gap {
        reason: reason.to_owned(),
        window: Window {
            start: at(start),
            end: at(end),
        },
        is_open: false,
    }
}

pub(crate) async fn a_source_counts_what_it_delivered<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append(
        &store,
        Delivery {
            ignored: 2,
            ..empty(10.0)
        },
    )
    .await;
    let seen = source(&store).await;
    assert_eq!(
        (seen.since, seen.last_delivery, seen.last_event),
        (at(10.0), at(10.0), None)
    );
    assert_eq!(
        (seen.stored, seen.duplicates, seen.ignored, seen.quarantined),
        (0, 0, 2, 0)
    );

    append(
        &store,
        delivery(vec![raw("g1 20 a GET v1 @A"), raw("g0 15 a GET v1 @A")]),
    )
    .await;
    append(&store, delivery(vec![raw("g1 20 a GET v1 @A received=30")])).await;
    // Late, and of another clock: nothing goes back.
    append(&store, delivery(vec![raw("g3 5 a GET v1 @A received=25")])).await;
    append(&store, unreadable(40.0)).await;
    let seen = source(&store).await;
    assert_eq!(seen.source, super::SOURCE);
    assert_eq!(
        (seen.since, seen.last_delivery, seen.last_event),
        (at(10.0), at(40.0), Some(at(20.0)))
    );
    assert_eq!(
        (seen.stored, seen.duplicates, seen.ignored, seen.quarantined),
        (3, 1, 2, 1)
    );
}

pub(crate) async fn when_a_source_first_reported_a_category_is_remembered<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append(&store, empty(5.0)).await;
    backend.changes();
    append(&store, delivery(vec![raw("g1 10 a GET v1 @A")])).await;
    backend.settle(&store).await;
    assert!(
        backend.changes().contains(&(registry(), Vec::new())),
        "coverage changed"
    );
    append(
        &store,
        delivery(vec![raw("p1 20 a PUT v1 @A"), raw("g2 20 a GET v1 @A")]),
    )
    .await;
    let reported = [(Category::Push, at(20.0)), (Category::Pull, at(10.0))].into();
    assert_eq!(source(&store).await.reported, reported);
    backend.settle(&store).await;
    backend.close(store).await;
    let store = backend.open().await;
    append(&store, delivery(vec![raw("g3 30 a GET v1 @A")])).await;
    assert_eq!(source(&store).await.reported, reported);
}

pub(crate) async fn sources_of_one_registry_are_kept_apart<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    for (name, instance) in [("two", "i1"), ("one", "i2")] {
        let events = vec![by(instance, "g1 1 a GET v1 @A")];
        append(
            &store,
            Delivery {
                source: name.to_owned(),
                ..delivery(events)
            },
        )
        .await;
    }
    let sources = store.sources(registry()).await.unwrap();
    let told: Vec<_> = sources
        .iter()
        .map(|seen| {
            (
                seen.source.as_str(),
                seen.stored,
                seen.duplicates,
                seen.gaps.len(),
            )
        })
        .collect();
    assert_eq!(told, [("one", 0, 1, 0), ("two", 1, 0, 0)]);
}

pub(crate) async fn a_new_instance_opens_a_gap_and_the_first_none<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append(&store, delivery(vec![by("i1", "g1 10 a GET v1 @A")])).await;
    append(&store, delivery(vec![by("i1", "g2 20 a GET v1 @A")])).await;
    assert_eq!(source(&store).await.gaps, []);
    backend.changes();
    append(&store, delivery(vec![by("i2", "g3 500 a GET v1 @A")])).await;
    assert_eq!(source(&store).await.gaps, [gap("NewInstance", 20.0, 500.0)]);
    backend.settle(&store).await;
    assert!(backend.changes().contains(&(registry(), Vec::new())));

    // Both are known from now on, also after a restart.
    backend.close(store).await;
    let store = backend.open().await;
    append(&store, delivery(vec![by("i1", "g4 1000 a GET v1 @A")])).await;
    append(&store, delivery(vec![by("i2", "g5 1001 a GET v1 @A")])).await;
    assert_eq!(source(&store).await.gaps.len(), 1);
}

pub(crate) async fn a_delivery_that_names_no_instance_does_not_shorten_the_gap<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append(&store, delivery(vec![by("i1", "g1 10 a GET v1 @A")])).await;
    // A new process may begin with blobs, which name nobody.
    append(
        &store,
        Delivery {
            ignored: 1,
            ..empty(400.0)
        },
    )
    .await;
    append(&store, delivery(vec![by("i2", "g3 500 a GET v1 @A")])).await;
    assert_eq!(source(&store).await.gaps, [gap("NewInstance", 10.0, 500.0)]);
}

pub(crate) async fn an_unreadable_body_opens_a_gap_at_its_time<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append(&store, unreadable(10.0)).await;
    let gaps = source(&store).await.gaps;
    assert_eq!(gaps.len(), 1);
    assert_eq!(
        (gaps[0].reason.as_str(), gaps[0].window.start),
        ("Quarantined", at(10.0))
    );
    assert!(
        gaps[0].window.end > gaps[0].window.start,
        "a half-open stretch holds its start"
    );
    // Near ones are one, far ones are not.
    append(&store, unreadable(20.0)).await;
    append(&store, unreadable(2000.0)).await;
    let gaps = source(&store).await.gaps;
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert!(gaps[0].window.end > at(20.0) && gaps[0].window.end < at(21.0));
}

pub(crate) async fn a_body_put_aside_for_people_opens_no_gap<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let body = Quarantined {
        reason: CONFIRMATION_ASKED,
        body: b"{}".to_vec(),
        ..Quarantined::default()
    };
    let asked = Delivery {
        quarantined: Some(body),
        ..empty(10.0)
    };
    append(&store, asked).await;
    let seen = source(&store).await;
    assert_eq!((seen.quarantined, seen.gaps), (1, Vec::new()));
}

pub(crate) async fn gaps_stay_bounded_and_cover_what_they_covered<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    for hour in 0..260 {
        append(&store, unreadable(f64::from(hour) * 3600.0)).await;
    }
    let gaps = source(&store).await.gaps;
    assert!(gaps.len() <= 256, "{}", gaps.len());
    for hour in 0..260 {
        let time = at(f64::from(hour) * 3600.0);
        assert!(
            gaps.iter()
                .any(|gap| gap.window.start <= time && time < gap.window.end),
            "hour {hour}"
        );
    }
}

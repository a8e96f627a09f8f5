use futures::future::join_all;
use jiff::SignedDuration;

use super::{Backend, REPOSITORY, all, append, append_lines, ask, clause, delivery, ids, query, registry};
use crate::{
    event::{
        AddressSource, DeleteTarget, LogicalCategory, LogicalEvent, NetworkType, RegistryEvent,
        SourceAddress, StoredEvent, TimeSource,
        fixture::{at, digest, raw, raws},
    },
    store::{EventLog, RegistryKey, Select, Upkeep as _},
};

pub(crate) async fn an_event_is_read_back_as_it_was_written<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let precise = at(1.0) + SignedDuration::from_nanos(123_456_789);
    let push = RegistryEvent {
        tag: Some("v1".to_owned()),
        digest: Some(format!("sha512:{}", "c3".repeat(64)).parse().unwrap()),
        media_type: Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
        method: Some("PUT".to_owned()),
        address: Some(SourceAddress {
            ip: "2001:db8::7".parse().unwrap(),
            source: AddressSource::Header,
        }),
        network_type: Some(NetworkType::Private),
        forwarded_chain: Some("2001:db8::7, 10.0.0.1".to_owned()),
        actor: Some("Ann <ann@example.com> — '\"; DROP TABLE raw_events".to_owned()),
        user_agent: Some("crane/v0.20".to_owned()),
        time: Some(precise),
        request_id: Some("r1".to_owned()),
        instance_id: Some("i1".to_owned()),
        ..raw("p1 1 a PUT v1 @A").event
    };
    let timeless = RegistryEvent {
        time: None,
        tag: None,
        address: None,
        network_type: Some(NetworkType::Public),
        user_agent: None,
        ..raw("p2 1 a PUT v1 @A").event
    };
    let ahead = RegistryEvent {
        time: Some(at(3600.0)),
        ..raw("p3 1 a PUT v1 @A").event
    };
    let mut sent = delivery(vec![raw("x 2 a PUT - -")]);
    sent.events = vec![push.clone(), timeless, ahead];
    append(&store, sent).await;
    backend.settle(&store).await;

    let found = ask(&store, query(vec![clause(Select::All)])).await;
    let events: Vec<&LogicalEvent> = found.iter().map(|found| &found.event).collect();
    assert_eq!(
        *events[2],
        LogicalEvent {
            id: "p1".to_owned(),
            category: LogicalCategory::Push,
            target: None::<DeleteTarget>,
            repository: REPOSITORY.to_owned(),
            tags: vec!["v1".to_owned()],
            digest: push.digest,
            media_type: push.media_type,
            address: push.address,
            network_type: Some(NetworkType::Private),
            actor: push.actor,
            user_agent: push.user_agent,
            time: precise,
            time_source: TimeSource::Event,
            raw_count: 1,
        }
    );
    let timeless = events.iter().find(|event| event.id == "p2").unwrap();
    assert_eq!(
        (timeless.address, timeless.network_type),
        (None, Some(NetworkType::Public))
    );
    for event in &events[..2] {
        assert_eq!(
            (event.time, event.time_source),
            (at(2.0), TimeSource::Received),
            "{}",
            event.id
        );
    }
}

pub(crate) async fn the_same_event_again_changes_nothing<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let twice = delivery(raws("g1 1 a GET v1 @A\ng1 1 a GET v1 @A\ng2 2 a GET v1 @A"));
    let first = append(&store, twice.clone()).await;
    assert_eq!((first.stored, first.duplicates), (2, 1));
    assert_eq!(first.repositories, [REPOSITORY]);
    backend.settle(&store).await;
    let before = all(&store).await;

    // Delivered again a day later, as a registry does that never heard the answer.
    let again = append(
        &store,
        crate::store::Delivery {
            received: at(86_400.0),
            ..twice
        },
    )
    .await;
    assert_eq!((again.stored, again.duplicates), (0, 3));
    assert!(again.repositories.is_empty());
    backend.settle(&store).await;
    assert_eq!(all(&store).await, before);
    assert_eq!(before, ["g2 Pull v1 @A x1", "g1 Pull v1 @A x1"]);
}

pub(crate) async fn an_id_that_comes_again_with_another_time_is_another_event<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    // As a shipper that numbers lines afresh when it starts.
    let lines = "x 1 a GET v1 @A
x 2 b GET v1 @B
y 3 a GET v1 @C
x 90 a GET v1 @A";
    append_lines(&backend, &store, lines).await;
    let again = append(&store, delivery(raws(lines))).await;
    assert_eq!((again.stored, again.duplicates), (0, 4));
    let found = all(&store).await;
    assert_eq!(
        found,
        [
            "x Pull v1 @A x1",
            "y Pull v1 @C x1",
            "x Pull v1 @B x1",
            "x Pull v1 @A x1"
        ]
    );

    // What is linked again takes no other with it that has the same id, whichever lies between.
    append_lines(&backend, &store, "h1 0.9 a HEAD v1 @A\nh2 2.9 a HEAD v1 @C").await;
    let found = all(&store).await;
    assert_eq!(
        found,
        [
            "x Pull v1 @A x1",
            "y Pull v1 @C x2",
            "x Pull v1 @B x1",
            "x Pull v1 @A x2"
        ]
    );
    assert_eq!(
        ids(&store, Select::Tag("v1".to_owned())).await,
        ["x", "y", "x", "x"]
    );
}

pub(crate) async fn an_event_that_has_the_time_it_was_received_is_known_by_its_id<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let untimed = |received: i32| raw(&format!("u 0 a GET v1 @A untimed received={received}"));
    // Its own time is not believed before it is near.
    let ahead = |received: i32| raw(&format!("ahead 4000 a GET v1 @B received={received}"));
    for (received, expected) in [(100, (2, 0)), (200, (0, 2)), (3_900, (0, 2)), (4_100, (0, 2))] {
        let appended = append(&store, delivery(vec![untimed(received), ahead(received)])).await;
        assert_eq!((appended.stored, appended.duplicates), expected, "{received}");
    }
    backend.settle(&store).await;
    let found = ask(&store, query(vec![clause(Select::All)])).await;
    assert!(
        found.len() == 2 && found.iter().all(|found| found.event.time == at(100.0)),
        "{found:?}"
    );

    store.purge(registry(), at(2.0 * 86_400.0)).await.unwrap();
    let appended = append(
        &store,
        delivery(vec![untimed(3 * 86_400), raw("ahead 4000 a GET v1 @B")]),
    )
    .await;
    assert_eq!(
        (appended.stored, appended.duplicates),
        (2, 0),
        "what is gone is known no longer"
    );
}

pub(crate) async fn what_is_new_of_a_delivery_is_stored_beside_what_is_there<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, "g1 1 a GET v1 @A").await;
    let sent = |lines| {
        let events = raws(lines).into_iter().map(|stored| RegistryEvent {
            instance_id: Some("second".to_owned()),
            ..stored.event
        });
        crate::store::Delivery {
            events: events.collect(),
            ..delivery(raws(lines))
        }
    };
    // By a process that speaks for the first time, and by one that is known.
    for (lines, expected) in [
        ("g1 1 a GET v1 @A\ng2 2 b GET v1 @A\ng2 2 b GET v1 @A", (1, 2)),
        ("g3 3 c GET v1 @A\ng2 2 b GET v1 @A", (1, 1)),
        ("g4 4 c GET v1 @A", (1, 0)),
    ] {
        let appended = append(&store, sent(lines)).await;
        assert_eq!((appended.stored, appended.duplicates), expected, "{lines}");
    }
    backend.settle(&store).await;
    assert_eq!(ids(&store, Select::All).await, ["g4", "g3", "g2", "g1"]);
    let source = super::source(&store).await;
    assert_eq!((source.stored, source.duplicates), (4, 3));
}

pub(crate) async fn the_same_event_at_the_same_time_from_many_is_stored_once<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let event: StoredEvent = raw("g1 1 a GET v1 @A");
    let answers = join_all((0..50).map(|_| store.append(delivery(vec![event.clone()])))).await;
    let stored: i64 = answers.into_iter().map(|answer| answer.unwrap().stored).sum();
    assert_eq!(stored, 1);
    backend.settle(&store).await;
    assert_eq!(all(&store).await, ["g1 Pull v1 @A x1"]);
}

pub(crate) async fn an_id_counts_once_in_its_repository_and_registry<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let event = raw("g1 1 a GET v1 @A");
    append(&store, delivery(vec![event.clone()])).await;
    let other = RegistryKey {
        name: "other".to_owned(),
        ..registry()
    };
    let elsewhere = crate::store::Delivery {
        registry: other.clone(),
        ..delivery(vec![event])
    };
    assert_eq!(append(&store, elsewhere).await.stored, 1);
    backend.settle(&store).await;
    assert_eq!(ids(&store, Select::All).await, ["g1"]);
    let asked = crate::store::EventQuery {
        registry: other,
        ..query(vec![clause(Select::All)])
    };
    assert_eq!(ask(&store, asked).await.len(), 1);
}

pub(crate) async fn a_registry_of_the_same_name_and_another_uid_is_another<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, "g1 1 a GET v1 @A").await;
    let recreated = RegistryKey {
        uid: "2".to_owned(),
        ..registry()
    };
    let asked = crate::store::EventQuery {
        registry: recreated,
        ..query(vec![clause(Select::All)])
    };
    assert!(ask(&store, asked).await.is_empty());
}

pub(crate) async fn a_reopened_store_holds_all_that_was_appended<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(
        &backend,
        &store,
        "h1 1 a HEAD v1 @A\ng1 2 a GET - @A\np1 3 b PUT v2 @B",
    )
    .await;
    let before = all(&store).await;
    let source = super::source(&store).await;
    backend.close(store).await;

    let store = backend.open().await;
    assert_eq!(all(&store).await, before);
    assert_eq!(super::source(&store).await, source);
    // And what comes late is linked with what was there.
    append_lines(&backend, &store, "h0 2.5 b HEAD v2 @B\ng2 4 b GET - @B").await;
    assert_eq!(all(&store).await[0], "g2 Pull v2 @B x2");
    assert_eq!(
        append(&store, delivery(vec![raw("p1 3 b PUT v2 @B")]))
            .await
            .duplicates,
        1
    );
    assert_eq!(
        digest('B'),
        ask(&store, query(vec![clause(Select::Tag("v2".to_owned()))])).await[0]
            .event
            .digest
            .clone()
            .unwrap()
    );
}

pub(crate) async fn changes_are_told_once_they_can_be_read<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, "p1 1 a PUT v1 @A").await;
    let changes = backend.changes();
    assert!(
        changes.contains(&(registry(), Vec::new())),
        "a first delivery begins coverage: {changes:?}"
    );
    assert!(
        changes.contains(&(registry(), vec![REPOSITORY.to_owned()])),
        "{changes:?}"
    );
    append_lines(&backend, &store, "p1 1 a PUT v1 @A").await;
    assert_eq!(backend.changes(), [], "a duplicate changes nothing");
}

use std::sync::Arc;

use jiff::SignedDuration;

use super::{Backend, append, delivery, registry, source, transfer::Carried};
use crate::{
    event::fixture::{at, raw},
    store::{
        Delivery, EventReader, Gap, Listened, Listening, Window,
        conformance::transfer::{exported, imported},
        transfer::Scope,
    },
};

/// Of a webhook server that listened from this second to that one, where every sender gives up at once.
pub(crate) fn listened(since: f64, until: f64) -> Listened {
    Listened {
        since: at(since),
        until: at(until),
        goes_on: true,
        loses: Arc::new(|_, _, _| true),
    }
}

fn stopped(since: f64, until: f64) -> Listened {
    Listened {
        goes_on: false,
        ..listened(since, until)
    }
}

pub(crate) fn down(start: f64, end: f64) -> Gap {
    Gap {
        reason: "ReceiverDown".to_owned(),
        window: Window {
            start: at(start),
            end: at(end),
        },
        is_open: false,
    }
}

async fn say(store: &impl Listening, listened: Listened) {
    store.listened(listened).await.unwrap();
}

pub(crate) async fn a_time_in_which_nobody_listened_is_a_gap_of_who_had_delivered_before<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    say(&store, listened(0.0, 0.0)).await;
    append(&store, delivery(vec![raw("g1 10 a GET v1 @A")])).await;
    say(&store, listened(0.0, 60.0)).await;
    assert_eq!(source(&store).await.gaps, []);
    // It crashes.
    backend.close(store).await;
    let store = backend.open().await;
    backend.changes();
    say(&store, listened(1000.0, 1000.0)).await;
    assert_eq!(source(&store).await.gaps, [down(60.0, 1000.0)]);
    assert!(backend.changes().contains(&(registry(), Vec::new())));

    // It listens, and is stopped.
    say(&store, listened(1000.0, 1060.0)).await;
    let second = Delivery {
        source: "second".to_owned(),
        ..delivery(vec![raw("g2 1070 a GET v1 @A")])
    };
    append(&store, second).await;
    say(&store, stopped(1000.0, 1100.0)).await;
    backend.close(store).await;
    let store = backend.open().await;
    say(&store, listened(1101.0, 1101.0)).await;
    let gaps: Vec<Vec<Gap>> = store
        .sources(registry())
        .await
        .unwrap()
        .into_iter()
        .map(|source| source.gaps)
        .collect();
    assert_eq!(
        gaps,
        [
            vec![down(60.0, 1000.0), down(1100.0, 1101.0)],
            vec![down(1100.0, 1101.0)]
        ]
    );
}

pub(crate) async fn what_is_sent_again_for_longer_than_nobody_listened_is_no_gap<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append(&store, delivery(vec![raw("g1 10 a GET v1 @A")])).await;
    let patient = |since, until| Listened {
        loses: Arc::new(|key, source, pause| {
            assert_eq!((key, source), (&registry(), super::SOURCE));
            pause > SignedDuration::from_secs(300)
        }),
        ..stopped(since, until)
    };
    say(&store, patient(0.0, 60.0)).await;
    backend.close(store).await;
    let store = backend.open().await;
    say(&store, patient(360.0, 400.0)).await;
    assert_eq!(source(&store).await.gaps, []);
    backend.close(store).await;
    let store = backend.open().await;
    say(&store, patient(700.5, 800.0)).await;
    assert_eq!(source(&store).await.gaps, [down(400.0, 700.5)]);
}

pub(crate) async fn where_nobody_is_known_to_have_listened_before_there_is_no_gap<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append(&store, delivery(vec![raw("g1 10 a GET v1 @A")])).await;
    say(&store, listened(1000.0, 1000.0)).await;
    assert_eq!(source(&store).await.gaps, []);
}

pub(crate) async fn a_move_neither_hides_nor_invents_a_time_in_which_nobody_listened<B: Carried>() {
    let (from, to) = (B::fresh().await, B::fresh().await);
    let store = from.open().await;
    say(&store, listened(0.0, 0.0)).await;
    append(&store, delivery(vec![raw("g1 10 a GET v1 @A")])).await;
    say(&store, stopped(0.0, 60.0)).await;
    from.close(store).await;
    let lines = exported(&from, Scope::default()).await;

    // Into a store that nobody has used.
    imported(&to, &lines, 0).await.unwrap();
    assert!(exported(&to, Scope::default()).await == lines);
    let store = to.open().await;
    assert_eq!(source(&store).await.gaps, []);
    say(&store, listened(1000.0, 1000.0)).await;
    assert_eq!(source(&store).await.gaps, [down(60.0, 1000.0)]);
    to.close(store).await;

    // Into one that has taken deliveries since.
    let used = B::fresh().await;
    let store = used.open().await;
    say(&store, stopped(5000.0, 5100.0)).await;
    used.close(store).await;
    imported(&used, &lines, 0).await.unwrap();
    let store = used.open().await;
    say(&store, listened(6000.0, 6000.0)).await;
    assert_eq!(
        source(&store).await.gaps,
        [down(60.0, 5000.0), down(5100.0, 6000.0)]
    );
    used.close(store).await;
}

use jiff::Timestamp;

use super::{Backend, REPOSITORY, all, append, append_lines, ask, clause, delivery, query, registry};
use crate::{
    event::fixture::{at, raw},
    store::{Delivery, EventQuery, EventReader, RegistryKey, Select, Upkeep},
};

async fn purge(store: &impl Upkeep, before: Timestamp) {
    store.purge(registry(), before).await.unwrap();
}

pub(crate) async fn a_purge_removes_what_is_older_and_keeps_the_facts<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let pulls = (0..1200).map(|n| format!("g{n} {} b GET v1 @A", 200 + n));
    let others = [
        "p1 100 a PUT v1 @A",
        "d9 110 a DELETE - @Z",
        "p2 120 a PUT v2 @B",
        "d2 130 a DELETE v2 -",
    ];
    let history: Vec<String> = others.map(str::to_owned).into_iter().chain(pulls).collect();
    append_lines(&backend, &store, &history.join("\n")).await;
    append_lines(&backend, &store, "new 90000 b GET v1 @A\nd3 90001 a DELETE - @B").await;
    let pointers = store
        .tag_pointers(registry(), REPOSITORY.to_owned())
        .await
        .unwrap();
    let tags = store.tags(registry(), REPOSITORY.to_owned()).await.unwrap();

    purge(&store, at(80_000.0)).await;
    assert_eq!(all(&store).await, ["d3 Delete - @B x1", "new Pull v1 @A x1"]);
    assert_eq!(
        store
            .tag_pointers(registry(), REPOSITORY.to_owned())
            .await
            .unwrap(),
        pointers
    );
    assert_eq!(store.tags(registry(), REPOSITORY.to_owned()).await.unwrap(), tags);
    // Still known as a manifest.
    append_lines(&backend, &store, "d4 90100 a DELETE - @A").await;
    assert_eq!(all(&store).await[0], "d4 Delete - @A x1");
    // Again: nothing is left to do.
    purge(&store, at(80_000.0)).await;
    assert_eq!(all(&store).await.len(), 3);
}

pub(crate) async fn an_event_received_late_is_kept_from_its_receipt<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(
        &backend,
        &store,
        "g1 100 a GET v1 @A received=90000\ng2 100 a GET v1 @A",
    )
    .await;
    purge(&store, at(80_000.0)).await;
    assert_eq!(all(&store).await, ["g1 Pull v1 @A x1"]);
    assert_eq!(
        append(&store, delivery(vec![raw("g1 100 a GET v1 @A")]))
            .await
            .duplicates,
        1
    );
    purge(&store, at(95_000.0)).await;
    assert!(all(&store).await.is_empty());
}

pub(crate) async fn a_purge_leaves_other_registries_alone<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, "g1 100 a GET v1 @A").await;
    let other = RegistryKey {
        name: "other".to_owned(),
        ..registry()
    };
    append(
        &store,
        Delivery {
            registry: other.clone(),
            ..delivery(vec![raw("g1 100 a GET v1 @A")])
        },
    )
    .await;
    backend.settle(&store).await;
    purge(&store, at(80_000.0)).await;
    assert!(all(&store).await.is_empty());
    let asked = EventQuery {
        registry: other,
        ..query(vec![clause(Select::All)])
    };
    assert_eq!(ask(&store, asked).await.len(), 1);
}

pub(crate) async fn a_purged_pull_keeps_its_tag_where_its_neighbours_stay<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    // The end of retention lies between a HEAD and its GET.
    append_lines(&backend, &store, "h1 79999 a HEAD v1 @A\ng1 80001 a GET - @A").await;
    purge(&store, at(80_000.0)).await;
    assert_eq!(all(&store).await, ["g1 Pull v1 @A x2"]);
    append_lines(&backend, &store, "h2 80002 b HEAD v1 @A received=90000").await;
    assert_eq!(all(&store).await, ["h2 Check v1 @A x1", "g1 Pull v1 @A x2"]);
}

use proptest::prelude::*;

use super::{
    Backend, REPOSITORY, append, append_lines, delivery,
    linking::{cases, deliveries},
    registry,
};
use crate::{
    event::{
        fixture::{START, at, raws},
        pointer,
    },
    image::Digest,
    store::{EventReader, TagPointer},
};

/// Pointers as lines `TAG DIGEST SECONDS`, oldest first.
async fn pointers(store: &impl EventReader) -> Vec<String> {
    let told = |TagPointer { tag, digest, from }: TagPointer| {
        let digest = digest.map_or("-".to_owned(), |digest| letter(&digest));
        format!("{tag} {digest} {}", from.as_second() - START)
    };
    store
        .tag_pointers(registry(), REPOSITORY.to_owned())
        .await
        .unwrap()
        .into_iter()
        .map(told)
        .collect()
}

fn letter(digest: &Digest) -> String {
    match digest {
        Digest::Sha256(bytes) => format!("@{}", char::from(bytes[0])),
        Digest::Sha512(_) => panic!("lines have no sha512"),
    }
}

pub(crate) async fn a_tag_points_where_the_newest_event_says<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(
        &backend,
        &store,
        "p1 100 a PUT v1 @A
         h1 150 b HEAD v1 @A
         g1 151 b GET - @A
         p2 200 a PUT v1 @B
         g2 250 b GET latest @B
         g3 300 b GET v1 @B",
    )
    .await;
    assert_eq!(
        pointers(&store).await,
        ["v1 @A 100", "v1 @B 200", "latest @B 250"]
    );
}

pub(crate) async fn a_late_event_moves_no_pointer_back<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, "p2 200 a PUT v1 @B\ng1 300 b GET v1 @B").await;
    append_lines(&backend, &store, "p1 100 a PUT v1 @A received=400").await;
    assert_eq!(pointers(&store).await, ["v1 @A 100", "v1 @B 200"]);
    // It moved away and back while nobody told; what was seen in between still holds.
    append_lines(
        &backend,
        &store,
        "g2 350 b GET v1 @B\np3 250 a PUT v1 @C received=500",
    )
    .await;
    assert_eq!(
        pointers(&store).await,
        ["v1 @A 100", "v1 @B 200", "v1 @C 250", "v1 @B 300"]
    );
}

pub(crate) async fn a_late_event_tells_beside_a_delete_that_comes_with_it<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, "g1 25 a GET v1 @C\ng2 44 a GET v1 @C").await;
    append(&store, delivery(raws("d1 24 a DELETE - @A\nh1 40 a HEAD v1 @A"))).await;
    backend.settle(&store).await;
    assert_eq!(pointers(&store).await, ["v1 @C 25", "v1 @A 40", "v1 @C 44"]);
}

pub(crate) async fn deletes_end_pointers<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(
        &backend,
        &store,
        "p1 100 a PUT v1 @A
         p2 110 a PUT v2 @A
         p3 120 a PUT v3 @B
         d1 200 a DELETE v1 -
         d2 300 a DELETE - @A
         p4 400 a PUT v1 @A
         d3 500 a DELETE - -",
    )
    .await;
    let told = pointers(&store).await;
    for expected in [
        "v1 @A 100",
        "v1 - 200",
        "v2 - 300",
        "v1 @A 400",
        "v1 - 500",
        "v3 - 500",
    ] {
        assert!(told.contains(&expected.to_owned()), "{expected} in {told:?}");
    }
    assert_eq!(told.len(), 8, "{told:?}");
}

pub(crate) async fn tags_tell_their_last_push_and_pull_and_delete<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(
        &backend,
        &store,
        "p1 100 a PUT v1 @A
         h1 200 b HEAD v1 @A
         g1 201 b GET - @A
         p2 300 a PUT v2 @B
         d2 400 a DELETE v2 -
         g3 500 c GET v0 -",
    )
    .await;
    let tags = store.tags(registry(), REPOSITORY.to_owned()).await.unwrap();
    let told: Vec<_> = tags
        .iter()
        .map(|facts| {
            let digest = facts.digest.as_ref().map(letter);
            (
                facts.tag.as_str(),
                digest,
                facts.last_push,
                facts.last_pull,
                facts.deleted,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("v0", None, None, Some(at(500.0)), None),
            (
                "v1",
                Some("@A".to_owned()),
                Some(at(100.0)),
                Some(at(201.0)),
                None
            ),
            ("v2", None, Some(at(300.0)), None, Some(at(400.0))),
        ]
    );
}

pub(crate) async fn pointers_as_events_come_equal_those_of_all_facts<B: Backend>() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases::<B>()));
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        runner
            .run(&deliveries(), |deliveries| {
                runtime.block_on(async {
                    let backend = B::fresh().await;
                    let store = backend.open().await;
                    let mut facts = Vec::new();
                    for events in deliveries {
                        append(&store, delivery(events.clone())).await;
                        facts.extend(events.iter().flat_map(pointer::facts));
                        backend.settle(&store).await;
                        let found = store
                            .tag_pointers(registry(), REPOSITORY.to_owned())
                            .await
                            .unwrap();
                        prop_assert_eq!(found, pointer::pointers(&facts));
                    }
                    backend.close(store).await;
                    Ok(())
                })
            })
            .unwrap();
    });
}

use super::{Backend, all, append_lines, ask, clause, ids, query};
use crate::{
    event::{DeleteTarget, fixture::digest},
    store::Select,
};

pub(crate) async fn a_delete_by_digest_waits_until_its_digest_is_known_as_a_manifest<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, "d1 100 a DELETE - @A\nd2 200 a DELETE - @X").await;
    assert_eq!(
        all(&store).await,
        ["d2 UnresolvedDelete - @X x1", "d1 UnresolvedDelete - @A x1"]
    );
    backend.changes();

    // The push comes late, or somebody pulls what another registry wrote.
    append_lines(&backend, &store, "g1 5000 b GET - @A").await;
    assert_eq!(
        all(&store).await,
        [
            "g1 Pull - @A x1",
            "d2 UnresolvedDelete - @X x1",
            "d1 Delete - @A x1"
        ]
    );
    backend.close(store).await;
    // It stays known.
    let store = backend.open().await;
    append_lines(&backend, &store, "d3 9000 a DELETE - @A").await;
    assert_eq!(all(&store).await[0], "d3 Delete - @A x1");
}

pub(crate) async fn the_deletes_of_one_request_are_one_delete_with_its_tags<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(
        &backend,
        &store,
        "p1 1 a PUT v1 @A
         d1 100 a DELETE - @A request=r1
         d2 100.1 a DELETE v1 - request=r1
         d3 160 a DELETE v1-arm64 - request=r1
         d4 100.1 a DELETE v9 - request=r2",
    )
    .await;
    let one = ["d1 Delete v1,v1-arm64 @A x3"];
    assert_eq!(
        all(&store).await,
        ["d4 Delete v9 - x1", one[0], "p1 Push v1 @A x1"]
    );
    for select in [
        Select::Tag("v1-arm64".to_owned()),
        Select::TagDelete("v9".to_owned()),
    ] {
        assert_eq!(ids(&store, select).await.len(), 1);
    }
    let found = ask(&store, query(vec![clause(Select::Digest(digest('A')))])).await;
    assert_eq!(found[0].event.target, Some(DeleteTarget::Manifest));
    assert!(
        ids(&store, Select::TagDelete("v1".to_owned())).await.is_empty(),
        "it names a digest"
    );
    assert!(
        ids(&store, Select::UntaggedDigest(digest('A'))).await.is_empty(),
        "it names tags"
    );
}

pub(crate) async fn the_delete_of_a_repository_is_found_by_its_clause<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(
        &backend,
        &store,
        "d1 1 a DELETE v1 -\nd2 100 a DELETE - -\nd3 200 a DELETE - @A",
    )
    .await;
    assert_eq!(ids(&store, Select::WholeRepository).await, ["d2"]);
}

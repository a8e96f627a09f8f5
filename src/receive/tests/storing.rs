use std::{path::Path, sync::Arc};

use super::{PULL, Server, TOKEN, chunked, head, registry};
use crate::{
    dialect::Format,
    event::Attribution,
    receive::Method,
    store::{
        AttributedEvent, Clause, Clients, EventQuery, EventReader, KeepFree, Keeping, Quarantine, Select,
        SourceState, SqliteStore, Terms, Upkeep, Window,
    },
};

fn open(folder: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(&folder.join("events.db"), |_, _| {}).unwrap())
}

async fn events(store: &SqliteStore) -> Vec<AttributedEvent> {
    store.linked().await.unwrap();
    let window = Window {
        start: jiff::Timestamp::MIN,
        end: jiff::Timestamp::MAX,
    };
    let all = Clause {
        select: Select::All,
        window,
        attribution: Attribution::Named,
    };
    let query = EventQuery {
        registry: registry(),
        repository: "shop/web".to_owned(),
        categories: Vec::new(),
        clauses: vec![all],
        clients: Clients::default(),
    };
    store.events(query, None, 100).await.unwrap()
}

async fn source(store: &SqliteStore) -> SourceState {
    store.sources(registry()).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_delivery_is_stored_when_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let server = Server::start(store.clone()).await;
    let answer = server.deliver(PULL).await;
    assert_eq!(answer.status, 202);
    let state = source(&store).await;
    assert_eq!(
        (state.source.as_str(), state.stored, state.ignored),
        ("notifications", 3, 1)
    );
    let found = events(&store).await;
    let told: Vec<_> = found
        .iter()
        .map(|found| (found.event.raw_count, found.event.tags.len()))
        .collect();
    assert_eq!(
        told,
        [(1, 0), (2, 1)],
        "the platform's GET, and the GET that took the HEAD"
    );
    assert_eq!(server.metrics.deliveries("Stored"), 1);
}

#[tokio::test]
async fn the_same_delivery_again_is_acknowledged_and_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let server = Server::start(store.clone()).await;
    for _ in 0..3 {
        assert_eq!(server.deliver(PULL).await.status, 202);
    }
    assert_eq!(events(&store).await.len(), 2);
    let state = source(&store).await;
    assert_eq!((state.stored, state.duplicates), (3, 6));
}

#[tokio::test]
async fn an_unreadable_body_is_acknowledged_and_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let server = Server::start(store.clone()).await;
    let nested = vec![b'['; 500_000];
    let poisoned: [&[u8]; 4] = [b"{\"events\": [", b"", b"\xff\xfe", &nested];
    for body in poisoned {
        assert_eq!(server.deliver(body).await.status, 202);
    }
    // What comes behind it is not held up.
    assert_eq!(server.deliver(PULL).await.status, 202);
    let state = source(&store).await;
    assert_eq!((state.quarantined, state.stored), (4, 3));
    assert_eq!(state.gaps.len(), 1, "{:?}", state.gaps);
    assert_eq!(server.metrics.deliveries("Quarantined"), 4);
}

#[tokio::test]
async fn a_body_in_chunks_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let server = Server::start(store.clone()).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nauthorization: bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\
         Content-Encoding: identity\r\n\r\n",
        super::PATH
    );
    assert_eq!(server.send(&head, &chunked(PULL, 100)).await.status, 202);
    assert_eq!(source(&store).await.stored, 3);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let server = Server::start(store.clone()).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.send(&head(TOKEN, PULL.len()), PULL).await;
        assert_eq!(client.answer().await.status, 202);
    }
    assert_eq!(source(&store).await.duplicates, 6);
}

#[tokio::test]
async fn a_closed_store_is_told_and_the_delivery_can_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let server = Server::start(store.clone()).await;
    store.close().await.unwrap();
    let answer = server.deliver(PULL).await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);
}

#[tokio::test]
async fn a_registry_over_its_quota_is_told_to_come_again_and_then_taken() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let server = Server::start(store.clone()).await;
    let keep = async |quota| {
        let retention = jiff::SignedDuration::from_hours(1);
        let terms = Terms { retention, quota };
        store.keep(registry(), terms).await.unwrap();
    };
    keep(Some(2)).await;
    let answer = server.deliver(PULL).await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 60\r\n"), "{}", answer.head);
    assert_eq!(server.metrics.deliveries("QuotaExceeded"), 1);
    assert!(
        store.sources(registry()).await.unwrap().is_empty(),
        "nothing is written"
    );
    keep(Some(3)).await;
    assert_eq!(server.deliver(PULL).await.status, 202);
    assert_eq!(source(&store).await.stored, 3);
}

#[tokio::test]
async fn a_volume_that_is_nearly_full_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    let store = SqliteStore::open_keeping_free(&path, KeepFree::Bytes(u64::MAX), |_, _| {}).unwrap();
    let server = Server::start(Arc::new(store)).await;
    let answer = server.deliver(PULL).await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 60\r\n"), "{}", answer.head);
    assert_eq!(server.metrics.deliveries("LowSpace"), 1);
    assert_eq!(server.metrics.deliveries("StoreUnavailable"), 0);
}

#[tokio::test]
async fn what_a_body_came_with_is_put_aside_with_it_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let server = Server::start(store.clone()).await;
    let headers = format!("Authorization: Bearer {TOKEN}\r\nCe-Id: 7\r\nCe-Type: {TOKEN}\r\nX-Key: k\r\n");
    let head = |body: &[u8]| {
        format!(
            "POST {} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n",
            super::PATH,
            body.len()
        )
    };
    let body: &[u8] = b"{";
    server.open_format("notifications", Format::Zot, Method::Bearer, &[TOKEN]);
    assert_eq!(server.send(&head(body), body).await.status, 202);
    // Whatever the header is called that the secret is in.
    let by_header = Method::Header("ce-type".parse().unwrap());
    server.open_format("notifications", Format::Zot, by_header, &[TOKEN]);
    assert_eq!(server.send(&head(body), body).await.status, 202);

    let bodies = store.aside(0).await.unwrap();
    let told: Vec<_> = bodies
        .iter()
        .map(|body| {
            let names: Vec<&str> = body.headers.keys().map(String::as_str).collect();
            (body.format.as_deref(), names)
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some("Zot"), vec!["ce-id", "ce-type"]),
            (Some("Zot"), vec!["ce-id"])
        ]
    );
}

use std::{sync::Arc, time::Duration};

use super::{PATH, PULL, Server, Stub, TOKEN, head, registry};
use crate::receive::{Limits, Rate};

/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_refused() {
    let limits = Limits {
        body_within: SHORT,
        ..Limits::default()
    };
    let server = Server::with_limits(Arc::new(Stub::default()), limits).await;
    let mut client = server.connect().await;
    client.send(&head(TOKEN, PULL.len()), &PULL[..10]).await;
    assert_eq!(client.answer().await.status, 408);
    client.closed().await;
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_ends_the_connection_and_holds_nobody_up() {
    let limits = Limits {
        head_within: SHORT,
        ..Limits::default()
    };
    let server = Server::with_limits(Arc::new(Stub::default()), limits).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect().await;
        client
            .send(&format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Slow"), b"")
            .await;
        slow.push(client);
    }
    let mut silent = server.connect().await;
    assert_eq!(server.deliver(PULL).await.status, 202);
    for client in &mut slow {
        client.closed().await;
    }
    silent.closed().await;
    // So is one that idles after a delivery.
    let mut idle = server.connect().await;
    idle.send(&head(TOKEN, PULL.len()), PULL).await;
    assert_eq!(idle.answer().await.status, 202);
    idle.closed().await;
}

#[tokio::test]
async fn one_source_cannot_take_every_turn() {
    let stub = Stub::gated();
    let limits = Limits {
        of_one_source: 2,
        patience: SHORT,
        ..Limits::default()
    };
    let server = Server::with_limits(stub.clone(), limits).await;
    server.open("second", &[TOKEN]);
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.send(&head(TOKEN, PULL.len()), PULL).await;
        waiting.push(client);
    }
    super::eventually("both are under way", || stub.deliveries() == 2).await;
    let answer = server.deliver(PULL).await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);

    // The other source still has its own; a change of the tokens gives no turns away.
    server.open("notifications", &[TOKEN, "0123456789abcdef-second"]);
    assert_eq!(server.deliver(PULL).await.status, 503);
    let other = head(TOKEN, PULL.len()).replace("notifications", "second");
    let mut client = server.connect().await;
    client.send(&other, PULL).await;
    for _ in 0..3 {
        stub.let_one_through();
    }
    for client in waiting.iter_mut().chain([&mut client]) {
        assert_eq!(client.answer().await.status, 202);
    }
    assert_eq!(server.metrics.deliveries("TooMany"), 2);
    assert_eq!(stub.refused(), 2, "the store is told what it never saw");
}

#[tokio::test]
async fn bodies_of_all_sources_share_one_room() {
    let limits = Limits {
        bodies_kib: 8,
        patience: SHORT,
        ..Limits::default()
    };
    let server = Server::with_limits(Arc::new(Stub::default()), limits).await;
    let mut slow = server.connect().await;
    slow.send(&head(TOKEN, 8000), b"{").await;
    // Once its head is read, the room is full.
    let full = async { while server.deliver(PULL).await.status != 503 {} };
    tokio::time::timeout(super::DEADLINE, full).await.unwrap();
    drop(slow);
    super::eventually("the room is free", || server.metrics.deliveries("Broken") == 1).await;
    assert_eq!(server.deliver(PULL).await.status, 202);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let stub = Stub::gated();
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let server = Server::with_limits(stub.clone(), limits).await;
    let mut first = server.connect().await;
    first
        .send(
            &head(TOKEN, PULL.len()).replace("Host", "Connection: close\r\nHost"),
            PULL,
        )
        .await;
    super::eventually("the first is under way", || stub.deliveries() == 1).await;
    let mut second = server.connect().await;
    second.send(&head(TOKEN, PULL.len()), PULL).await;
    assert!(tokio::time::timeout(SHORT, second.answer()).await.is_err());
    assert_eq!(stub.deliveries(), 1, "the second is not read yet");
    stub.let_one_through();
    assert_eq!(first.answer().await.status, 202);
    first.closed().await;
    stub.let_one_through();
    assert_eq!(second.answer().await.status, 202);
}

#[tokio::test]
async fn a_stop_lets_deliveries_under_way_finish() {
    let stub = Stub::gated();
    let server = Server::start(stub.clone()).await;
    let mut client = server.connect().await;
    client.send(&head(TOKEN, PULL.len()), PULL).await;
    super::eventually("it is under way", || stub.deliveries() == 1).await;
    let mut idle = server.connect().await;
    server.cancel.cancel();
    stub.let_one_through();
    assert_eq!(client.answer().await.status, 202);
    client.closed().await;
    idle.closed().await;
    tokio::time::timeout(super::DEADLINE, server.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let stub = Stub::gated();
    let limits = Limits {
        stop_within: SHORT,
        ..Limits::default()
    };
    let server = Server::with_limits(stub.clone(), limits).await;
    let mut client = server.connect().await;
    client.send(&head(TOKEN, PULL.len()), PULL).await;
    super::eventually("it is under way", || stub.deliveries() == 1).await;
    server.cancel.cancel();
    tokio::time::timeout(super::DEADLINE, server.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_waited_for_for_ever() {
    let limits = Limits {
        commit_within: SHORT,
        ..Limits::default()
    };
    let stub = Stub::gated();
    let server = Server::with_limits(stub.clone(), limits).await;
    assert_eq!(server.deliver(PULL).await.status, 503);
    assert_eq!(stub.refused(), 1);
}

#[tokio::test]
async fn a_registry_above_its_rate_is_told_to_come_again_before_its_body_is_read() {
    let stub = Arc::new(Stub::default());
    let server = Server::start(stub.clone()).await;
    // A minute's worth is used: nothing of it comes back while this runs.
    let rate = Rate {
        per_second: 1,
        burst: 100_000,
    };
    let none = Rate { burst: 1, ..rate };
    server.limit("notifications", rate);
    server.limit("second", rate);
    for _ in 0..60 {
        assert_eq!(server.deliver(PULL).await.status, 202);
    }
    assert_eq!(server.directory.exceeded(&registry()), None);

    // What was used stays used when the rate changes, and is that of all sources.
    server.limit("notifications", none);
    server.limit("second", none);
    let stranger = server
        .send(&head("0123456789abcdef-wrong", PULL.len()), PULL)
        .await;
    assert_eq!(stranger.status, 401);
    let mut client = server.connect().await;
    client.send(&head(TOKEN, PULL.len()), b"").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: 1\r\n"), "{}", answer.head);
    assert_eq!(server.directory.exceeded(&registry()), Some(none));
    assert_eq!(server.metrics.deliveries("RateLimited"), 1);
    assert_eq!((stub.deliveries(), stub.refused()), (60, 1));
    assert_eq!(server.directory.rejected(&super::path("notifications")), 2);

    // Without a limit all is taken.
    server.open("notifications", &[TOKEN]);
    server.open("second", &[TOKEN]);
    for _ in 0..3 {
        assert_eq!(server.deliver(PULL).await.status, 202);
    }
    assert_eq!(server.directory.exceeded(&registry()), None);
}

use std::sync::{Arc, atomic::Ordering};

use super::{PATH, PULL, Server, Stub, TOKEN, chunked, head, path};
use crate::receive::MAX_BODY_BYTES;

async fn server() -> (Server, Arc<Stub>) {
    let stub = Arc::new(Stub::default());
    (Server::start(stub.clone()).await, stub)
}

/// Only a head that promises a body: an answer shows that none was waited for.
fn bare(authorization: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: x\r\n{authorization}Content-Length: 1000\r\n\r\n")
}

#[tokio::test]
async fn a_wrong_token_is_refused_before_the_body() {
    let (server, stub) = server().await;
    let longer = format!("Authorization: Bearer {TOKEN}x\r\n");
    let shorter = format!("Authorization: Bearer {}\r\n", &TOKEN[..TOKEN.len() - 1]);
    let basic = format!("Authorization: Basic {TOKEN}\r\n");
    let unschemed = format!("Authorization: {TOKEN}\r\n");
    let wrong = [
        "",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer 0123456789abcdef-other\r\n",
        &longer,
        &shorter,
        &basic,
        &unschemed,
    ];
    for authorization in wrong {
        let answer = server.send(&bare(authorization), b"").await;
        assert_eq!(answer.status, 401, "{authorization}");
        assert!(
            answer.head.contains("www-authenticate: bearer"),
            "{}",
            answer.head
        );
    }
    assert_eq!((stub.deliveries(), stub.refused()), (0, 0));
    let refused = wrong.len();
    assert_eq!(
        server.directory.rejected(&path("notifications")),
        i64::try_from(refused).unwrap()
    );
    assert_eq!(
        server.metrics.deliveries("Unauthorized"),
        u64::try_from(refused).unwrap()
    );
}

#[tokio::test]
async fn two_tokens_are_accepted_while_one_is_replaced() {
    let (server, _) = server().await;
    let second = "0123456789abcdef-second";
    server.open("notifications", &[TOKEN, second]);
    for token in [TOKEN, second] {
        assert_eq!(server.send(&head(token, PULL.len()), PULL).await.status, 202);
    }
    server.send(&bare(""), b"").await;
    server.open("notifications", &[second]);
    assert_eq!(server.send(&head(TOKEN, PULL.len()), PULL).await.status, 401);
    assert_eq!(server.send(&head(second, PULL.len()), PULL).await.status, 202);
    assert_eq!(
        server.directory.rejected(&path("notifications")),
        2,
        "the count outlives the change"
    );
}

#[tokio::test]
async fn a_short_token_is_never_accepted() {
    let (server, _) = server().await;
    for token in ["", "x", "fifteen-letters"] {
        server.open("notifications", &[token]);
        assert_eq!(
            server
                .send(&bare(&format!("Authorization: Bearer {token}\r\n")), b"")
                .await
                .status,
            401
        );
    }
    server.open("notifications", &[]);
    assert_eq!(
        server.send(&bare("Authorization: Bearer \r\n"), b"").await.status,
        401
    );
}

#[tokio::test]
async fn an_unknown_or_closed_path_is_not_found_whatever_the_token() {
    let (server, stub) = server().await;
    for token in [TOKEN, "wrong", ""] {
        for path in [
            "/v1/events/team/registry/other",
            "/v1/events/other/registry/notifications",
        ] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 1000\r\n\r\n"
            );
            assert_eq!(server.send(&head, b"").await.status, 404, "{path}");
        }
    }
    for path in [
        "/",
        "/v1/events/team/registry",
        "/v1/events/team/registry/notifications/more",
        "/metrics",
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
        assert_eq!(server.send(&head, b"").await.status, 404, "{path}");
    }
    server.directory.remove(&path("notifications"));
    assert_eq!(server.deliver(PULL).await.status, 404);
    assert_eq!(stub.deliveries(), 0);
}

#[tokio::test]
async fn other_methods_are_refused() {
    let (server, _) = server().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let head = format!("{method} {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        assert_eq!(server.send(&head, b"").await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused_unread() {
    let (server, stub) = server().await;
    for encoding in [
        "gzip",
        "br",
        "identity, gzip",
        "deflate\r\nContent-Encoding: identity",
    ] {
        let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Encoding: {encoding}\r\n");
        assert_eq!(server.send(&bare(&headers), b"").await.status, 415, "{encoding}");
    }
    assert_eq!(stub.deliveries(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let (server, stub) = server().await;
    // Promised: refused unread.
    for length in [MAX_BODY_BYTES + 1, usize::MAX / 2] {
        assert_eq!(server.send(&head(TOKEN, length), b"").await.status, 413);
    }
    // In chunks: refused when it gets there.
    let chunks = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let too_large = vec![b' '; MAX_BODY_BYTES + 1];
    assert_eq!(
        server.send(&chunks, &chunked(&too_large, 10_000)).await.status,
        413
    );
    assert_eq!(stub.deliveries(), 0);
    // As large as may be.
    assert_eq!(server.deliver(&too_large[1..]).await.status, 202);
    assert_eq!(
        server
            .send(&chunks, &chunked(&too_large[1..], 10_000))
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_delivery() {
    let (server, stub) = server().await;
    let mut client = server.connect().await;
    client
        .send(&head(TOKEN, PULL.len()), &PULL[..PULL.len() / 2])
        .await;
    drop(client);
    super::eventually("the break is counted", || {
        server.metrics.deliveries("Broken") == 1
    })
    .await;
    assert_eq!(stub.deliveries(), 0);
}

#[tokio::test]
async fn while_the_store_fails_deliveries_are_sent_away_and_then_taken() {
    let (server, stub) = server().await;
    stub.failing.store(true, Ordering::SeqCst);
    let answer = server.deliver(PULL).await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 5"), "{}", answer.head);
    assert_eq!(server.metrics.deliveries("StoreUnavailable"), 1);
    assert_eq!(stub.refused(), 0, "the store knows what it refused");
    stub.failing.store(false, Ordering::SeqCst);
    assert_eq!(server.deliver(PULL).await.status, 202);
}

#[tokio::test]
async fn what_is_no_http_is_sent_away() {
    let (server, _) = server().await;
    assert_eq!(server.send("nonsense\r\n\r\n", b"").await.status, 400);
    let long = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n",
        "a".repeat(100_000)
    );
    assert_eq!(server.send(&long, b"").await.status, 431);
    // Two lengths, as a smuggler sends them.
    let twice = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n");
    assert_eq!(server.send(&twice, b"hello").await.status, 400);
}

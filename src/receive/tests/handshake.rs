use std::sync::Arc;

use super::{Answer, PATH, Server, Stub, TOKEN};
use crate::{
    dialect::Format,
    receive::{Method, Rate},
};

const SECRET: &str = "0123456789abcdef-secret";

async fn ask(server: &Server, path: &str, headers: &str) -> Answer {
    let head = format!("OPTIONS {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    server.send(&head, b"").await
}

#[tokio::test]
async fn a_sender_of_cloud_events_may_ask_whether_it_may_deliver() {
    let server = Server::start(Arc::new(Stub::default())).await;
    let origin = "WebHook-Request-Origin: eventgrid.example\r\n";
    let answer = ask(&server, PATH, &format!("{origin}WebHook-Request-Rate: 120\r\n")).await;
    assert_eq!(answer.status, 200);
    for line in [
        "allow: post",
        "webhook-allowed-origin: eventgrid.example",
        "webhook-allowed-rate: 120",
    ] {
        assert!(answer.head.contains(line), "{line} in {}", answer.head);
    }
    let unlimited = ask(&server, PATH, origin).await;
    assert!(
        !unlimited.head.contains("webhook-allowed-rate"),
        "{}",
        unlimited.head
    );

    server.limit(
        "notifications",
        Rate {
            per_second: 2,
            burst: 2,
        },
    );
    for (asked, allowed) in [("60", "60"), ("600", "120"), ("*", "120")] {
        let answer = ask(
            &server,
            PATH,
            &format!("{origin}WebHook-Request-Rate: {asked}\r\n"),
        )
        .await;
        let line = format!("webhook-allowed-rate: {allowed}\r\n");
        assert!(answer.head.contains(&line), "{asked}: {}", answer.head);
    }

    assert_eq!(ask(&server, PATH, "").await.status, 405, "nobody's handshake");
    assert_eq!(
        ask(&server, "/v1/events/team/registry/other", origin)
            .await
            .status,
        404
    );

    server.open_by("notifications", Method::Path, &[SECRET]);
    assert_eq!(ask(&server, PATH, origin).await.status, 401);
    let path = format!("{PATH}/{SECRET}");
    assert_eq!(ask(&server, &path, origin).await.status, 200);
    assert_eq!(ask(&server, &format!("{path}x"), origin).await.status, 401);
}

#[tokio::test]
async fn a_validation_is_answered_and_only_to_who_may_deliver() {
    let stub = Arc::new(Stub::default());
    let server = Server::start(stub.clone()).await;
    server.open_format("notifications", Format::AzureACR, Method::Bearer, &[TOKEN]);
    let body = br#"[{"data":{"validationCode":"0a1b2c3d"}}]"#;
    let ask = async |token: &str| {
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\naeg-event-type: \
             SubscriptionValidation\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        server.send(&head, body).await
    };
    let answer = ask(TOKEN).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"{"validationResponse":"0a1b2c3d"}"#)
    );
    assert!(
        answer.head.contains("content-type: application/json"),
        "{}",
        answer.head
    );
    assert_eq!(ask("wrong").await.status, 401);
    assert_eq!(stub.deliveries(), 0);
}

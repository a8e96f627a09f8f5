//! Messages that a notification topic signs.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Answer, PATH, Server, Stub,
    signing::{SigningKey, Site, answer_of, base64, certificate},
};
use crate::{
    dialect::Format,
    receive::{Certificate, Fetcher, Method, TopicCertificates, TopicRules, remote::Certificates},
};

const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:images";
const CERTIFICATE: &str = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
const HOST: &str = "https://sns.eu-central-1.amazonaws.com";
/// Signed by the key of these tests with SHA-1, which nothing here signs with.
const VERSION_1: &str = include_str!("../../../tests/fixtures/signed/sns-version-1.json");
const CONFIRMATION: &str = "/?Action=ConfirmSubscription&TopicArn=images&Token=0123";

fn rules(certificates: TopicCertificates, fetcher: Fetcher) -> Method {
    Method::NotificationTopic(Arc::new(TopicRules {
        arns: vec![
            "arn:aws:sns:eu-central-1:111122223333:other".to_owned(),
            TOPIC.to_owned(),
        ],
        certificates,
        fetcher,
    }))
}

fn given(pem: &str) -> TopicCertificates {
    TopicCertificates::Given(Certificate::parse_all(pem.as_bytes()).unwrap())
}

/// A notification that lacks its signature.
fn notification() -> Value {
    let action = json!({
        "id": "7d1f0000-0000-4000-8000-000000000001",
        "detail-type": "ECR Image Action",
        "source": "aws.ecr",
        "time": "2026-03-01T09:00:00Z",
        "detail": {"result": "SUCCESS", "repository-name": "shop/web", "action-type": "PUSH", "image-tag": "v1"},
    });
    json!({
        "Type": "Notification",
        "MessageId": "be670000-0000-4000-8000-000000000001",
        "TopicArn": TOPIC,
        "Message": action.to_string(),
        "Timestamp": "2026-03-01T09:00:01.500Z",
        "SignatureVersion": "2",
        "SigningCertURL": format!("{HOST}{CERTIFICATE}"),
        "UnsubscribeURL": format!("{HOST}/?Action=Unsubscribe"),
    })
}

fn confirmation(kind: &str) -> Value {
    json!({
        "Type": kind,
        "MessageId": "be670000-0000-4000-8000-000000000002",
        "TopicArn": TOPIC,
        "Message": "Confirm that this topic may send here.",
        "Timestamp": "2026-03-01T09:00:01.500Z",
        "Token": "0123",
        "SubscribeURL": format!("{HOST}{CONFIRMATION}"),
        "SignatureVersion": "2",
        "SigningCertURL": format!("{HOST}{CERTIFICATE}"),
    })
}

/// The message with the signature that is right for it.
fn signed(mut message: Value) -> Value {
    let fields: &[&str] = match message["Type"].as_str().unwrap() {
        "Notification" => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        _ => &[
            "Message",
            "MessageId",
            "SubscribeURL",
            "Timestamp",
            "Token",
            "TopicArn",
            "Type",
        ],
    };
    let text: String = fields
        .iter()
        .filter_map(|field| Some(format!("{field}\n{}\n", message[field].as_str()?)))
        .collect();
    message["Signature"] = base64(SigningKey::rsa().sign("RS256", text.as_bytes())).into();
    message
}

fn with(mut message: Value, field: &str, value: &str) -> Value {
    message[field] = value.into();
    message
}

async fn deliver(server: &Server, body: &str) -> Answer {
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    server.send(&head, body.as_bytes()).await
}

async fn server(method: Method) -> (Server, Arc<Stub>) {
    let stub = Arc::new(Stub::default());
    let server = Server::start(stub.clone()).await;
    server.open_format("notifications", Format::AmazonECR, method, &[]);
    (server, stub)
}

#[tokio::test]
async fn messages_of_both_versions_are_taken_and_changed_ones_are_not() {
    let site = Site::start().await;
    let method = rules(given(&certificate((2020, 4000))), site.fetcher());
    let (server, stub) = server(method).await;
    let right = signed(notification());
    let titled = signed(with(notification(), "Subject", "An image"));
    let first: Value = serde_json::from_str(VERSION_1).unwrap();
    for message in [&right, &titled, &first] {
        assert_eq!(
            deliver(&server, &message.to_string()).await.status,
            202,
            "{message}"
        );
    }
    assert_eq!(server.metrics.deliveries("Stored"), 3);

    let missing = |field: &str| {
        let mut message = right.clone();
        message.as_object_mut().unwrap().remove(field);
        message
    };
    let text = right.to_string();
    let refused = [
        with(right.clone(), "Message", "{}").to_string(),
        with(right.clone(), "MessageId", "be670000-0000-4000-8000-000000000009").to_string(),
        with(right.clone(), "Timestamp", "2026-03-01T09:00:02.500Z").to_string(),
        with(right.clone(), "Subject", "added").to_string(),
        with(right.clone(), "Type", "SubscriptionConfirmation").to_string(),
        with(right.clone(), "Type", "Other").to_string(),
        // Another of the accepted topics, and one that nobody named.
        with(
            right.clone(),
            "TopicArn",
            "arn:aws:sns:eu-central-1:111122223333:other",
        )
        .to_string(),
        signed(with(
            notification(),
            "TopicArn",
            "arn:aws:sns:eu-central-1:999999999999:images",
        ))
        .to_string(),
        with(right.clone(), "SignatureVersion", "1").to_string(),
        with(right.clone(), "SignatureVersion", "3").to_string(),
        with(right.clone(), "Signature", "").to_string(),
        with(right.clone(), "Signature", "c2lnbmF0dXJl").to_string(),
        with(first.clone(), "SignatureVersion", "2").to_string(),
        with(first, "Message", "{}").to_string(),
        missing("Signature").to_string(),
        missing("Message").to_string(),
        format!("[{text}]"),
        format!("{text}{text}"),
        text.replacen('{', "{\"Message\": \"{}\",", 1),
        right["Message"].as_str().unwrap().to_owned(),
        String::new(),
    ];
    let expected = deliver(&server, "no message").await;
    assert_eq!(expected.status, 401);
    for body in refused {
        let answer = deliver(&server, &body).await;
        assert_eq!(
            (answer.status, answer.body),
            (401, expected.body.clone()),
            "{body}"
        );
    }
    assert_eq!(stub.deliveries(), 3);
    assert!(site.requests().is_empty());
}

#[tokio::test]
async fn a_certificate_counts_only_in_its_time() {
    let site = Site::start().await;
    let body = signed(notification()).to_string();
    let (expired, early, current) = (
        certificate((2019, 2020)),
        certificate((3999, 4000)),
        certificate((2020, 4000)),
    );
    for (pem, expected) in [
        (expired.clone(), 401),
        (early, 401),
        (format!("{expired}{current}"), 202),
    ] {
        let (server, _) = server(rules(given(&pem), site.fetcher())).await;
        assert_eq!(deliver(&server, &body).await.status, expected);
    }
}

#[tokio::test]
async fn the_certificate_that_a_message_names_is_fetched_once_and_only_from_its_topics_host() {
    let site = Site::start().await;
    site.answer(CERTIFICATE, &certificate((2020, 4000)));
    let named = TopicCertificates::Named(Arc::new(Certificates::new(site.fetcher())));
    let (server, _) = server(rules(named, site.fetcher())).await;
    let naming = |url: String| signed(with(notification(), "SigningCertURL", &url)).to_string();
    for elsewhere in [
        format!("http://sns.eu-central-1.amazonaws.com{CERTIFICATE}"),
        format!("https://user@sns.eu-central-1.amazonaws.com{CERTIFICATE}"),
        format!("https://sns.eu-central-1.amazonaws.com@keys.example.com{CERTIFICATE}"),
        format!("https://sns.eu-central-1.amazonaws.com:443{CERTIFICATE}"),
        format!("https://sns.eu-central-1.amazonaws.com.example.com{CERTIFICATE}"),
        format!("https://keys.example.com{CERTIFICATE}"),
        format!("https://sns.cn-north-1.amazonaws.com.cn{CERTIFICATE}"),
        format!("{HOST}/other{CERTIFICATE}"),
        format!("{HOST}/certificate.pem"),
        format!("{HOST}{CERTIFICATE}?a=b"),
        format!("{HOST}/SimpleNotificationService-../x.pem"),
        "not a url".to_owned(),
        String::new(),
    ] {
        assert_eq!(
            deliver(&server, &naming(elsewhere.clone())).await.status,
            401,
            "{elsewhere}"
        );
    }
    assert!(site.requests().is_empty());
    for _ in 0..2 {
        assert_eq!(
            deliver(&server, &naming(format!("{HOST}{CERTIFICATE}")))
                .await
                .status,
            202
        );
    }
    assert_eq!(site.requests(), [CERTIFICATE]);
}

#[tokio::test]
async fn while_a_certificate_cannot_be_fetched_nobody_is_refused_who_may_be_right() {
    let site = Site::start().await;
    let named = TopicCertificates::Named(Arc::new(Certificates::new(site.fetcher())));
    let (server, _) = server(rules(named, site.fetcher())).await;
    let body = signed(notification()).to_string();
    assert_eq!(deliver(&server, &body).await.status, 401, "there is none");
    site.answer_with(CERTIFICATE, answer_of("503 Away", "", ""));
    let answer = deliver(&server, &body).await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 60"), "{}", answer.head);
    site.answer(CERTIFICATE, &certificate((2020, 4000)));
    assert_eq!(deliver(&server, &body).await.status, 202);
}

#[tokio::test]
async fn a_topic_that_asks_is_told_that_it_may_send_where_its_host_is_permitted() {
    let site = Site::start().await;
    site.answer("/", "<ConfirmSubscriptionResponse/>");
    let method = rules(given(&certificate((2020, 4000))), site.fetcher());
    let (server, stub) = server(method).await;
    let asks = confirmation("SubscriptionConfirmation");
    assert_eq!(deliver(&server, &asks.to_string()).await.status, 401, "unsigned");
    let changed = with(signed(asks.clone()), "Token", "9999").to_string();
    assert_eq!(deliver(&server, &changed).await.status, 401);
    assert!(site.requests().is_empty());

    assert_eq!(
        deliver(&server, &signed(asks.clone()).to_string()).await.status,
        202
    );
    assert_eq!(site.requests(), [CONFIRMATION]);
    assert_eq!(server.metrics.deliveries("Confirmed"), 1);

    // What may not be opened, and what asks for something else, is put aside.
    for aside in [
        signed(with(
            asks.clone(),
            "SubscribeURL",
            "https://keys.example.com/?Action=ConfirmSubscription",
        )),
        signed(with(
            asks,
            "SubscribeURL",
            &format!("http://sns.eu-central-1.amazonaws.com{CONFIRMATION}"),
        )),
        signed(confirmation("UnsubscribeConfirmation")),
    ] {
        assert_eq!(deliver(&server, &aside.to_string()).await.status, 202, "{aside}");
    }
    assert_eq!(server.metrics.deliveries("Quarantined"), 3);
    assert_eq!(site.requests().len(), 1);
    assert_eq!(stub.deliveries(), 4);
}

#[tokio::test]
async fn a_confirmation_that_fails_is_put_aside() {
    let site = Site::start().await;
    let method = rules(given(&certificate((2020, 4000))), site.fetcher());
    let (server, _) = server(method).await;
    let asks = signed(confirmation("SubscriptionConfirmation")).to_string();
    assert_eq!(deliver(&server, &asks).await.status, 202);
    assert_eq!(site.requests(), [CONFIRMATION]);
    assert_eq!(server.metrics.deliveries("Quarantined"), 1);
}

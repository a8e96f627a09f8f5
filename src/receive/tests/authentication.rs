//! Each way of proving who one is, right and wrong, as a table.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderName;
use sha1::Sha1;
use sha2::Sha256;

use super::{PATH, PULL, Server, Stub, tokens};
use crate::receive::{HmacAlgorithm, Method};

const FIRST: &str = "0123456789abcdef-first";
const SECOND: &str = "0123456789abcdef-second";
const OTHER: &str = "0123456789abcdef-other";
const SHORT: &str = "0123456789abcde";

fn signature<M: Mac + KeyInit>(key: &str, body: &[u8]) -> String {
    let mut mac = <M as KeyInit>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn basic(user: &str, password: &str) -> String {
    format!(
        "Authorization: Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    )
}

fn hmac(algorithm: HmacAlgorithm) -> Method {
    Method::Hmac {
        header: HeaderName::from_static("x-signature"),
        algorithm,
    }
}

/// A delivery with this header, to the path with this end.
async fn deliver(server: &Server, end: &str, header: &str, body: &[u8]) -> u16 {
    let header = if header.is_empty() {
        String::new()
    } else {
        format!("{header}\r\n")
    };
    let head = format!(
        "POST {PATH}{end} HTTP/1.1\r\nHost: x\r\n{header}Content-Length: {}\r\n\r\n",
        body.len()
    );
    server.send(&head, body).await.status
}

/// What is accepted and what is refused of one method; each is the end of the path and a header.
struct Case {
    method: Method,
    accepted: Vec<(String, String)>,
    refused: Vec<(String, String)>,
}

fn header(text: impl Into<String>) -> (String, String) {
    (String::new(), text.into())
}

fn cases() -> Vec<Case> {
    let sha256 = |key| signature::<Hmac<Sha256>>(key, PULL);
    let sha1 = |key| signature::<Hmac<Sha1>>(key, PULL);
    let (signed_token, right, wrong) = tokens::table();
    let bearer = |token| header(format!("Authorization: Bearer {token}"));
    vec![
        Case {
            method: signed_token,
            accepted: right.into_iter().map(bearer).collect(),
            refused: wrong
                .into_iter()
                .map(bearer)
                .chain([header(format!("Authorization: Bearer {FIRST}"))])
                .collect(),
        },
        Case {
            method: Method::Bearer,
            accepted: vec![
                header(format!("Authorization: Bearer {FIRST}")),
                header(format!("authorization: bearer {SECOND}")),
            ],
            refused: vec![
                header(format!("Authorization: Bearer {OTHER}")),
                header(format!("Authorization: Basic {FIRST}")),
                header(format!("Authorization: Bearer{FIRST}")),
            ],
        },
        Case {
            method: Method::Splunk,
            accepted: vec![header(format!("Authorization: Splunk {FIRST}"))],
            refused: vec![
                header(format!("Authorization: Bearer {FIRST}")),
                header(format!("Authorization: Splunk {OTHER}")),
            ],
        },
        Case {
            method: Method::Basic {
                username: "harbor".to_owned(),
            },
            accepted: vec![header(basic("harbor", FIRST)), header(basic("harbor", SECOND))],
            refused: vec![
                header(basic("harbor", OTHER)),
                header(basic("harbo", FIRST)),
                header(basic("harborx", FIRST)),
                header(format!("Authorization: Basic harbor:{FIRST}")),
                header("Authorization: Basic !"),
            ],
        },
        Case {
            method: Method::Header(HeaderName::from_static("x-jfrog-event-auth")),
            accepted: vec![
                header(format!("X-JFrog-Event-Auth: {FIRST}")),
                header(format!("x-jfrog-event-auth: {SECOND}")),
            ],
            refused: vec![
                header(format!("X-JFrog-Event-Auth: {OTHER}")),
                header(format!("X-JFrog-Event-Auth: Bearer {FIRST}")),
                header(format!("Authorization: {FIRST}")),
            ],
        },
        Case {
            method: Method::Path,
            accepted: vec![
                (format!("/{FIRST}"), String::new()),
                (format!("/{SECOND}"), String::new()),
            ],
            refused: vec![
                (format!("/{OTHER}"), String::new()),
                (String::new(), format!("Authorization: Bearer {FIRST}")),
            ],
        },
        Case {
            method: hmac(HmacAlgorithm::Sha256),
            accepted: vec![
                header(format!("X-Signature: sha256={}", sha256(FIRST))),
                header(format!("X-Signature: {}", sha256(SECOND).to_uppercase())),
            ],
            refused: vec![
                header(format!("X-Signature: {}", sha256(OTHER))),
                header(format!("X-Signature: sha1={}", sha1(FIRST))),
                header(format!("X-Signature: {}", &sha256(FIRST)[..62])),
                header(format!("X-Signature: {}", sha256(FIRST).replace('a', "+"))),
                header(format!("X-Signature: {FIRST}")),
                header(format!("Authorization: Bearer {FIRST}")),
            ],
        },
        Case {
            method: hmac(HmacAlgorithm::Sha1),
            accepted: vec![header(format!("X-Signature: {}", sha1(FIRST)))],
            refused: vec![
                header(format!("X-Signature: {}", sha1(OTHER))),
                header(format!("X-Signature: {}", sha256(FIRST))),
            ],
        },
    ]
}

#[tokio::test]
async fn each_method_accepts_its_own_secrets_and_nothing_else() {
    let stub = Arc::new(Stub::default());
    let server = Server::start(stub.clone()).await;
    let mut taken = 0;
    for Case {
        method,
        accepted,
        refused,
    } in cases()
    {
        server.open_by("notifications", method.clone(), &[FIRST, SECOND]);
        for (end, header) in accepted {
            let status = deliver(&server, &end, &header, PULL).await;
            assert_eq!(status, 202, "{method:?}: {end} {header}");
            taken += 1;
        }
        for (end, header) in refused {
            let status = deliver(&server, &end, &header, PULL).await;
            assert_eq!(status, 401, "{method:?}: {end} {header}");
        }
        assert_eq!(deliver(&server, "", "", PULL).await, 401, "{method:?}");
        assert_eq!(stub.deliveries(), taken, "{method:?}");
    }
}

#[tokio::test]
async fn a_signature_is_of_the_whole_body_and_of_no_other() {
    let stub = Arc::new(Stub::default());
    let server = Server::start(stub.clone()).await;
    server.open_by("notifications", hmac(HmacAlgorithm::Sha256), &[FIRST]);
    let header = format!("X-Signature: {}", signature::<Hmac<Sha256>>(FIRST, PULL));
    let mut longer = PULL.to_vec();
    longer.push(b' ');
    for body in [&PULL[..PULL.len() - 1], longer.as_slice(), b""] {
        assert_eq!(deliver(&server, "", &header, body).await, 401);
    }
    assert_eq!(stub.deliveries(), 0);
    assert_eq!(deliver(&server, "", &header, PULL).await, 202);
}

#[tokio::test]
async fn a_short_secret_is_never_accepted_by_any_method() {
    let server = Server::start(Arc::new(Stub::default())).await;
    let signed = format!("X-Signature: {}", signature::<Hmac<Sha256>>(SHORT, PULL));
    for (method, end, header) in [
        (Method::Bearer, "", format!("Authorization: Bearer {SHORT}")),
        (Method::Splunk, "", format!("Authorization: Splunk {SHORT}")),
        (Method::Path, "/0123456789abcde", String::new()),
        (hmac(HmacAlgorithm::Sha256), "", signed),
    ] {
        server.open_by("notifications", method.clone(), &[SHORT]);
        assert_eq!(deliver(&server, end, &header, PULL).await, 401, "{method:?}");
    }
}

#[tokio::test]
async fn a_path_with_a_secret_is_known_only_where_that_is_the_method() {
    let server = Server::start(Arc::new(Stub::default())).await;
    let bearer = format!("Authorization: Bearer {FIRST}");
    server.open_by("notifications", Method::Bearer, &[FIRST]);
    let end = format!("/{FIRST}");
    assert_eq!(deliver(&server, &end, &bearer, PULL).await, 404);
}

//! Tokens that others sign for a source: as a table, while keys change, and with keys that are fetched.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Answer, DEADLINE, PATH, PULL, Server, Stub, eventually,
    signing::{SigningKey, Site, answer_of, base64url, key_set, unsigned},
};
use crate::receive::{
    Claim, Keys, KeysState, Method, TokenRules,
    remote::{Pace, RemoteKeys},
};

const ISSUER: &str = "https://accounts.google.com";
const AUDIENCE: &str = "https://usage.example.com/v1/events";
const EMAIL: &str = "push@project.iam.gserviceaccount.com";
const KEYS: &str = "https://keys.example.com/certs";

fn rules(keys: Keys) -> Method {
    Method::SignedToken(Arc::new(TokenRules {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        claims: vec![Claim {
            name: "email".to_owned(),
            values: vec![
                EMAIL.to_owned(),
                "other@project.iam.gserviceaccount.com".to_owned(),
            ],
        }],
        keys,
    }))
}

/// What a right token says.
fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "email": EMAIL,
        "email_verified": true,
        "sub": "112233445566778899000",
        "iat": now(),
        "exp": now() + 3600,
    })
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// The same with another value of one claim; without it where that is null.
fn but(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(claim);
    } else {
        claims[claim] = value;
    }
    claims
}

fn head(algorithm: &str, id: &str) -> Value {
    json!({"typ": "JWT", "alg": algorithm, "kid": id})
}

async fn deliver(server: &Server, token: &str) -> Answer {
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
        PULL.len()
    );
    server.send(&head, PULL).await
}

/// The method of a source that has these keys, and tokens that it accepts and refuses.
pub(super) fn table() -> (Method, Vec<String>, Vec<String>) {
    let (rsa, elliptic, larger) = (SigningKey::rsa(), SigningKey::p256(), SigningKey::p384());
    let stranger = SigningKey::p256();
    let keys = key_set(&[rsa.jwk("rsa"), elliptic.jwk("p256"), larger.jwk("p384")]);
    let by_rsa = |claims: &Value| rsa.token(&head("RS256", "rsa"), claims);
    let without_id = |algorithm: &str| json!({ "alg": algorithm });
    let accepted = vec![
        by_rsa(&claims()),
        rsa.token(&head("PS256", "rsa"), &claims()),
        rsa.token(&head("RS512", "rsa"), &claims()),
        elliptic.token(&head("ES256", "p256"), &claims()),
        larger.token(&head("ES384", "p384"), &claims()),
        rsa.token(&without_id("RS256"), &claims()),
        elliptic.token(&without_id("ES256"), &claims()),
        by_rsa(&but("aud", json!(["another", AUDIENCE]))),
        by_rsa(&but("email", json!("other@project.iam.gserviceaccount.com"))),
        by_rsa(&but("email", json!(["stranger", EMAIL]))),
        by_rsa(&but("email_verified", Value::Null)),
        // As far as clocks may differ.
        by_rsa(&but("exp", json!(now() - 30))),
        by_rsa(&but("nbf", json!(now() + 30))),
    ];

    let right = by_rsa(&claims());
    let (signed, signature) = right.rsplit_once('.').unwrap();
    let shared = |key: &[u8]| {
        let unsigned = unsigned(&head("HS256", "rsa"), &claims());
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(unsigned.as_bytes());
        format!("{unsigned}.{}", base64url(mac.finalize().into_bytes()))
    };
    let public = rsa.jwk("rsa").to_string();
    let critical = json!({"alg": "RS256", "kid": "rsa", "crit": ["exp"]});
    let changed = unsigned(&head("RS256", "rsa"), &but("sub", json!("another")));
    let refused = vec![
        by_rsa(&but("iss", json!("https://accounts.example.com"))),
        by_rsa(&but("iss", json!([ISSUER]))),
        by_rsa(&but("iss", Value::Null)),
        by_rsa(&but("aud", json!("https://usage.example.com"))),
        by_rsa(&but("aud", Value::Null)),
        by_rsa(&but("email", json!("stranger@project.iam.gserviceaccount.com"))),
        by_rsa(&but("email", json!(EMAIL.to_uppercase()))),
        by_rsa(&but("email", Value::Null)),
        by_rsa(&but("email_verified", json!(false))),
        by_rsa(&but("email_verified", json!("false"))),
        by_rsa(&but("exp", json!(now() - 120))),
        by_rsa(&but("exp", Value::Null)),
        by_rsa(&but("exp", json!("tomorrow"))),
        by_rsa(&but("nbf", json!(now() + 120))),
        // Unsigned, signed with what everybody knows, and by somebody else.
        format!("{}.", unsigned(&json!({"alg": "none"}), &claims())),
        format!("{}.", unsigned(&head("RS256", "rsa"), &claims())),
        shared(public.as_bytes()),
        shared(rsa.jwk("rsa")["n"].as_str().unwrap().as_bytes()),
        stranger.token(&head("ES256", "p256"), &claims()),
        stranger.token(&without_id("ES256"), &claims()),
        rsa.token(&head("RS256", "unknown"), &claims()),
        rsa.token(&head("RS256", "p256"), &claims()),
        rsa.token(&critical, &claims()),
        format!("{changed}.{signature}"),
        format!("{signed}.{}", &signature[4..]),
        format!("{right}.{signature}"),
        signed.to_owned(),
        by_rsa(&but("padding", json!("x".repeat(8 * 1024)))),
    ];
    (rules(Keys::Given(keys)), accepted, refused)
}

#[tokio::test]
async fn every_refused_token_gets_the_same_answer() {
    let server = Server::start(Arc::new(Stub::default())).await;
    let (method, _, refused) = table();
    server.open_by("notifications", method, &[]);
    let expected = deliver(&server, "no token").await;
    assert_eq!(expected.status, 401);
    assert!(
        expected.head.contains("www-authenticate: bearer\r\n"),
        "{}",
        expected.head
    );
    let without_date = |answer: &Answer| {
        let lines = answer.head.lines().filter(|line| !line.starts_with("date:"));
        lines.collect::<Vec<_>>().join("\n")
    };
    for token in refused {
        let answer = deliver(&server, &token).await;
        assert_eq!(
            (answer.status, without_date(&answer), &answer.body),
            (401, without_date(&expected), &expected.body),
            "{token}"
        );
    }
}

#[tokio::test]
async fn a_wrong_token_is_refused_before_the_body() {
    let server = Server::start(Arc::new(Stub::default())).await;
    let (method, ..) = table();
    server.open_by("notifications", method, &[]);
    let token = SigningKey::p256().token(&head("ES256", "p256"), &claims());
    let promise = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 1000\r\n\r\n"
    );
    assert_eq!(server.send(&promise, b"").await.status, 401);
}

#[tokio::test]
async fn while_keys_change_both_are_accepted() {
    let server = Server::start(Arc::new(Stub::default())).await;
    let (old, new) = (SigningKey::p256(), SigningKey::p256());
    let tokens = [
        old.token(&head("ES256", "old"), &claims()),
        new.token(&head("ES256", "new"), &claims()),
    ];
    for (keys, expected) in [
        (vec![old.jwk("old")], [202, 401]),
        (vec![old.jwk("old"), new.jwk("new")], [202, 202]),
        (vec![new.jwk("new")], [401, 202]),
    ] {
        server.open_by("notifications", rules(Keys::Given(key_set(&keys))), &[]);
        for (token, expected) in tokens.iter().zip(expected) {
            assert_eq!(deliver(&server, token).await.status, expected);
        }
    }
}

/// A server whose source has keys that are fetched from a site.
struct Fetching {
    site: Site,
    server: Server,
    keys: RemoteKeys,
    tasks: TaskTracker,
    changes: Arc<AtomicUsize>,
    key: SigningKey,
}

impl Fetching {
    async fn start(pace: Pace) -> Self {
        let (site, tasks, changes) = (
            Site::start().await,
            TaskTracker::new(),
            Arc::new(AtomicUsize::new(0)),
        );
        let told = changes.clone();
        let on_change = move |url: &http::Uri| {
            assert_eq!(url.to_string(), KEYS);
            told.fetch_add(1, Ordering::SeqCst);
        };
        let keys = RemoteKeys::new(
            site.fetcher(),
            pace,
            tasks.clone(),
            CancellationToken::new(),
            on_change,
        );
        Self {
            server: Server::start(Arc::new(Stub::default())).await,
            site,
            keys,
            tasks,
            changes,
            key: SigningKey::p256(),
        }
    }

    fn publish(&self, keys: &[Value]) {
        self.site.answer("/certs", &json!({ "keys": keys }).to_string());
    }

    fn open(&self) {
        let keys = self.keys.at(&KEYS.parse().unwrap());
        self.server
            .open_by("notifications", rules(Keys::Fetched(keys)), &[]);
    }

    fn state(&self) -> KeysState {
        self.keys.at(&KEYS.parse().unwrap()).state()
    }

    fn token(&self, id: &str) -> String {
        self.key.token(&head("ES256", id), &claims())
    }
}

#[tokio::test]
async fn keys_are_fetched_and_until_then_nobody_is_refused_who_may_be_right() {
    let fetching = Fetching::start(Pace::default()).await;
    fetching
        .site
        .answer_with("/certs", answer_of("500 Oops", "", "TOP-SECRET"));
    fetching.open();
    eventually("the failure is told", || {
        fetching.state() == KeysState::Unavailable("ServerError")
    })
    .await;
    let answer = deliver(&fetching.server, &fetching.token("first")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 60"), "{}", answer.head);
    assert_eq!(deliver(&fetching.server, "no token").await.status, 401);

    fetching.publish(&[fetching.key.jwk("first")]);
    eventually("the keys are there", || fetching.state() == KeysState::Available).await;
    assert_eq!(
        deliver(&fetching.server, &fetching.token("first")).await.status,
        202
    );
    assert_eq!(fetching.changes.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_key_that_is_not_known_is_looked_for_but_not_often() {
    let fetching = Fetching::start(Pace::default()).await;
    fetching.publish(&[fetching.key.jwk("first")]);
    fetching.open();
    eventually("the keys are there", || fetching.state() == KeysState::Available).await;
    for _ in 0..10 {
        assert_eq!(
            deliver(&fetching.server, &fetching.token("second")).await.status,
            401
        );
    }
    assert_eq!(fetching.site.requests(), ["/certs"], "a minute has not gone by");

    let eager = Pace {
        look_again: Duration::ZERO,
        ..Pace::default()
    };
    let fetching = Fetching::start(eager).await;
    fetching.publish(&[fetching.key.jwk("first")]);
    fetching.open();
    eventually("the keys are there", || fetching.state() == KeysState::Available).await;
    let answer = deliver(&fetching.server, &fetching.token("second")).await;
    assert_eq!(answer.status, 503, "it may be a new one");
    fetching.publish(&[fetching.key.jwk("first"), fetching.key.jwk("second")]);
    let accepted =
        async { while deliver(&fetching.server, &fetching.token("second")).await.status != 202 {} };
    tokio::time::timeout(DEADLINE, accepted)
        .await
        .expect("the new key is found");
}

#[tokio::test]
async fn keys_are_fetched_again_and_the_last_ones_outlive_a_failure_for_a_while() {
    let quick = Pace {
        current: (Duration::from_millis(1), Duration::from_millis(1)),
        outlive: Duration::from_mins(1),
        ..Pace::default()
    };
    let fetching = Fetching::start(quick).await;
    fetching.publish(&[fetching.key.jwk("first")]);
    fetching.open();
    eventually("they are fetched again", || fetching.site.requests().len() > 3).await;
    fetching.site.answer_with("/certs", answer_of("503 Away", "", ""));
    let asked = fetching.site.requests().len();
    eventually("it failed", || fetching.site.requests().len() > asked + 1).await;
    assert_eq!(
        deliver(&fetching.server, &fetching.token("first")).await.status,
        202
    );
    assert_eq!(fetching.changes.load(Ordering::SeqCst), 1, "nothing was lost");

    let brief = Pace {
        outlive: Duration::from_millis(1),
        ..quick
    };
    let fetching = Fetching::start(brief).await;
    fetching.publish(&[fetching.key.jwk("first")]);
    fetching.open();
    eventually("they are there", || fetching.changes.load(Ordering::SeqCst) > 0).await;
    fetching.site.answer("/certs", "no keys");
    eventually("they are not used any more", || {
        fetching.state() == KeysState::Unavailable("InvalidKeys")
    })
    .await;
    assert_eq!(
        deliver(&fetching.server, &fetching.token("first")).await.status,
        503
    );
}

#[tokio::test]
async fn nothing_is_fetched_once_no_source_uses_it() {
    let fetching = Fetching::start(Pace::default()).await;
    fetching.publish(&[fetching.key.jwk("first")]);
    fetching.open();
    // A second look at the registry keeps what is there.
    fetching.open();
    eventually("the keys are there", || fetching.state() == KeysState::Available).await;
    assert_eq!(fetching.site.requests().len(), 1);
    assert_eq!(fetching.tasks.len(), 1);
    let using = fetching.server.directory.with_keys_at(&KEYS.parse().unwrap());
    assert_eq!(using, [super::path("notifications")]);

    fetching.server.directory.remove(&super::path("notifications"));
    fetching.tasks.close();
    tokio::time::timeout(DEADLINE, fetching.tasks.wait())
        .await
        .expect("its task ends");
}

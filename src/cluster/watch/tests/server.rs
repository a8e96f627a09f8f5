//! An API server that does with each request for pods what its script says next.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Body as ResponseBody;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Request, Response};
use kube::{Client, client::Body};
use serde_json::json;
use tokio::time::Instant;

use crate::cluster::Kind;

/// What the server does with one request for pods. Other kinds it forbids.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// A status, and seconds for Retry-After.
    Status(u16, Option<u64>),
    /// Lines, one event each, then the stream stays open.
    Open(Vec<String>),
    /// A line a second, then the stream stays open.
    Slow(Vec<String>),
    /// Lines, then the stream ends.
    End(Vec<String>),
    /// Lines, then the connection breaks.
    Break(Vec<String>),
    /// A page.
    Page(String),
    /// Nothing at all.
    Silence,
}

#[derive(Debug, Default)]
pub(super) struct Script {
    answers: VecDeque<Answer>,
    /// Queries asked for, in order, with the seconds since the start.
    asked: Vec<(u64, String)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Server(Arc<Mutex<Script>>);

impl Server {
    pub(super) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(Arc::new(Mutex::new(Script {
            answers: answers.into_iter().collect(),
            asked: Vec::new(),
        })))
    }

    pub(super) fn client(&self, begun: Instant) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = server.answer(&request, begun);
            async move {
                match answer {
                    Answer::Silence => pending().await,
                    answer => Ok::<_, std::io::Error>(respond(answer)),
                }
            }
        });
        Client::new(service, "default")
    }

    pub(super) fn answer(&self, request: &Request<Body>, begun: Instant) -> Answer {
        if request.uri().path() != Kind::Pod.path() {
            return Answer::Status(403, None);
        }
        let mut script = self.0.lock().unwrap();
        let query = request.uri().query().unwrap_or_default();
        // Its random part.
        let query = query
            .split('&')
            .filter(|pair| !pair.starts_with("timeoutSeconds="));
        let query = query.collect::<Vec<_>>().join("&");
        script.asked.push((begun.elapsed().as_secs(), query));
        script.answers.pop_front().unwrap_or(Answer::Silence)
    }

    pub(super) fn asked(&self) -> Vec<String> {
        let script = self.0.lock().unwrap();
        script.asked.iter().map(|(_, query)| query.clone()).collect()
    }

    pub(super) fn times(&self) -> Vec<u64> {
        self.0
            .lock()
            .unwrap()
            .asked
            .iter()
            .map(|(time, _)| *time)
            .collect()
    }
}

pub(super) type Chunks = stream::BoxStream<'static, Result<Bytes, std::io::Error>>;

pub(super) fn respond(answer: Answer) -> Response<ResponseBody> {
    let chunks = |lines: Vec<String>| stream::iter(lines).map(|line| Ok(Bytes::from(format!("{line}\n"))));
    let mut response = Response::builder().header("content-type", "application/json");
    let body: Chunks = match answer {
        Answer::Status(status, retry_after) => {
            response = response.status(status);
            if let Some(seconds) = retry_after {
                response = response.header("retry-after", seconds);
            }
            chunks(vec!["a secret in an error's text".into()]).boxed()
        }
        Answer::Open(lines) => chunks(lines).chain(stream::pending()).boxed(),
        Answer::Slow(lines) => chunks(lines)
            .then(async |line| {
                tokio::time::sleep(Duration::from_secs(1)).await;
                line
            })
            .chain(stream::pending())
            .boxed(),
        Answer::End(lines) => chunks(lines).boxed(),
        Answer::Break(lines) => {
            let broken = Err(std::io::Error::other("broken"));
            chunks(lines).chain(stream::iter([broken])).boxed()
        }
        Answer::Page(page) => chunks(vec![page]).boxed(),
        Answer::Silence => stream::pending().boxed(),
    };
    response.body(ResponseBody::from_stream(body)).unwrap()
}

pub(super) const APP: &str = "registry.example.com/shop/app";

pub(super) fn pod_object(name: &str, version: u32) -> serde_json::Value {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": name,
            "resourceVersion": version.to_string(), "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"containers": [{"name": "c", "image": format!("{APP}:v1")}]},
    })
}

pub(super) fn pod(event: &str, name: &str, version: u32) -> String {
    json!({"type": event, "object": pod_object(name, version)}).to_string()
}

pub(super) fn bookmark(version: u32) -> String {
    let metadata = json!({"resourceVersion": version.to_string()});
    json!({"type": "BOOKMARK", "object": {"metadata": metadata}}).to_string()
}

pub(super) fn list_end(version: u32) -> String {
    let metadata = json!({
        "resourceVersion": version.to_string(),
        "annotations": {"k8s.io/initial-events-end": "true"},
    });
    json!({"type": "BOOKMARK", "object": {"metadata": metadata}}).to_string()
}

pub(super) fn failure(code: u16) -> String {
    json!({"type": "ERROR", "object": {"kind": "Status", "code": code}}).to_string()
}

pub(super) fn page(pods: &[&str], next: &str, version: u32) -> Answer {
    let items: Vec<_> = pods.iter().map(|name| pod_object(name, 1)).collect();
    let metadata = json!({"resourceVersion": version.to_string(), "continue": next});
    Answer::Page(json!({"metadata": metadata, "items": items}).to_string())
}

pub(super) const LIST: &str =
    "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";

pub(super) fn changes(since: u32) -> String {
    format!("watch=1&allowWatchBookmarks=true&resourceVersion={since}")
}

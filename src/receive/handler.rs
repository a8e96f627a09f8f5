//! One delivery: authenticate, read, understand, keep, answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use thiserror::Error;
use tracing::warn;

use crate::store::{Appended, Delivery, EventLog, Quarantined, StoreError};

use super::{
    directory::{Directory, Entry, SourcePath, accepts},
    metrics::ReceiveMetrics,
};

/// Bytes of the largest body.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// How long the store may take.
const COMMIT_WITHIN: Duration = Duration::from_secs(15);
/// What a sender is told to wait when the store cannot take more.
const RETRY_AFTER: &str = "5";

/// Receives deliveries into the store.
#[derive(Clone)]
pub struct Receiver {
    directory: Arc<Directory>,
    log: Arc<dyn EventLog>,
    metrics: ReceiveMetrics,
}

/// Why a delivery was not taken. Nothing of the request is in it.
#[derive(Debug, Error)]
enum Refusal {
    #[error("no such source")]
    UnknownPath,
    #[error("the token is not accepted")]
    Unauthorized,
    #[error("send the body without compression")]
    Compressed,
    #[error("the body is larger than {MAX_BODY_BYTES} bytes")]
    TooLarge,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the body broke off")]
    Broken,
    #[error("the event store cannot take the events now")]
    Store(#[source] StoreError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::UnknownPath => "UnknownPath",
            Self::Unauthorized => "Unauthorized",
            Self::Compressed => "Compressed",
            Self::TooLarge => "TooLarge",
            Self::TooSlow => "TooSlow",
            Self::Broken => "Broken",
            Self::Store(_) => "StoreUnavailable",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = (self.status(), self.to_string());
        match self {
            Self::Store(_) => ([(header::RETRY_AFTER, RETRY_AFTER)], body).into_response(),
            Self::Unauthorized => ([(header::WWW_AUTHENTICATE, "Bearer")], body).into_response(),
            _ => body.into_response(),
        }
    }
}

impl Receiver {
    #[must_use]
    pub fn new(directory: Arc<Directory>, log: Arc<dyn EventLog>) -> Self {
        Self {
            directory,
            log,
            metrics: ReceiveMetrics::default(),
        }
    }

    #[must_use]
    pub fn metrics(&self) -> &ReceiveMetrics {
        &self.metrics
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/v1/events/{namespace}/{name}/{source}", post(deliver))
            .with_state(self)
    }

    async fn receive(&self, path: &SourcePath, headers: HeaderMap, body: Body) -> Result<Appended, Refusal> {
        let received = Timestamp::now();
        let entry = self.directory.entry(path);
        if !accepts(entry.as_deref(), bearer(&headers).unwrap_or_default()) {
            return Err(match entry {
                None => Refusal::UnknownPath,
                Some(entry) => {
                    entry.count_rejected();
                    Refusal::Unauthorized
                }
            });
        }
        let entry = entry.ok_or(Refusal::UnknownPath)?;
        let taken = async {
            let body = read(&headers, body).await?;
            let delivery = understand(&entry, received, &headers, &body);
            match tokio::time::timeout(COMMIT_WITHIN, self.log.append(delivery)).await {
                Ok(appended) => appended.map_err(Refusal::Store),
                Err(_) => Err(Refusal::Store(StoreError::Busy)),
            }
        };
        taken.await.inspect_err(|refusal| {
            entry.count_rejected();
            if let Refusal::Store(error) = refusal {
                warn!(registry = %entry.registry.name, namespace = %entry.registry.namespace, %error, "events were not taken");
            }
        })
    }
}

async fn deliver(
    State(receiver): State<Receiver>,
    Path((namespace, name, source)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let begun = Instant::now();
    let path = SourcePath {
        namespace,
        name,
        source,
    };
    let outcome = receiver.receive(&path, headers, body).await;
    let metrics = &receiver.metrics;
    match outcome {
        Ok(appended) => {
            metrics.count("Stored");
            metrics.stored.inc_by(count(appended.stored));
            metrics.duplicates.inc_by(count(appended.duplicates));
            metrics.seconds.observe(begun.elapsed().as_secs_f64());
            StatusCode::ACCEPTED.into_response()
        }
        Err(refusal) => {
            metrics.count(refusal.reason());
            refusal.into_response()
        }
    }
}

fn count(number: i64) -> u64 {
    number.try_into().unwrap_or(0)
}

/// The token of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then_some(token.trim_ascii())
}

/// The whole body, if it is not too large and comes in time.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let is_plain = |encoding: &header::HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Err(Refusal::Compressed);
    }
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(Refusal::TooLarge);
    }
    match tokio::time::timeout(BODY_WITHIN, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Err(_) => Err(Refusal::TooSlow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Ok(Err(_)) => Err(Refusal::Broken),
    }
}

/// What the body says. One that cannot be read is put aside: were it refused, the registry would send it again
/// for ever, and nothing behind it.
fn understand(entry: &Entry, received: Timestamp, headers: &HeaderMap, body: &[u8]) -> Delivery {
    let delivery = Delivery {
        registry: entry.registry.clone(),
        source: entry.name.clone(),
        received,
        events: Vec::new(),
        ignored: 0,
        quarantined: None,
    };
    match entry.format.parse(headers, body) {
        Ok(parsed) => Delivery {
            events: parsed.events,
            ignored: parsed.ignored,
            ..delivery
        },
        Err(error) => Delivery {
            quarantined: Some(Quarantined {
                reason: error.reason(),
                body: body.to_vec(),
            }),
            ..delivery
        },
    }
}

//! One delivery: authenticate, read, understand, keep, answer.

use std::{fmt, sync::Arc, time::Instant};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::store::{Appended, Delivery, EventLog, Quarantined, StoreError};

use super::{
    body,
    directory::{Directory, Entry, SourcePath, accepts},
    limits::Limits,
    metrics::ReceiveMetrics,
    refusal::Refusal,
};

/// Of a body that cannot be read, so much is kept.
const QUARANTINED_BYTES: usize = 64 * 1024;

/// Receives deliveries into the store.
#[derive(Clone)]
pub struct Receiver {
    directory: Arc<Directory>,
    log: Arc<dyn EventLog>,
    metrics: ReceiveMetrics,
    limits: Limits,
    /// KiB of bodies that may be held now.
    room: Arc<Semaphore>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What a delivery that was taken brought.
struct Taken {
    appended: Appended,
    ignored: i64,
    quarantined: bool,
}

impl Receiver {
    #[must_use]
    pub fn new(directory: Arc<Directory>, log: Arc<dyn EventLog>) -> Self {
        Self::with_limits(directory, log, Limits::default())
    }

    #[must_use]
    pub fn with_limits(directory: Arc<Directory>, log: Arc<dyn EventLog>, limits: Limits) -> Self {
        Self {
            directory,
            log,
            metrics: ReceiveMetrics::default(),
            limits,
            room: Arc::new(Semaphore::new(limits.bodies_kib as usize)),
        }
    }

    #[must_use]
    pub fn metrics(&self) -> &ReceiveMetrics {
        &self.metrics
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/v1/events/{namespace}/{name}/{source}", post(deliver))
            .with_state(self)
    }

    async fn receive(&self, path: &SourcePath, headers: &HeaderMap, body: Body) -> Result<Taken, Refusal> {
        let entry = self.directory.entry(path);
        let accepted = accepts(entry.as_deref(), bearer(headers).unwrap_or_default());
        let entry = entry.ok_or(Refusal::UnknownPath)?;
        let taken = if accepted {
            self.take(&entry, headers, body).await
        } else {
            Err(Refusal::Unauthorized)
        };
        taken.inspect_err(|refusal| {
            entry.count_rejected();
            // That there is no room is told once, by the store.
            if let Refusal::Store(error) = refusal
                && !matches!(error, StoreError::LowSpace { .. } | StoreError::QuotaExceeded { .. })
            {
                let key = &entry.registry;
                warn!(namespace = key.namespace, registry = key.name, source = entry.name, %error, "events were not taken");
            }
        })
    }

    /// What follows authentication.
    async fn take(&self, entry: &Entry, headers: &HeaderMap, body: Body) -> Result<Taken, Refusal> {
        let received = Timestamp::now();
        let bytes = body::expected_bytes(headers)?;
        let _places = tokio::time::timeout(self.limits.patience, self.places(entry, bytes))
            .await
            .map_err(|_| Refusal::TooMany)??;
        let body = body::read(body, self.limits.body_within).await?;
        let delivery = understand(entry, received, headers, &body);
        drop(body);
        let (ignored, quarantined) = (delivery.ignored, delivery.quarantined.is_some());
        let appended = tokio::time::timeout(self.limits.commit_within, self.log.append(delivery))
            .await
            .unwrap_or(Err(StoreError::Busy))
            .map_err(Refusal::Store)?;
        Ok(Taken {
            appended,
            ignored,
            quarantined,
        })
    }

    /// The source's turn, and room for the body. Neither is ever closed.
    async fn places(&self, entry: &Entry, bytes: usize) -> Result<[OwnedSemaphorePermit; 2], Refusal> {
        let kib = u32::try_from(bytes.div_ceil(1024))
            .unwrap_or(u32::MAX)
            .min(self.limits.bodies_kib);
        let turn = entry.turn(self.limits.of_one_source).await;
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await;
        match (turn, room) {
            (Ok(turn), Ok(room)) => Ok([turn, room]),
            _ => Err(Refusal::TooMany),
        }
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
    match receiver.receive(&path, &headers, body).await {
        Ok(Taken {
            appended,
            ignored,
            quarantined,
        }) => {
            receiver
                .metrics
                .taken(&appended, ignored, quarantined, begun.elapsed());
            StatusCode::ACCEPTED.into_response()
        }
        Err(refusal) => {
            receiver.metrics.refused(refusal.reason());
            refusal.into_response()
        }
    }
}

/// The token of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then_some(token.trim_ascii())
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
                body: body.iter().take(QUARANTINED_BYTES).copied().collect(),
            }),
            ..delivery
        },
    }
}

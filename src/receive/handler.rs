//! One delivery: authenticate, read, understand, keep, answer.

use std::{fmt, sync::Arc, time::Instant};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::{
    dialect::{Handshake, Parsed, telling},
    store::{Appended, CONFIRMATION_ASKED, Delivery, EventLog, Quarantined, StoreError},
};

use super::{
    authentication::{Heard, Proof, Shown, Unproven, proof},
    body,
    directory::{Directory, Entry, SourcePath},
    handshake,
    limits::Limits,
    metrics::ReceiveMetrics,
    refusal::Refusal,
    tls::ClientNames,
};

/// Of a body that is put aside, so much is kept.
pub const QUARANTINED_BYTES: usize = 64 * 1024;

/// Receives deliveries into the store.
#[derive(Clone)]
pub struct Receiver {
    directory: Arc<Directory>,
    log: Arc<dyn EventLog>,
    metrics: ReceiveMetrics,
    limits: Limits,
    /// KiB of bodies that may be held now.
    room: Arc<Semaphore>,
    /// The same for bodies of which it is not known yet who sent them.
    unproven: Arc<Semaphore>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What became of a body that was taken.
enum Taken {
    Delivery {
        appended: Appended,
        ignored: i64,
        /// For metrics.
        outcome: &'static str,
    },
    /// It was no delivery, and waits for this answer.
    Handshake(Value),
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
            unproven: Arc::new(Semaphore::new(limits.unproven_kib as usize)),
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
        let methods = post(deliver).options(handshake::answer);
        Router::new()
            .route("/v1/events/{namespace}/{name}/{source}", methods.clone())
            .route("/v1/events/{namespace}/{name}/{source}/{secret}", methods)
            .with_state(self)
    }

    /// The source that a path names, and what the head of a request to it proves.
    pub(super) fn source(&self, path: &SourcePath, shown: Shown<'_>) -> Result<(Arc<Entry>, Proof), Refusal> {
        let entry = self.directory.entry(path);
        let proof = proof(entry.as_deref().map(|entry| &entry.verifier), shown);
        match entry {
            Some(entry) if shown.secret.is_none() || entry.verifier.method().is_in_path() => {
                Ok((entry, proof))
            }
            _ => Err(Refusal::UnknownPath),
        }
    }

    async fn receive(&self, path: &SourcePath, shown: Shown<'_>, body: Body) -> Result<Taken, Refusal> {
        let headers = shown.headers;
        let (entry, proof) = self.source(path, shown)?;
        let received = Timestamp::now();
        let taken = match proof {
            Proof::Accepted => self.take(&entry, received, headers, body, None).await,
            Proof::ByBody(unproven) => self.take(&entry, received, headers, body, Some(&unproven)).await,
            Proof::Undecided => Err(Refusal::KeysUnavailable),
            Proof::Refused => Err(Refusal::Unauthorized(entry.verifier.method().challenge())),
        };
        taken.inspect_err(|refusal| {
            entry.count_rejected();
            // Of all others the store knows by itself.
            if let Refusal::RateLimited | Refusal::TooMany | Refusal::Store(StoreError::Busy) = refusal {
                let reason = refusal.reason();
                self.log.refused(&entry.registry, &entry.name, received, reason);
            }
            // That there is no room is told once, by the store.
            if let Refusal::Store(error) = refusal
                && !matches!(error, StoreError::LowSpace { .. } | StoreError::QuotaExceeded { .. })
            {
                let key = &entry.registry;
                warn!(namespace = key.namespace, registry = key.name, source = entry.name, %error, "events were not taken");
            }
        })
    }

    /// What follows authentication, save that a signature is looked at once the body is there.
    async fn take(
        &self,
        entry: &Entry,
        received: Timestamp,
        headers: &HeaderMap,
        body: Body,
        unproven: Option<&Unproven>,
    ) -> Result<Taken, Refusal> {
        let bytes = body::expected_bytes(headers)?;
        let turn = entry.turn(self.limits.of_one_source);
        let ((body, heard), _places) = match unproven {
            None => {
                within_rate(entry)?;
                let turn = self.patiently(turn).await?;
                let room = self
                    .patiently(self.room.clone().acquire_many_owned(self.kib(bytes)))
                    .await?;
                let body = body::read(body, self.limits.body_within).await?;
                ((body, None), [turn, room])
            }
            // Until the body is there, it may be anybody's: strangers have a room of their own.
            Some(unproven) => {
                let kib = self.kib(bytes).min(self.limits.unproven_kib);
                let room = self
                    .patiently(self.unproven.clone().acquire_many_owned(kib))
                    .await
                    .map_err(|_| Refusal::TooManyUnproven)?;
                let body = body::read(body, self.limits.body_within).await?;
                let proven = entry.verifier.prove(body, unproven).await?;
                within_rate(entry)?;
                (proven, [self.patiently(turn).await?, room])
            }
        };
        let delivery = match heard {
            Some(Heard::Notification) => understand(entry, received, headers, &body),
            Some(Heard::Confirmed) => Delivery {
                ignored: 1,
                ..empty(entry, received)
            },
            Some(Heard::Asks) => put_aside(entry, received, CONFIRMATION_ASKED, headers, &body),
            None => match entry.format.handshake(headers, &body) {
                Some(Handshake::Answer(answer)) => return Ok(Taken::Handshake(answer)),
                Some(Handshake::Confirm) => put_aside(entry, received, CONFIRMATION_ASKED, headers, &body),
                None => understand(entry, received, headers, &body),
            },
        };
        drop(body);
        let ignored = delivery.ignored;
        let outcome = match (&delivery.quarantined, heard) {
            (Some(_), _) => "Quarantined",
            (None, Some(Heard::Confirmed)) => "Confirmed",
            (None, _) => "Stored",
        };
        let appended = tokio::time::timeout(self.limits.commit_within, self.log.append(delivery))
            .await
            .unwrap_or(Err(StoreError::Busy))
            .map_err(Refusal::Store)?;
        Ok(Taken::Delivery {
            appended,
            ignored,
            outcome,
        })
    }

    fn kib(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(1024))
            .unwrap_or(u32::MAX)
            .min(self.limits.bodies_kib)
    }

    /// Waits for a place, but not for ever. No semaphore here is ever closed.
    async fn patiently(
        &self,
        place: impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>>,
    ) -> Result<OwnedSemaphorePermit, Refusal> {
        match tokio::time::timeout(self.limits.patience, place).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Refusal::TooMany),
        }
    }
}

/// Of who has proven who it is: strangers use up nobody's rate.
fn within_rate(entry: &Entry) -> Result<(), Refusal> {
    if entry.is_within_rate() {
        Ok(())
    } else {
        Err(Refusal::RateLimited)
    }
}

/// What a path names. The secret is there where it has more parts than name a source.
#[derive(Deserialize)]
pub(super) struct Target {
    namespace: String,
    name: String,
    source: String,
    secret: Option<String>,
}

impl Target {
    pub(super) fn split(self) -> (SourcePath, Option<String>) {
        let Self {
            namespace,
            name,
            source,
            secret,
        } = self;
        let path = SourcePath {
            namespace,
            name,
            source,
        };
        (path, secret)
    }
}

async fn deliver(
    State(receiver): State<Receiver>,
    Path(target): Path<Target>,
    Extension(ClientNames(names)): Extension<ClientNames>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let begun = Instant::now();
    let (path, secret) = target.split();
    let shown = Shown {
        headers: &headers,
        secret: secret.as_deref(),
        names: &names,
    };
    match receiver.receive(&path, shown, body).await {
        Ok(Taken::Handshake(answer)) => Json(answer).into_response(),
        Ok(Taken::Delivery {
            appended,
            ignored,
            outcome,
        }) => {
            receiver
                .metrics
                .taken(&appended, ignored, outcome, begun.elapsed());
            StatusCode::ACCEPTED.into_response()
        }
        Err(refusal) => {
            receiver.metrics.refused(refusal.reason());
            refusal.into_response()
        }
    }
}

/// What the body says. One that cannot be read is put aside: were it refused, the registry would send it again
/// for ever, and nothing behind it.
fn understand(entry: &Entry, received: Timestamp, headers: &HeaderMap, body: &[u8]) -> Delivery {
    match entry.format.read(headers, body, received) {
        Ok(Parsed { events, ignored }) => Delivery {
            events,
            ignored,
            ..empty(entry, received)
        },
        Err(error) => put_aside(entry, received, error.reason(), headers, body),
    }
}

fn put_aside(
    entry: &Entry,
    received: Timestamp,
    reason: &'static str,
    headers: &HeaderMap,
    body: &[u8],
) -> Delivery {
    let mut headers = telling(headers);
    if let Some(name) = entry.verifier.method().header() {
        // Whatever its name: it has a secret in it.
        headers.remove(name.as_str());
    }
    Delivery {
        quarantined: Some(Quarantined {
            reason,
            format: entry.format.name(),
            headers,
            body: body.iter().take(QUARANTINED_BYTES).copied().collect(),
        }),
        ..empty(entry, received)
    }
}

fn empty(entry: &Entry, received: Timestamp) -> Delivery {
    Delivery {
        registry: entry.registry.clone(),
        source: entry.name.clone(),
        received,
        events: Vec::new(),
        ignored: 0,
        quarantined: None,
    }
}

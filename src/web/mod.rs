//! Health, readiness and metrics over HTTP.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;

/// What has to be there before the operator is ready. It says who it waits for.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<watch::Sender<BTreeMap<&'static str, bool>>>);

impl Readiness {
    #[must_use]
    pub fn waiting_for(parts: &[&'static str]) -> Self {
        Self(Arc::new(watch::Sender::new(
            parts.iter().map(|part| (*part, false)).collect(),
        )))
    }

    pub fn is_there(&self, part: &'static str) {
        self.0.send_modify(|parts| {
            parts.insert(part, true);
        });
    }

    /// Resolves once nothing is waited for any more.
    pub async fn whole(&self) {
        let mut parts = self.0.subscribe();
        // The sender is here.
        let _ = parts.wait_for(|parts| parts.values().all(|there| *there)).await;
    }

    fn missing(&self) -> Vec<&'static str> {
        self.0
            .borrow()
            .iter()
            .filter(|(_, there)| !**there)
            .map(|(part, _)| *part)
            .collect()
    }
}

#[derive(Debug, Clone)]
struct Health {
    readiness: Readiness,
    metrics: Metrics,
}

/// Serves `/healthz` (the process answers), `/readyz` (everything it needs is there) and `/metrics` until cancelled.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    metrics: Metrics,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(Health { readiness, metrics });
    axum::serve(listener, router)
        .with_graceful_shutdown(cancel.cancelled_owned())
        .await
}

async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    let missing = health.readiness.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ok".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("waiting for {}", missing.join(", ")),
        )
    }
}

async fn metrics_text(State(health): State<Health>) -> impl IntoResponse {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match health.metrics.encode() {
        Ok(text) => (StatusCode::OK, [("content-type", OPENMETRICS)], text),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [("content-type", "text/plain")],
            String::new(),
        ),
    }
}

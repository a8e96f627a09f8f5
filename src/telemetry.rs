//! Log lines and metrics. No metric has a label that an image, a tag, a pod or a user chooses.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tracing_subscriber::EnvFilter;

use crate::{
    settings::LogFormat,
    store::{Room, Store},
};

/// Starts log lines on standard error; `RUST_LOG` chooses which.
pub fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
        LogFormat::Text => builder.try_init(),
    };
    // A second start, as in tests, keeps the first.
    drop(started);
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    pub kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    pub kind: &'static str,
    pub outcome: &'static str,
}

/// The operator's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    /// Reconciliations by kind and outcome.
    pub reconciliations: Family<OutcomeLabel, Counter>,
    /// Status writes by kind.
    pub status_writes: Family<KindLabel, Counter>,
    /// Seconds to compute a report.
    pub report_seconds: Histogram,
    /// Authorised clusters that are read in full.
    pub clusters_synced: Gauge,
    /// Authorised clusters.
    pub clusters: Gauge,
    /// Accepted registries.
    pub registries: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("image_usage");
        let metrics = Self {
            reconciliations: Family::default(),
            status_writes: Family::default(),
            report_seconds: Histogram::new([0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0]),
            clusters_synced: Gauge::default(),
            clusters: Gauge::default(),
            registries: Gauge::default(),
            registry: Arc::default(),
        };
        registry.register(
            "reconciliations",
            "Reconciliations",
            metrics.reconciliations.clone(),
        );
        registry.register("status_writes", "Status writes", metrics.status_writes.clone());
        registry.register(
            "report_seconds",
            "Seconds to compute a report",
            metrics.report_seconds.clone(),
        );
        registry.register(
            "clusters_synced",
            "Clusters read in full",
            metrics.clusters_synced.clone(),
        );
        registry.register("clusters", "Authorised clusters", metrics.clusters.clone());
        registry.register("registries", "Accepted registries", metrics.registries.clone());
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }
}

impl Metrics {
    /// Adds what another room counts.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All of them as `OpenMetrics` text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(
            &mut text,
            &self.registry.lock().unwrap_or_else(PoisonError::into_inner),
        )?;
        Ok(text)
    }
}

/// How full the store is, asked when metrics are read.
pub struct StoreMetrics(pub Arc<dyn Store>);

impl fmt::Debug for StoreMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreMetrics").finish_non_exhaustive()
    }
}

impl Collector for StoreMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Room {
            free,
            low_space,
            over_quota,
        } = self.0.room();
        let mut gauge = |name, help, value| {
            let gauge = ConstGauge::<i64>::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        if let Some(free) = free {
            gauge(
                "store_free_bytes",
                "Bytes free on the volume of the event store",
                i64::try_from(free).unwrap_or(i64::MAX),
            )?;
        }
        gauge(
            "store_low_space",
            "Whether deliveries are refused because the volume is nearly full",
            i64::from(low_space),
        )?;
        gauge(
            "registries_over_quota",
            "Registries whose deliveries are refused because of their quota",
            over_quota,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{KeepFree, SqliteStore};

    #[test]
    fn how_full_the_store_is_has_the_names_that_alerts_ask_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        let store = SqliteStore::open_keeping_free(&path, KeepFree::Bytes(u64::MAX), |_, _| {}).unwrap();
        let metrics = Metrics::default();
        let collector = Box::new(StoreMetrics(Arc::new(store)));
        metrics.register(|registry| registry.register_collector(collector));
        let text = metrics.encode().unwrap();
        for line in [
            "image_usage_store_low_space 1",
            "image_usage_registries_over_quota 0",
        ] {
            assert!(text.lines().any(|said| said == line), "{line}: {text}");
        }
        assert!(text.contains("\nimage_usage_store_free_bytes "), "{text}");
    }
}

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::store::Appended;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    pub outcome: &'static str,
}

/// What the webhook server counts.
#[derive(Debug, Clone)]
pub struct ReceiveMetrics {
    deliveries: Family<Outcome, Counter>,
    stored: Counter,
    duplicates: Counter,
    ignored: Counter,
    seconds: Histogram,
}

impl Default for ReceiveMetrics {
    fn default() -> Self {
        Self {
            deliveries: Family::default(),
            stored: Counter::default(),
            duplicates: Counter::default(),
            ignored: Counter::default(),
            seconds: Histogram::new([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0]),
        }
    }
}

impl ReceiveMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let Self {
            deliveries,
            stored,
            duplicates,
            ignored,
            seconds,
        } = self;
        registry.register(
            "webhook_deliveries",
            "Deliveries by outcome: Stored, Quarantined, Confirmed (a topic's subscription), or why they were refused",
            deliveries.clone(),
        );
        registry.register("events_stored", "Events stored", stored.clone());
        registry.register("events_duplicate", "Events received again", duplicates.clone());
        registry.register(
            "events_ignored",
            "Entries that are no image events",
            ignored.clone(),
        );
        registry.register(
            "webhook_seconds",
            "Seconds from the head of a delivery to its durable commit",
            seconds.clone(),
        );
    }

    /// Deliveries of an outcome so far.
    #[must_use]
    pub fn deliveries(&self, outcome: &'static str) -> u64 {
        self.deliveries
            .get(&Outcome { outcome })
            .map_or(0, |counter| counter.get())
    }

    pub(super) fn taken(&self, appended: &Appended, ignored: i64, outcome: &'static str, took: Duration) {
        self.count(outcome);
        self.stored.inc_by(unsigned(appended.stored));
        self.duplicates.inc_by(unsigned(appended.duplicates));
        self.ignored.inc_by(unsigned(ignored));
        self.seconds.observe(took.as_secs_f64());
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.count(reason);
    }

    fn count(&self, outcome: &'static str) {
        self.deliveries.get_or_create(&Outcome { outcome }).inc();
    }
}

fn unsigned(count: i64) -> u64 {
    count.try_into().unwrap_or(0)
}

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    pub outcome: &'static str,
}

/// What the webhook server counts.
#[derive(Debug, Clone)]
pub struct ReceiveMetrics {
    /// Deliveries by outcome: `Stored`, or why not.
    pub(super) deliveries: Family<Outcome, Counter>,
    pub(super) stored: Counter,
    pub(super) duplicates: Counter,
    pub(super) ignored: Counter,
    /// Seconds from the head of a request to the durable commit.
    pub(super) seconds: Histogram,
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
        registry.register(
            "webhook_deliveries",
            "Deliveries by outcome",
            self.deliveries.clone(),
        );
        registry.register("events_stored", "Events stored", self.stored.clone());
        registry.register(
            "events_duplicate",
            "Events received again",
            self.duplicates.clone(),
        );
        registry.register(
            "events_ignored",
            "Entries that are no image events",
            self.ignored.clone(),
        );
        registry.register(
            "webhook_seconds",
            "Seconds to acknowledge a delivery",
            self.seconds.clone(),
        );
    }

    pub(super) fn count(&self, outcome: &'static str) {
        self.deliveries.get_or_create(&Outcome { outcome }).inc();
    }
}

//! Deliveries as they are written.

use super::{Delivery, Quarantined, RegistryKey, values::nanoseconds};
use crate::event::StoredEvent;

/// A delivery made ready outside of the writer.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) registry: RegistryKey,
    pub(super) source: String,
    /// Nanoseconds.
    pub(super) received: i64,
    pub(super) events: Vec<StoredEvent>,
    pub(super) ignored: i64,
    pub(super) quarantined: Option<Quarantined>,
    /// The body in quarantine that it was until now.
    pub(super) replays: Option<i64>,
    /// Since when deliveries of the source were refused: this one ends that.
    pub(super) refused_since: Option<i64>,
}

impl From<Delivery> for Batch {
    fn from(delivery: Delivery) -> Self {
        let Delivery {
            registry,
            source,
            received,
            events,
            ignored,
            quarantined,
        } = delivery;
        let events = events
            .into_iter()
            .map(|event| StoredEvent::new(source.clone(), received, event))
            .collect();
        Self {
            registry,
            source,
            received: nanoseconds(received),
            events,
            ignored,
            quarantined,
            replays: None,
            refused_since: None,
        }
    }
}

/// The processes that speak in a delivery, each once, in the order they speak.
pub(super) fn instances(events: &[StoredEvent]) -> Vec<&str> {
    let mut instances = Vec::new();
    for stored in events {
        if let Some(instance) = stored.event.instance_id.as_deref()
            && !instances.contains(&instance)
        {
            instances.push(instance);
        }
    }
    instances
}

//! How much may wait to be written.

use std::time::Duration;

use super::{Delivery, Quarantined};

/// In units of [`UNIT`] bytes: 16 MiB.
pub(super) const ROOM: u32 = 32 * 1024;
pub(super) const UNIT: usize = 512;

/// How long an append waits for room before it gives up.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);

/// The room a delivery takes in the queue, at most all of it.
pub(super) fn units(delivery: &Delivery) -> u32 {
    let texts: usize = delivery
        .events
        .iter()
        .map(|event| {
            let texts = [
                &event.tag,
                &event.media_type,
                &event.method,
                &event.forwarded_chain,
                &event.actor,
                &event.user_agent,
                &event.request_id,
                &event.instance_id,
            ];
            let optional: usize = texts.into_iter().flatten().map(String::len).sum();
            size_of_val(event) + event.id.len() + event.repository.len() + optional
        })
        .sum();
    let body = delivery
        .quarantined
        .as_ref()
        .map_or(0, |Quarantined { headers, body, .. }| {
            let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
            headers + body.len()
        });
    u32::try_from((size_of_val(delivery) + texts + body).div_ceil(UNIT))
        .unwrap_or(ROOM)
        .min(ROOM)
}

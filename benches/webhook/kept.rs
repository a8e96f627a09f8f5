//! Whether each acknowledged event is stored, once.

use std::time::Duration;

use anyhow::{Result, ensure};
use local_cluster::wait_until;
use serde_json::Value;

use crate::{
    event::{self, Event},
    ground::Ground,
    load::Load,
    post::deliver,
};

/// Events of one body when all are delivered again.
const OF_ONE_BODY: usize = 200;
/// Numbers alone are written once a minute.
const COUNTED_WITHIN: Duration = Duration::from_mins(3);
const STORED: &str = "image_usage_events_stored_total";
const DUPLICATE: &str = "image_usage_events_duplicate_total";

/// Kills the operator and delivers everything to it again, which works whatever the store is: what it knows already is
/// a duplicate. In the end the number of events that it says it has stored must be the number of those sent.
pub(crate) async fn check(ground: &mut Ground, load: &Load) -> Result<()> {
    ground.kill_and_start().await?;
    let acknowledged: Vec<u32> = load.answered.iter().map(|(number, _)| *number).collect();
    let [stored, known] = again(ground, load, &acknowledged).await?;
    println!(
        "killed, started and sent everything again: of {} acknowledged events {known} were there, {stored} were lost",
        acknowledged.len()
    );
    ensure!(
        stored == 0 && known == acknowledged.len() as u64,
        "acknowledged events were lost"
    );
    let [_, taken] = again(ground, load, &load.unanswered).await?;
    if !load.unanswered.is_empty() {
        println!(
            "of {} that were not acknowledged, {taken} were there",
            load.unanswered.len()
        );
    }
    let sent = u64::from(load.sent) + u64::from(ground.probes.sent());
    wait_until(COUNTED_WITHIN, "the registries to count", async || {
        let stored = ground.stored().await?;
        ensure!(stored == sent, "{stored} of {sent} events");
        Ok(())
    })
    .await?;
    println!("the registries count {sent} events, as many as were sent: each is there once");
    Ok(())
}

/// Delivers them; how many of them were new, and how many were known.
async fn again(ground: &Ground, load: &Load, numbers: &[u32]) -> Result<[u64; 2]> {
    let before = counted(ground).await?;
    let registries = u32::try_from(ground.paths.len())?;
    for (registry, path) in (0..registries).zip(&ground.paths) {
        let events = numbers.iter().map(|&number| Event {
            number,
            time: load.time(number),
        });
        let of_it: Vec<Value> = events
            .filter(|event| event.registry(registries) == registry)
            .map(|event| event.value(registries))
            .collect();
        for events in of_it.chunks(OF_ONE_BODY) {
            deliver(ground.operator.webhook(), &event::message(path, events)).await?;
        }
    }
    let after = counted(ground).await?;
    Ok([after[0] - before[0], after[1] - before[1]])
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole numbers of events"
)]
async fn counted(ground: &Ground) -> Result<[u64; 2]> {
    let stored = ground.operator.metric(STORED, "").await?;
    let duplicates = ground.operator.metric(DUPLICATE, "").await?;
    Ok([stored as u64, duplicates as u64])
}

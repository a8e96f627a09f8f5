use std::sync::Arc;

use anyhow::Result;
use image_usage_operator::{
    cluster::{ClusterState, Limits, SharedInventory, Target, TouchSink, watch},
    image::RepositoryName,
};
use jiff::Timestamp;
use kube::Client;
use tokio_util::sync::CancellationToken;

use super::{Clock, Measured};

#[derive(Debug)]
struct NobodyToTell;

impl TouchSink for NobodyToTell {
    fn listed(&self) {}
    fn repositories(&self, _names: &[Arc<RepositoryName>]) {}
    fn everything(&self) {}
}

/// The product's own first sync: until every kind is complete.
pub(super) async fn read(client: &Client) -> Result<Measured> {
    let clock = Clock::start(client).await?;
    let inventory = SharedInventory::default();
    let (states, mut receiver) = tokio::sync::watch::channel(ClusterState::new(Timestamp::now()));
    let target = Target {
        inventory: inventory.clone(),
        sink: Arc::new(NobodyToTell),
        states,
    };
    let (_clients, newest) = tokio::sync::watch::channel(client.clone());
    let cancel = CancellationToken::new();
    let running = tokio::spawn(watch::run(newest, Limits::default(), target, cancel.clone()));
    receiver.wait_for(ClusterState::is_synced).await?;
    let (pods, estimate) = {
        let inventory = inventory.read();
        (inventory.usage().pods, inventory.memory())
    };
    let measured = clock.stop(u64::try_from(pods)?, estimate as u64)?;
    cancel.cancel();
    running.await??;
    Ok(measured)
}

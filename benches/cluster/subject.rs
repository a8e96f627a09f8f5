//! The operator under test: a process of its own, and the clusters that it is given to read.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use image_usage_operator::crd::{ClusterAuthorization, ConditionStatus, condition_type};
use kube::{
    Api, Client, ResourceExt as _,
    api::DeleteParams,
    runtime::{WatchStreamExt as _, watcher},
};
use story::{
    NAMESPACE,
    operator::{Operator, in_cluster},
};
use tokio::time::{Instant, timeout};

use crate::{ground::Ground, objects, process::Process, reader::Measured};

/// Name of the authorisation to read the operator's own cluster.
pub(crate) const OWN_CLUSTER: &str = "this";
const SYNCED_WITHIN: Duration = Duration::from_mins(5);

pub(crate) fn authorizations(client: &Client) -> Api<ClusterAuthorization> {
    Api::namespaced(client.clone(), NAMESPACE)
}

/// Lets the operator read its own cluster.
pub(crate) async fn authorize_own_cluster(client: &Client) -> Result<()> {
    objects::create(&authorizations(client), in_cluster(NAMESPACE, OWN_CLUSTER)).await?;
    Ok(())
}

pub(crate) fn process_of(operator: &Operator) -> Result<Process> {
    Ok(Process::of(operator.pid().context("the operator does not run")?))
}

/// Waits until these clusters are said to be read in full; says when the last one was.
pub(crate) async fn synced(client: &Client, mut names: BTreeSet<String>) -> Result<Instant> {
    let api = authorizations(client);
    let events = watcher(api, watcher::Config::default()).default_backoff();
    let mut applied = pin!(events.applied_objects());
    let watching = async {
        while !names.is_empty() {
            let authorization = applied.next().await.context("the watch ended")??;
            if is_synced(&authorization) {
                names.remove(&authorization.name_any());
            }
        }
        Ok(Instant::now())
    };
    timeout(SYNCED_WITHIN, watching)
        .await
        .context("the clusters were not synced in time")?
}

fn is_synced(authorization: &ClusterAuthorization) -> bool {
    let conditions = authorization.status.iter().flat_map(|status| &status.conditions);
    conditions
        .filter(|condition| condition.r#type == condition_type::SYNCED)
        .any(|condition| condition.status == ConditionStatus::True)
}

/// Resident memory of an operator that has no cluster to read.
pub(crate) async fn empty_resident(ground: &Ground) -> Result<u64> {
    let mut operator = Operator::new(&ground.cluster)?;
    operator.up().await?;
    let resident = process_of(&operator)?.resident()?;
    operator.stop().await?;
    Ok(resident)
}

/// From the start of the process, with an empty data folder, until its status says that its own cluster was read.
pub(crate) async fn first_sync(ground: &Ground, empty_resident: u64) -> Result<Measured> {
    let client = &ground.client;
    objects::delete(&authorizations(client), OWN_CLUSTER, &DeleteParams::default()).await?;
    authorize_own_cluster(client).await?;
    let mut operator = Operator::new(&ground.cluster)?;
    let begun = Instant::now();
    operator.spawn()?;
    let synced = synced(client, BTreeSet::from([OWN_CLUSTER.to_owned()])).await?;
    let process = process_of(&operator)?;
    let resident = process.resident()?;
    let measured = Measured {
        wall: synced.duration_since(begun),
        processor: process.processor_time()?,
        grown: resident.saturating_sub(empty_resident),
        resident,
        peak: process.resident_peak()?,
        pods: pods_read(client).await?,
        estimate: 0,
    };
    operator.stop().await?;
    Ok(measured)
}

/// How many pods the operator says its own cluster has.
pub(crate) async fn pods_read(client: &Client) -> Result<u64> {
    let authorization = authorizations(client).get(OWN_CLUSTER).await?;
    let usage = authorization.status.and_then(|status| status.usage);
    Ok(u64::try_from(usage.context("nothing was read yet")?.pods)?)
}

use std::{fmt::Debug, hash::Hash, pin::pin};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Resource,
    core::ObjectMeta,
    runtime::{WatchStreamExt as _, reflector, watcher},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Clock, Measured};

/// What is kept of an object before it is stored.
pub(super) trait Stored {
    fn prune(&mut self);
}

impl Stored for Pod {
    fn prune(&mut self) {}
}

/// The fields of a pod that the operator reads.
#[derive(Debug, Clone, Deserialize, Resource)]
#[resource(inherit = Pod)]
pub(super) struct SlimPod {
    metadata: ObjectMeta,
    #[allow(dead_code)]
    spec: Option<SlimSpec>,
    #[allow(dead_code)]
    status: Option<SlimStatus>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct SlimSpec {
    node_name: Option<String>,
    #[serde(default)]
    containers: Vec<SlimContainer>,
    #[serde(default)]
    init_containers: Vec<SlimContainer>,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code)]
struct SlimContainer {
    name: String,
    image: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct SlimStatus {
    phase: Option<String>,
    #[serde(default)]
    container_statuses: Vec<SlimContainerStatus>,
    #[serde(default)]
    init_container_statuses: Vec<SlimContainerStatus>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct SlimContainerStatus {
    name: String,
    ready: bool,
    #[serde(rename = "imageID")]
    image_id: String,
    #[serde(rename = "containerID")]
    container_id: Option<String>,
}

impl Stored for SlimPod {
    fn prune(&mut self) {
        self.metadata.managed_fields = None;
        self.metadata.annotations = None;
        self.metadata.labels = None;
    }
}

/// Until the first complete list is in the store.
pub(super) async fn read<K>(client: &Client) -> Result<Measured>
where
    K: Resource<DynamicType: Default + Eq + Hash + Clone> + Stored,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let clock = Clock::start(client).await?;
    let (store, writer) = reflector::store();
    let config = watcher::Config::default().streaming_lists();
    let events = watcher(Api::<K>::all(client.clone()), config).modify(K::prune);
    let mut events = pin!(events.reflect(writer));
    loop {
        let event = events.next().await.context("the watch ended")??;
        if matches!(event, watcher::Event::InitDone) {
            return clock.stop(u64::try_from(store.len())?, 0);
        }
    }
}

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Client,
    api::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    cluster::Kind,
    receive::{Directory, Remote},
    settings::Settings,
    store::{Cursors, EventLog, EventReader, Keeping, UsageStore},
    telemetry::Metrics,
    web::Readiness,
};

use super::{
    clusters::Clusters,
    image_usage_report::WriteBudget,
    last_known::Unsaved,
    registries::Registries,
    touch::{Interests, Touched},
};

/// What the controllers share.
pub struct World {
    pub settings: Settings,
    /// What is read in each cluster.
    pub kinds: Arc<[Kind]>,
    pub client: Client,
    pub clusters: Clusters,
    pub registries: Arc<Registries>,
    pub directory: Arc<Directory>,
    /// What tells who delivers, where others publish it.
    pub remote: Remote,
    pub events: Arc<dyn EventReader>,
    /// Where the logs of polled sources go, and how far they were read.
    pub log: Arc<dyn EventLog>,
    pub cursors: Arc<dyn Cursors>,
    pub usage: Arc<dyn UsageStore>,
    pub keeping: Arc<dyn Keeping>,
    /// What clusters run that is not in `usage` yet.
    pub unsaved: Arc<Unsaved>,
    pub interests: Arc<Interests>,
    /// `ClusterAuthorizations` to look at again.
    pub touched_clusters: Arc<Touched>,
    /// `ImageRegistries` to look at again.
    pub touched_registries: Arc<Touched>,
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    pub readiness: Readiness,
    pub metrics: Metrics,
    pub budget: WriteBudget,
    pub tasks: TaskTracker,
    pub cancel: CancellationToken,
}

impl World {
    /// The labels of a namespace, where they are known.
    #[must_use]
    pub fn namespace_labels(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let namespace = self.namespaces.get(&ObjectRef::new(name))?;
        Some(namespace.metadata.labels.clone().unwrap_or_default())
    }
}

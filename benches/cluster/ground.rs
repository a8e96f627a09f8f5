//! What every benchmark stands on: a real API server full of pods.

use anyhow::Result;
use kube::Client;
use local_cluster::{Cluster, ClusterBuilder};
use story::{
    NAMESPACE,
    operator::{create_namespace, install_definitions},
};

use crate::{
    client::client,
    fill::{self, Workload},
};

/// Names the kubeconfig of the cluster that is read.
pub(crate) const KUBECONFIG: &str = "KUBECONFIG";

/// Those that would change pods by themselves: no kubelet runs them, and no `ReplicaSet` has its number yet
/// while the cluster is filled.
const CONTROLLERS: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

/// A cluster in which nothing changes but what a benchmark changes.
pub(crate) struct Ground {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
    pub(crate) workloads: Vec<Workload>,
}

impl Ground {
    pub(crate) async fn filled(pods: usize, builder: ClusterBuilder) -> Result<Self> {
        let cluster = builder.start().await?;
        for controller in CONTROLLERS {
            cluster.stop(controller).await?;
        }
        let client = client(&cluster.kubeconfig_path())?;
        let workloads = fill::fill(&client, pods).await?;
        println!("an API server with {pods} pods: {}", cluster.api_url());
        Ok(Self {
            cluster,
            client,
            workloads,
        })
    }

    /// What the operator needs before it starts.
    pub(crate) async fn install(&self) -> Result<()> {
        install_definitions(&self.cluster).await?;
        create_namespace(&self.cluster, NAMESPACE).await
    }

    pub(crate) async fn end(self) {
        self.cluster.end().await;
    }
}

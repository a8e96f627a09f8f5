//! A cluster's worth of pods: eight replicas a workload, 50 namespaces, 400 images and one
//! sidecar that all share.

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use image_usage_operator::cluster::Kind;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch},
};
use serde_json::{Value, json};

use crate::{objects, pod};

pub(crate) const NAMESPACES: usize = 50;
pub(crate) const IMAGES: usize = 400;
const REPLICAS: usize = 8;
const NODES: usize = 200;
const WRITERS: usize = 32;

/// Name of one of the namespaces.
pub(crate) fn namespace(number: usize) -> String {
    format!("team-{:02}", number % NAMESPACES)
}

/// One of the images, in one of its versions.
pub(crate) fn image(number: usize, version: usize) -> String {
    let number = number % IMAGES;
    format!(
        "registry.example.com/{}/service-{number:03}:v1.{}",
        namespace(number),
        version % 7
    )
}

/// Writes them; returns the workloads they belong to.
pub(crate) async fn fill(client: &Client, pods: usize) -> Result<Vec<Workload>> {
    for number in 0..NAMESPACES {
        objects::namespace(client, &namespace(number)).await?;
    }
    let nodes = objects::api(client, Kind::Node, None);
    for node in 0..NODES {
        let name = format!("node-{node:04}");
        objects::create(&nodes, json!({"metadata": {"name": name}})).await?;
        let status = json!({"addresses": [
            {"type": "InternalIP", "address": format!("10.1.{}.{}", node / 250, node % 250 + 1)},
            {"type": "Hostname", "address": name},
        ]});
        objects::set_status(&nodes, &name, status).await?;
    }
    let workloads: Vec<Workload> = stream::iter(0..pods.div_ceil(REPLICAS))
        .map(|number| Workload::create(client, number))
        .buffered(WRITERS)
        .try_collect()
        .await?;
    let written = stream::iter(0..pods).map(|number| {
        let workload = &workloads[number / REPLICAS];
        async move {
            workload.create_pod(client, number).await?;
            workload.run_pod(client, number, 0).await
        }
    });
    written
        .buffer_unordered(WRITERS)
        .try_fold(0, |done, ()| async move {
            if (done + 1) % 5000 == 0 {
                println!("{} of {pods} pods written", done + 1);
            }
            Ok(done + 1)
        })
        .await?;
    Ok(workloads)
}

pub(crate) struct Workload {
    namespace: String,
    name: String,
    image: String,
    replica_set_uid: String,
}

impl Workload {
    /// Of the pod with this number.
    pub(crate) fn of(workloads: &[Self], pod: usize) -> &Self {
        &workloads[pod / REPLICAS]
    }

    /// A Deployment and its `ReplicaSet`.
    async fn create(client: &Client, number: usize) -> Result<Self> {
        let namespace = namespace(number);
        let name = format!("service-{number:05}");
        let image = image(number, number % IMAGES);
        let spec = |hash: bool| {
            let mut labels = json!({"app.kubernetes.io/name": name});
            if hash {
                labels["pod-template-hash"] = json!(format!("{number:08x}"));
            }
            json!({
                "replicas": REPLICAS,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod::spec(number, &image)},
            })
        };
        let deployments = objects::api(client, Kind::Deployment, Some(&namespace));
        let deployment = objects::create(
            &deployments,
            json!({"metadata": {"name": name}, "spec": spec(false)}),
        )
        .await?;
        let uid = deployment.metadata.uid.unwrap_or_default();
        let replica_sets = objects::api(client, Kind::ReplicaSet, Some(&namespace));
        let metadata = json!({
            "name": format!("{name}-{number:08x}"),
            "ownerReferences": [owner("Deployment", &name, &uid)],
        });
        let replica_set =
            objects::create(&replica_sets, json!({"metadata": metadata, "spec": spec(true)})).await?;
        Ok(Self {
            namespace,
            name,
            image,
            replica_set_uid: replica_set.metadata.uid.unwrap_or_default(),
        })
    }

    fn replica_set(&self, pod: usize) -> String {
        format!("{}-{:08x}", self.name, pod / REPLICAS)
    }

    fn pod_name(&self, pod: usize) -> String {
        format!("{}-{:05}", self.replica_set(pod), pod % REPLICAS)
    }

    fn pods(&self, client: &Client) -> Api<DynamicObject> {
        objects::api(client, Kind::Pod, Some(&self.namespace))
    }

    /// As the scheduler leaves it.
    pub(crate) async fn create_pod(&self, client: &Client, number: usize) -> Result<()> {
        let Self {
            namespace,
            name,
            image,
            replica_set_uid,
        } = self;
        let mut spec = pod::spec(number / REPLICAS, image);
        spec["nodeName"] = json!(format!("node-{:04}", number % NODES));
        let pod = json!({
            "metadata": {
                "name": self.pod_name(number),
                "annotations": {
                    "checksum/config": format!("sha256:{}", pod::hash(name)),
                    "kubectl.kubernetes.io/restartedAt": "2026-11-01T00:00:00Z",
                    "prometheus.io/port": "8080",
                    "prometheus.io/scrape": "true",
                },
                "labels": {
                    "app.kubernetes.io/instance": "prod",
                    "app.kubernetes.io/name": name,
                    "pod-template-hash": format!("{:08x}", number / REPLICAS),
                    "team": namespace,
                    "topology.kubernetes.io/zone": format!("zone-{}", number % 3),
                },
                "ownerReferences": [owner("ReplicaSet", &self.replica_set(number), replica_set_uid)],
            },
            "spec": spec,
        });
        objects::create(&self.pods(client), pod).await?;
        Ok(())
    }

    /// As kubelet reports it after so many restarts.
    pub(crate) async fn run_pod(&self, client: &Client, number: usize, restarts: usize) -> Result<()> {
        let status = pod::status(number, &self.image, restarts);
        objects::set_status(&self.pods(client), &self.pod_name(number), status).await
    }

    /// Another version of the image in its first container.
    pub(crate) async fn set_image(&self, client: &Client, number: usize, version: usize) -> Result<()> {
        let image = image(number / REPLICAS, version);
        let patch = Patch::Strategic(json!({"spec": {"containers": [{"name": "app", "image": image}]}}));
        objects::patch(&self.pods(client), &self.pod_name(number), &patch).await
    }

    /// Asks it to end; nothing does.
    pub(crate) async fn terminate_pod(&self, client: &Client, number: usize) -> Result<()> {
        objects::delete(
            &self.pods(client),
            &self.pod_name(number),
            &DeleteParams::default(),
        )
        .await
    }

    /// Takes it away, as kubelet does once it has ended.
    pub(crate) async fn remove_pod(&self, client: &Client, number: usize) -> Result<()> {
        let at_once = DeleteParams::default().grace_period(0);
        objects::delete(&self.pods(client), &self.pod_name(number), &at_once).await
    }
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

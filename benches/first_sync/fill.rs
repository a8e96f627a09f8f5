//! Pods as a real cluster has them: three containers, variables, volumes, probes,
//! managed fields of two writers; 10 KB each in protobuf. Eight replicas a workload, 50
//! namespaces, 400 images and one sidecar that all share.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use image_usage_operator::cluster::Kind;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Result;

const NAMESPACES: usize = 50;
const IMAGES: usize = 400;
const REPLICAS: usize = 8;
const NODES: usize = 200;
const WRITERS: usize = 32;
const SIDECAR: &str = "docker.io/envoyproxy/envoy:v1.31.2";

pub(crate) async fn fill(client: &Client, pods: usize) -> Result<()> {
    let namespaces = Api::all_with(client.clone(), &resource("", "Namespace", "namespaces"));
    for namespace in 0..NAMESPACES {
        create(
            &namespaces,
            json!({"metadata": {"name": format!("team-{namespace:02}")}}),
        )
        .await?;
    }
    let nodes = api(client, Kind::Node, None);
    for node in 0..NODES {
        let created = create(&nodes, json!({"metadata": {"name": format!("node-{node:04}")}})).await?;
        let status = json!({"addresses": [
            {"type": "InternalIP", "address": format!("10.1.{}.{}", node / 250, node % 250 + 1)},
            {"type": "Hostname", "address": format!("node-{node:04}")},
        ]});
        set_status(&nodes, &created, status).await?;
    }
    let workloads: Vec<Workload> = stream::iter(0..pods.div_ceil(REPLICAS))
        .map(|number| Workload::create(client, number))
        .buffered(WRITERS)
        .try_collect()
        .await?;
    let mut done = 0;
    let created = stream::iter(0..pods).map(|number| {
        let workload = &workloads[number / REPLICAS];
        workload.create_pod(client, number)
    });
    let mut created = std::pin::pin!(created.buffer_unordered(WRITERS));
    while let Some(result) = created.next().await {
        result?;
        done += 1;
        if done % 2000 == 0 {
            println!("{done} of {pods} pods");
        }
    }
    Ok(())
}

struct Workload {
    namespace: String,
    name: String,
    image: String,
    replica_set_uid: String,
}

impl Workload {
    /// A Deployment and its `ReplicaSet`.
    async fn create(client: &Client, number: usize) -> Result<Self> {
        let namespace = format!("team-{:02}", number % NAMESPACES);
        let name = format!("service-{number:05}");
        let image = number % IMAGES;
        let image = format!(
            "registry.example.com/team-{:02}/service-{image:03}:v1.{}",
            image % NAMESPACES,
            image % 7
        );
        let spec = |hash: bool| {
            let mut labels = json!({"app.kubernetes.io/name": name});
            if hash {
                labels["pod-template-hash"] = json!(format!("{number:08x}"));
            }
            json!({
                "replicas": REPLICAS,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod_spec(number, &image)},
            })
        };
        let deployments = api(client, Kind::Deployment, Some(&namespace));
        let deployment = create(
            &deployments,
            json!({"metadata": {"name": name}, "spec": spec(false)}),
        )
        .await?;
        let uid = deployment.metadata.uid.unwrap_or_default();
        let replica_sets = api(client, Kind::ReplicaSet, Some(&namespace));
        let metadata = json!({
            "name": format!("{name}-{number:08x}"),
            "ownerReferences": [owner("Deployment", &name, &uid)],
        });
        let replica_set = create(&replica_sets, json!({"metadata": metadata, "spec": spec(true)})).await?;
        Ok(Self {
            namespace,
            name,
            image,
            replica_set_uid: replica_set.metadata.uid.unwrap_or_default(),
        })
    }

    async fn create_pod(&self, client: &Client, number: usize) -> Result<()> {
        let Self {
            namespace,
            name,
            image,
            replica_set_uid,
        } = self;
        let replica_set = format!("{name}-{:08x}", number / REPLICAS);
        let mut spec = pod_spec(number / REPLICAS, image);
        spec["nodeName"] = json!(format!("node-{:04}", number % NODES));
        let pod = json!({
            "metadata": {
                "name": format!("{replica_set}-{:05}", number % REPLICAS),
                "annotations": {
                    "checksum/config": format!("sha256:{}", hash(name)),
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
                "ownerReferences": [owner("ReplicaSet", &replica_set, replica_set_uid)],
            },
            "spec": spec,
        });
        let pods = api(client, Kind::Pod, Some(namespace));
        let created = create(&pods, pod).await?;
        set_status(&pods, &created, pod_status(number, image)).await
    }
}

fn pod_spec(number: usize, image: &str) -> Value {
    let variables = |count: usize| -> Vec<Value> {
        let variable = |index| {
            json!({
                "name": format!("SERVICE_SETTING_{index:02}"),
                "value": format!("value-{number}-of-setting-{index}"),
            })
        };
        (0..count).map(variable).collect()
    };
    let probe = |command: &str| json!({"exec": {"command": [command]}, "periodSeconds": 10});
    let resources = json!({"limits": {"memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}});
    let mounts = json!([
        {"mountPath": "/etc/config", "name": "config"},
        {"mountPath": "/cache", "name": "cache"},
        {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "token", "readOnly": true},
    ]);
    let tolerations = ["not-ready", "unreachable"].map(|taint| {
        json!({
            "effect": "NoExecute", "key": format!("node.kubernetes.io/{taint}"),
            "operator": "Exists", "tolerationSeconds": 300,
        })
    });
    json!({
        "containers": [
            {
                "name": "app", "image": image, "env": variables(20), "resources": resources,
                "ports": [
                    {"containerPort": 8080, "name": "http"},
                    {"containerPort": 9090, "name": "metrics"},
                ],
                "livenessProbe": probe("/bin/live"), "readinessProbe": probe("/bin/ready"),
                "volumeMounts": mounts,
            },
            {
                "name": "proxy", "image": SIDECAR, "env": variables(6), "resources": resources,
                "args": ["--config-path", "/etc/envoy/envoy.yaml", "--log-level", "info"],
                "volumeMounts": mounts,
            },
        ],
        "initContainers": [{
            "name": "migrate", "image": image, "env": variables(4), "resources": resources,
            "command": ["/bin/migrate", "--up"], "volumeMounts": mounts,
        }],
        "volumes": [
            {"name": "config", "configMap": {"name": "config"}},
            {"name": "cache", "emptyDir": {}},
            {"name": "token", "projected": {"sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            ]}},
        ],
        "tolerations": tolerations,
        "serviceAccountName": "default",
    })
}

fn pod_status(number: usize, image: &str) -> Value {
    let time = "2026-11-22T12:34:19Z";
    let container = |name: &str, image: &str| {
        let repository = image.rsplit_once(':').map_or(image, |(repository, _)| repository);
        json!({
            "name": name,
            "image": image,
            "imageID": format!("{repository}@sha256:{}", hash(image)),
            "containerID": format!("containerd://{}", hash(&format!("{number} {name}"))),
            "ready": true, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": time}},
        })
    };
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .map(|condition| json!({"type": condition, "status": "True", "lastTransitionTime": time}));
    let address = format!("10.{}.{}.{}", number / 65536, number / 256 % 256, number % 256);
    json!({
        "phase": "Running", "startTime": time, "qosClass": "Burstable",
        "hostIP": "192.168.0.1", "podIP": address, "podIPs": [{"ip": address}],
        "conditions": conditions,
        "containerStatuses": [container("app", image), container("proxy", SIDECAR)],
        "initContainerStatuses": [container("migrate", image)],
    })
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

fn hash(text: &str) -> String {
    image_usage_operator::image::Digest::Sha256(Sha256::digest(text).into())
        .to_string()
        .split_off("sha256:".len())
}

fn resource(group: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural)
}

fn api(client: &Client, kind: Kind, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = resource(kind.group(), kind.name(), kind.resource());
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Attempts before a write is given up: a server that is being filled is slow at times.
const ATTEMPTS: usize = 5;

async fn create(api: &Api<DynamicObject>, object: Value) -> Result<DynamicObject> {
    let parameters = PostParams {
        field_manager: Some("kube-controller-manager".into()),
        ..PostParams::default()
    };
    let object: DynamicObject = serde_json::from_value(object)?;
    for _ in 1..ATTEMPTS {
        match api.create(&parameters, &object).await {
            Err(kube::Error::Api(status)) if status.code >= 500 => {}
            // An attempt that was said to fail did not.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let name = object.metadata.name.as_deref().unwrap_or_default();
                return Ok(api.get(name).await?);
            }
            created => return Ok(created?),
        }
    }
    Ok(api.create(&parameters, &object).await?)
}

/// As a kubelet does it: so the object has managed fields of two managers.
async fn set_status(api: &Api<DynamicObject>, object: &DynamicObject, status: Value) -> Result<()> {
    let parameters = PatchParams {
        field_manager: Some("kubelet".into()),
        ..PatchParams::default()
    };
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let patch = Patch::Merge(json!({"status": status}));
    for _ in 1..ATTEMPTS {
        match api.patch_status(name, &parameters, &patch).await {
            Err(kube::Error::Api(status)) if status.code >= 500 => {}
            patched => return Ok(patched.map(drop)?),
        }
    }
    api.patch_status(name, &parameters, &patch).await?;
    Ok(())
}

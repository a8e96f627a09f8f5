//! A pod as a real cluster has it: three containers, variables, volumes, probes; 10 KB in
//! protobuf with the managed fields of two writers.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SIDECAR: &str = "docker.io/envoyproxy/envoy:v1.31.2";

/// Of the workload with this number.
pub(crate) fn spec(number: usize, image: &str) -> Value {
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

/// As kubelet writes it; with each restart it turns from ready to not ready or back.
pub(crate) fn status(number: usize, image: &str, restarts: usize) -> Value {
    let is_ready = restarts.is_multiple_of(2);
    let time = "2026-11-22T12:34:19Z";
    let container = |name: &str, image: &str| {
        let repository = image.rsplit_once(':').map_or(image, |(repository, _)| repository);
        json!({
            "name": name,
            "image": image,
            "imageID": format!("{repository}@sha256:{}", hash(image)),
            "containerID": format!("containerd://{}", hash(&format!("{number} {name} {restarts}"))),
            "ready": is_ready, "started": true, "restartCount": restarts,
            "state": {"running": {"startedAt": time}},
        })
    };
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map(|condition| {
        let holds = is_ready || !condition.ends_with("Ready");
        json!({"type": condition, "status": if holds { "True" } else { "False" }, "lastTransitionTime": time})
    });
    let address = format!("10.{}.{}.{}", number / 65536, number / 256 % 256, number % 256);
    json!({
        "phase": "Running", "startTime": time, "qosClass": "Burstable",
        "hostIP": "192.168.0.1", "podIP": address, "podIPs": [{"ip": address}],
        "conditions": conditions,
        "containerStatuses": [container("app", image), container("proxy", SIDECAR)],
        "initContainerStatuses": [container("migrate", image)],
    })
}

pub(crate) fn hash(text: &str) -> String {
    image_usage_operator::image::Digest::Sha256(Sha256::digest(text).into())
        .to_string()
        .split_off("sha256:".len())
}

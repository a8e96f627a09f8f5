//! Simulated nodes: kwok answers for kubelet, no container runs.
//!
//! What its nodes and pods look like is in `kwok/*.yaml`.

use anyhow::{Context, Result};
use serde_json::json;

use crate::access::Access;
use crate::control_plane::own_kubeconfig;
use crate::process::Program;

/// Marks the nodes that kwok answers for.
const MARK: &str = "kwok.x-k8s.io/node";

pub(crate) fn kwok(access: &Access) -> Result<Program> {
    let folder = &access.folder;
    let mut program = Program::new("kwok", access.programs.path("kwok")).args([
        format!("--kubeconfig={}", own_kubeconfig(access, "kwok").display()),
        format!("--manage-nodes-with-annotation-selector={MARK}=fake"),
        "--node-lease-duration-seconds=40".to_owned(),
        // Nobody listens there: only for the status of pods.
        "--cidr=10.128.0.0/12".to_owned(),
    ]);
    for (name, text) in [
        ("kwok-node.yaml", include_str!("kwok/node.yaml")),
        ("kwok-pod.yaml", include_str!("kwok/pod.yaml")),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("failed to write {name}"))?;
        program = program.arg(format!("--config={}", path.display()));
    }
    Ok(program)
}

/// Nodes as kubelets would register them: `node-1`, `node-2`, …, each with an address.
pub(crate) fn nodes(count: usize) -> String {
    let items: Vec<_> = (1..=count)
        .map(|number| {
            let name = format!("node-{number}");
            let address = format!("10.127.{}.{}", number / 250, number % 250 + 1);
            json!({
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": name,
                    "annotations": {MARK: "fake"},
                    "labels": {
                        "kubernetes.io/hostname": name,
                        "kubernetes.io/os": "linux",
                        "kubernetes.io/arch": "amd64",
                        "node-role.kubernetes.io/worker": "",
                    },
                },
                "status": {"addresses": [
                    {"type": "InternalIP", "address": address},
                    {"type": "Hostname", "address": name},
                ]},
            })
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

//! A cluster of simulated nodes.

use std::time::Duration;

use anyhow::{Result, ensure};
use local_cluster::{Cluster, Nodes, wait_until};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn fifty_pods_run_with_the_image_ids_of_a_real_runtime() -> Result<()> {
    let cluster = Cluster::builder().nodes(Nodes::Simulated(5)).start().await?;
    println!("{:?}", cluster.timings());
    let digest = format!("sha256:{}", "ab".repeat(32));
    cluster.apply(&workloads(&digest)).await?;

    let pods = wait_until(SOON, "50 running pods", async || {
        let pods = cluster.get_json(&["pods", "--selector=app=many"]).await?["items"].take();
        let running = pods
            .as_array()
            .into_iter()
            .flatten()
            .filter(|pod| pod["status"]["phase"] == "Running")
            .count();
        ensure!(running == 50, "{running} run");
        Ok(pods)
    })
    .await?;
    for pod in pods.as_array().into_iter().flatten() {
        assert_eq!(
            image_id(pod, "tagged").split_once('@').unwrap().0,
            "registry.example.com:5000/shop/web"
        );
        assert_eq!(
            image_id(pod, "tagged").len(),
            "registry.example.com:5000/shop/web@sha256:".len() + 64
        );
        assert_eq!(
            image_id(pod, "short").split_once('@').unwrap().0,
            "docker.io/library/nginx"
        );
        assert_eq!(image_id(pod, "by-digest"), format!("quay.io/a/b@{digest}"));
        assert_eq!(image_id(pod, "told"), "sha256:0123");
        assert!(
            status(pod, "told")["containerID"]
                .as_str()
                .unwrap()
                .starts_with("containerd://")
        );
        let init = &pod["status"]["initContainerStatuses"][0];
        assert_eq!(init["state"]["terminated"]["reason"], "Completed");
        assert!(
            init["imageID"]
                .as_str()
                .unwrap()
                .starts_with("docker.io/library/prepare@sha256:")
        );
    }

    wait_until(
        SOON,
        "the job to be done, and the held pod to be scheduled",
        async || {
            let job = cluster.get_json(&["job", "once"]).await?;
            ensure!(job["status"]["succeeded"] == 1, "{}", job["status"]);
            let held = cluster.get_json(&["pod", "held"]).await?;
            ensure!(held["spec"]["nodeName"].is_string(), "{}", held["status"]);
            assert_eq!(held["status"]["phase"], "Pending");
            Ok(())
        },
    )
    .await?;
    cluster.end().await;
    Ok(())
}

fn status<'a>(pod: &'a Value, container: &str) -> &'a Value {
    let statuses = pod["status"]["containerStatuses"].as_array().unwrap();
    statuses
        .iter()
        .find(|status| status["name"] == container)
        .unwrap()
}

fn image_id<'a>(pod: &'a Value, container: &str) -> &'a str {
    status(pod, container)["imageID"].as_str().unwrap()
}

fn workloads(digest: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: many}}
spec:
  replicas: 50
  selector: {{matchLabels: {{app: many}}}}
  template:
    metadata:
      labels: {{app: many}}
      annotations: {{local-cluster/image-id.told: "sha256:0123"}}
    spec:
      initContainers:
      - {{name: prepare, image: "prepare:1"}}
      containers:
      - {{name: tagged, image: "registry.example.com:5000/shop/web:v1"}}
      - {{name: short, image: nginx}}
      - {{name: by-digest, image: "quay.io/a/b:v2@{digest}"}}
      - {{name: told, image: "quay.io/a/c:v1"}}
---
apiVersion: batch/v1
kind: Job
metadata: {{name: once}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: once, image: "once:1"}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: held, annotations: {{local-cluster/hold: "true"}}}}
spec:
  containers: [{{name: held, image: "held:1"}}]
"#
    )
}

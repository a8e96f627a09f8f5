//! A cluster with a real node, from push to running pod.

mod common;

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use common::{Sink, is_root};
use local_cluster::{Cluster, Image, Nodes, NotificationEndpoint, Registry, output, wait_until};

const SOON: Duration = Duration::from_secs(30);
const REPOSITORY: &str = "shop/web";

#[tokio::test]
async fn a_deployment_runs_from_the_local_registry_which_reports_every_step() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let mut cluster = Cluster::builder()
        .nodes(Nodes::Real)
        .registry(Registry::v3("registry"))
        .map_image_host("registry.example.com", "registry")
        .start()
        .await?;
    println!("{:?}", cluster.timings());
    let sink = Sink::listen(cluster.network().host_address()).await;
    let endpoint = NotificationEndpoint::new("sink", &sink.url).bearer("a token of this test");
    cluster.set_notifications("registry", vec![endpoint]).await?;

    let image = Image::busybox()?.label("version", "1").user("65532:65532");
    let pushed = cluster.push_image(&image, REPOSITORY, "v1").await?;
    deploy(&cluster).await?;

    let path = "jsonpath={.items[*].status.containerStatuses[*].imageID}";
    let running = cluster
        .kubectl(&["get", "pods", "--selector=app=web", "--output", path])
        .await?;
    let expected = format!("registry.example.com/{REPOSITORY}@{}", pushed.digest);
    assert_eq!(
        running.split_whitespace().collect::<Vec<_>>(),
        [expected.as_str(); 2]
    );

    // The machine pushed; the node resolved the tag with HEAD and read with GET.
    let (machine, node) = (
        cluster.network().host_address().to_string(),
        cluster.address().to_string(),
    );
    wait_until(SOON, "the push, the node's HEAD and its GET", async || {
        let events = sink.events(REPOSITORY);
        let seen = |action: &str, method: &str, tag: &str, client: &str| {
            events.iter().any(|event| {
                (
                    event.action.as_str(),
                    event.method.as_str(),
                    event.tag.as_str(),
                    event.client.as_str(),
                ) == (action, method, tag, client)
                    && event.digest == pushed.digest
            })
        };
        let all = seen("push", "PUT", "v1", &machine)
            && seen("pull", "HEAD", "v1", &node)
            && seen("pull", "GET", "", &node);
        if all { Ok(()) } else { Err(anyhow!("{events:#?}")) }
    })
    .await?;
    assert!(
        sink.authorizations()
            .iter()
            .all(|sent| sent == "Bearer a token of this test")
    );

    services_answer(&cluster).await?;
    pods_can_be_looked_into(&cluster).await?;
    programs_can_be_restarted(&cluster).await?;
    cluster.end().await;
    Ok(())
}

/// Two pods that answer http, behind the service address that registries report to.
async fn deploy(cluster: &Cluster) -> Result<()> {
    let documents = format!(
        r"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      dnsPolicy: Default
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: registry.example.com/{REPOSITORY}:v1
        command: [/bin/sh, -c, 'echo serving; exec httpd -f -p 8080 -h /etc']
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  clusterIP: {address}
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080}}]
",
        address = cluster.network().webhook_address(),
    );
    cluster.apply(&documents).await?;
    cluster
        .kubectl(&["rollout", "status", "deployment/web", "--timeout=30s"])
        .await?;
    Ok(())
}

async fn services_answer(cluster: &Cluster) -> Result<()> {
    let address = cluster.service_ip("default", "web").await?;
    assert_eq!(address, cluster.network().webhook_address());
    let ask = |address: Ipv4Addr| {
        format!("printf 'GET /passwd HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 3 {address} 80")
    };
    wait_until(
        SOON,
        "the service to answer where the registry runs",
        async || {
            let mut command = cluster.exec_in_network("sh");
            command.args(["-c", &ask(address)]);
            let answer = output(command, None).await?;
            ensure!(answer.contains("nonroot"), "{answer}");
            Ok(())
        },
    )
    .await?;
    // From the machine, from a pod, and through the API server.
    let mut command = cluster.command("sh");
    command.args(["-c", &ask(address)]);
    assert!(output(command, None).await?.contains("nonroot"));
    let line = ask(address).replace("busybox nc", "nc");
    let from_pod = cluster
        .kubectl(&[
            "exec",
            "deployment/web",
            "--",
            "sh",
            "-c",
            &line.replace("printf", "echo -e"),
        ])
        .await?;
    assert!(from_pod.contains("nonroot"));
    let path = "/api/v1/namespaces/default/services/web/proxy/passwd";
    assert!(
        cluster
            .kubectl(&["get", "--raw", path])
            .await?
            .contains("nonroot")
    );
    Ok(())
}

async fn pods_can_be_looked_into(cluster: &Cluster) -> Result<()> {
    assert!(
        cluster
            .kubectl(&["exec", "deployment/web", "--", "id"])
            .await?
            .starts_with("uid=65532")
    );
    assert_eq!(cluster.kubectl(&["logs", "deployment/web"]).await?, "serving\n");
    // A pod reaches the API server by its service.
    let line = "echo | nc -w 3 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT && echo reached";
    let answer = cluster
        .kubectl(&["exec", "deployment/web", "--", "sh", "-c", line])
        .await?;
    assert!(answer.ends_with("reached\n"), "{answer}");
    Ok(())
}

async fn programs_can_be_restarted(cluster: &Cluster) -> Result<()> {
    cluster.stop("kube-apiserver").await?;
    assert!(cluster.kubectl(&["get", "nodes"]).await.is_err());
    let quieter = "--profiling=false".to_owned();
    cluster
        .restart_with("kube-apiserver", |program| program.args.push(quieter))
        .await?;
    cluster.restart("containerd").await?;
    cluster.restart("kubelet").await?;
    cluster.kubectl(&["rollout", "restart", "deployment/web"]).await?;
    cluster
        .kubectl(&["rollout", "status", "deployment/web", "--timeout=30s"])
        .await?;
    Ok(())
}

//! Two clusters on one machine.

mod common;

use anyhow::Result;
use common::is_root;
use local_cluster::{Cluster, Credentials, Image, Nodes, Registry, output};

#[tokio::test]
async fn two_clusters_start_together_and_reach_each_other_through_the_machine() -> Result<()> {
    let registry = || Registry::v3("registry");
    let (first, second) = tokio::join!(
        Cluster::builder()
            .nodes(Nodes::Simulated(1))
            .registry(registry())
            .audit_log()
            .start(),
        Cluster::builder().registry(registry()).start(),
    );
    let (first, second) = (first?, second?);
    assert_ne!(first.api_url(), second.api_url());
    assert_eq!(
        first.kubectl(&["get", "nodes", "--output=name"]).await?,
        "node/node-1\n"
    );
    assert_eq!(second.kubectl(&["get", "nodes", "--output=name"]).await?, "");
    first
        .push_image(&Image::scratch().file("/only-here", "", 0o644), "only/here", "v1")
        .await?;
    assert_eq!(
        first.crane(&["catalog", first.registry_host()]).await?,
        "only/here\n"
    );
    assert_eq!(second.crane(&["catalog", second.registry_host()]).await?, "");

    // A user of the second cluster, asking from within the first.
    let pair = second.client_certificate("somebody", Some("system:masters"))?;
    let kubeconfig = first.dir().join("second.kubeconfig");
    std::fs::write(&kubeconfig, second.kubeconfig(&Credentials::Certificate(pair)))?;
    let mut command = first.exec_in_network("kubectl");
    command.arg("--kubeconfig").arg(&kubeconfig).args([
        "auth",
        "whoami",
        "--output=jsonpath={.status.userInfo.username}",
    ]);
    assert_eq!(output(command, None).await?, "somebody");

    let audit = std::fs::read_to_string(first.audit_log_path())?;
    assert!(
        audit.lines().any(|line| line.contains("\"username\":\"admin\"")),
        "the audit log names the user"
    );
    tokio::join!(first.end(), second.end());
    Ok(())
}

#[tokio::test]
async fn without_root_a_cluster_of_simulated_nodes_works_on_loopback() -> Result<()> {
    let registry = Registry::v3("registry");
    let cluster = Cluster::builder()
        .without_root()
        .nodes(Nodes::Simulated(2))
        .registry(registry)
        .start()
        .await?;
    assert!(cluster.api_url().starts_with("https://127.0.0.1:"));
    let image = Image::scratch().file("/file", "", 0o644);
    let pushed = cluster.push_image(&image, "without/root", "v1").await?;
    assert_eq!(
        cluster.crane(&["digest", &pushed.reference]).await?.trim(),
        pushed.digest
    );
    cluster
        .kubectl(&["create", "deployment", "web", "--image=nginx", "--replicas=3"])
        .await?;
    cluster
        .kubectl(&["rollout", "status", "deployment/web", "--timeout=30s"])
        .await?;
    assert!(
        cluster.public_client([203, 0, 113, 7].into()).await.is_err(),
        "there is no network for it"
    );
    let folder = cluster.dir().to_owned();
    cluster.end().await;
    assert!(!folder.exists());
    Ok(())
}

#[tokio::test]
async fn the_machine_keeps_its_settings() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let forward = || std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward");
    let before = forward()?;
    let cluster = Cluster::builder().start().await?;
    assert_eq!(forward()?, before);
    cluster.end().await;
    assert_eq!(forward()?, before);
    Ok(())
}

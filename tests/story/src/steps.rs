use std::{net::Ipv4Addr, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use local_cluster::{Access, Image, PushedImage, output, wait_until};
use serde_json::json;

use crate::{chart, example};

/// Where the operator is installed, as the examples have it.
pub const NAMESPACE: &str = "image-usage-system";
/// Name of the Helm release.
pub const HOME: &str = "image-usage-operator";
/// The token that the registry sends; it guards a registry that lives as long as its cluster.
pub const TOKEN: &str = "a-token-of-the-demonstration-only";
/// Where the registry delivers its events, on the webhook Service.
pub const WEBHOOK_PATH: &str = "/v1/events/image-usage-system/registry-example-com/notifications";
/// The repository that the examples ask about.
pub const REPOSITORY: &str = "test-namespace/test-repository";
/// Namespace of the examples' workloads.
pub const APPLICATION: &str = "shop";
/// A client on the internet: an address that documentation uses (RFC 5737).
pub const CLIENT_ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

const OPERATOR_IMAGE: &str = "image-usage-operator";
const OPERATOR_TAG: &str = "local";
const PODS_RUN_WITHIN: Duration = Duration::from_secs(120);
const SECOND_CLUSTER: &str = "second-cluster";

/// Two clusters: one with a real node, a registry and the operator, one that the operator reads from afar.
#[derive(Debug, Clone)]
pub struct Story {
    pub home: Access,
    pub second: Access,
}

/// Makes the operator's image from its static binary, as the Dockerfile does, and pushes it to the registry that
/// sends no notifications. Returns its repository.
pub async fn push_operator_image(home: &Access, binary: &Path) -> Result<String> {
    let host = home
        .system_registry_host()
        .context("a cluster with a real node has a registry for the system")?;
    let image = Image::scratch()
        .copy("/usr/local/bin/image-usage-operator", binary, 0o755)
        .copy(
            "/etc/ssl/certs/ca-certificates.crt",
            Path::new("/etc/ssl/certs/ca-certificates.crt"),
            0o644,
        )
        .file(
            "/etc/passwd",
            "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
            0o644,
        )
        .entrypoint(&["/usr/local/bin/image-usage-operator"])
        .user("65532:65532");
    home.push_image_to(host, &image, OPERATOR_IMAGE, OPERATOR_TAG)
        .await?;
    Ok(format!("{host}/{OPERATOR_IMAGE}"))
}

impl Story {
    /// Installs the operator with Helm: its namespace enforces Pod Security `restricted`.
    pub async fn install(&self, binary: &Path) -> Result<String> {
        let repository = push_operator_image(&self.home, binary).await?;
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        });
        self.home.apply(&namespace.to_string()).await?;
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "registry-webhook", "namespace": NAMESPACE},
            "stringData": {"token": TOKEN},
        });
        self.home.apply(&secret.to_string()).await?;
        let chart = chart();
        let chart = chart.to_str().context("the path of the chart is text")?;
        let webhook_address = self.home.network().webhook_address();
        self.home
            .helm(&[
                "upgrade",
                "--install",
                HOME,
                chart,
                "--namespace",
                NAMESPACE,
                "--set",
                &format!("image.repository={repository}"),
                "--set",
                &format!("image.tag={OPERATOR_TAG}"),
                "--set",
                &format!("webhook.service.clusterIP={webhook_address}"),
                // These nodes have neither a DNS server nor a storage class.
                "--set",
                "dnsPolicy=Default",
                "--set",
                "persistence.enabled=false",
                "--wait",
                "--timeout",
                "180s",
            ])
            .await
    }

    /// Pushes the first version.
    pub async fn push_v1(&self) -> Result<PushedImage> {
        let image = Image::busybox()?.label("version", "v1");
        self.home.push_image(&image, REPOSITORY, "v1").await
    }

    /// Pushes the second version and deletes its tag.
    pub async fn push_v2_and_delete_its_tag(&self) -> Result<PushedImage> {
        let image = Image::busybox()?.label("version", "v2");
        let pushed = self.home.push_image(&image, REPOSITORY, "v2").await?;
        let tag = format!("{}/{REPOSITORY}:v2", self.home.registry_host());
        self.home.crane(&["delete", &tag]).await?;
        Ok(pushed)
    }

    /// Applies an example unchanged.
    pub async fn apply_example(cluster: &Access, name: &str) -> Result<String> {
        let path = example(name);
        let documents =
            std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        cluster.apply(&documents).await
    }

    /// Deploys the examples' workloads and waits for the pods that run at once.
    pub async fn deploy(&self) -> Result<()> {
        Self::apply_example(&self.home, "workloads.yaml").await?;
        running_pods(&self.home, 3).await
    }

    /// Runs the image in the second cluster too. Its node is simulated: it reports the digest it is told.
    pub async fn deploy_in_second(&self, v1: &PushedImage, replicas: i64) -> Result<()> {
        let image = format!("registry.example.com/{REPOSITORY}:v1");
        let image_id = format!("registry.example.com/{REPOSITORY}@{}", v1.digest);
        let labels = json!({"app": "far"});
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APPLICATION}},
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "far", "namespace": APPLICATION},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels, "annotations": {"local-cluster/image-id": image_id}},
                        "spec": {"containers": [{"name": "app", "image": image}]},
                    },
                },
            },
        ]});
        self.second.apply(&objects.to_string()).await?;
        running_pods(&self.second, replicas).await
    }

    /// Authorises the second cluster as the documents say: a service account that may only read, its token in a
    /// kubeconfig, that in a Secret.
    pub async fn authorise_second(&self) -> Result<()> {
        Self::apply_example(&self.second, "remote-cluster.yaml").await?;
        let script = example("remote-kubeconfig.sh");
        let kubeconfig = wait_until(
            Duration::from_secs(30),
            "the token of the service account",
            async || {
                let mut command = self.second.command("sh");
                command.arg(&script);
                output(command, None).await
            },
        )
        .await?;
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECOND_CLUSTER, "namespace": NAMESPACE},
            "stringData": {"kubeconfig": kubeconfig},
        });
        self.home.apply(&secret.to_string()).await?;
        Self::apply_example(&self.home, "cluster-authorization-kubeconfig.yaml").await?;
        Ok(())
    }

    /// Withdraws the second cluster's authorisation.
    pub async fn withdraw_second(&self) -> Result<()> {
        self.home
            .kubectl(&[
                "delete",
                "clusterauthorization",
                SECOND_CLUSTER,
                "--namespace",
                NAMESPACE,
            ])
            .await?;
        Ok(())
    }

    /// A client on the internet pulls the first version.
    pub async fn pull_from_the_internet(&self) -> Result<()> {
        let client = self.home.public_client(CLIENT_ADDRESS).await?;
        let image = format!("{}/{REPOSITORY}:v1", self.home.registry_host());
        client.crane(&["export", &image, "/dev/null"]).await?;
        Ok(())
    }

    /// Somebody asks what v1 points at and pulls nothing.
    pub async fn check(&self) -> Result<()> {
        let image = format!("{}/{REPOSITORY}:v1", self.home.registry_host());
        self.home.crane(&["digest", &image]).await?;
        Ok(())
    }
}

async fn running_pods(cluster: &Access, wanted: i64) -> Result<()> {
    wait_until(PODS_RUN_WITHIN, &format!("{wanted} running pods"), async || {
        let pods = cluster.get_json(&["pods", "--namespace", APPLICATION]).await?;
        let ready = |pod: &&serde_json::Value| {
            let conditions = pod["status"]["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        };
        let running = pods["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(ready)
            .count();
        ensure!(i64::try_from(running)? >= wanted, "{running} are ready");
        Ok(())
    })
    .await
}

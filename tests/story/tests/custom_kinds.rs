//! Kinds with an embedded pod template that the configuration names: read where a cluster has them, a gap where it
//! does not let them be read.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use local_cluster::{Access, Cluster, wait_until};
use serde_json::{Value, json};
use story::{
    NAMESPACE, Report, example,
    operator::{
        Operator, create_namespace, create_secret, in_cluster, install_definitions, kubeconfig_authorization,
        usage_report,
    },
    report,
};

const SHOP: &str = "shop";
const SOON: Duration = Duration::from_secs(30);
const READER: &str = "image-usage-reader";

/// A kind as its project serves it: group, version, kind, plural, and where its template is.
struct Served {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    resource: &'static str,
    template: &'static str,
}

const KINDS: [Served; 3] = [
    Served {
        group: "argoproj.io",
        version: "v1alpha1",
        kind: "Rollout",
        resource: "rollouts",
        template: "spec.template",
    },
    Served {
        group: "apps.kruise.io",
        version: "v1alpha1",
        kind: "CloneSet",
        resource: "clonesets",
        template: "spec.template",
    },
    // Its specification is that of a pod.
    Served {
        group: "serving.knative.dev",
        version: "v1",
        kind: "Revision",
        resource: "revisions",
        template: "",
    },
];

impl Served {
    fn setting(&self) -> String {
        let Self {
            group,
            version,
            kind,
            resource,
            template,
        } = self;
        format!("{kind}={resource}.{version}.{group}:{template}")
    }

    /// A definition that takes any object: what of it is read is what the tests say.
    fn definition(&self) -> Value {
        let name = format!("{}.{}", self.resource, self.group);
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": name},
            "spec": {
                "group": self.group,
                "scope": "Namespaced",
                "names": {"kind": self.kind, "plural": self.resource},
                "versions": [{
                    "name": self.version,
                    "served": true,
                    "storage": true,
                    "schema": {"openAPIV3Schema": {
                        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    }},
                }],
            },
        })
    }

    fn image(&self) -> String {
        format!("custom.example/team/{}:v1", self.resource)
    }

    fn object(&self) -> Value {
        let pod = json!({"containers": [{"name": "app", "image": self.image()}]});
        let spec = if self.template.is_empty() {
            pod
        } else {
            json!({"replicas": 0, "template": {"spec": pod}})
        };
        json!({
            "apiVersion": format!("{}/{}", self.group, self.version),
            "kind": self.kind,
            "metadata": {"name": "web", "namespace": SHOP},
            "spec": spec,
        })
    }
}

#[tokio::test]
async fn templates_in_custom_objects_count_where_a_cluster_has_the_kind() -> Result<()> {
    let home = Cluster::builder().start().await?;
    install_definitions(&home).await?;
    create_namespace(&home, NAMESPACE).await?;
    create_namespace(&home, SHOP).await?;
    home.apply(&fs::read_to_string(example("remote-cluster.yaml"))?)
        .await?;
    let (there, absent) = KINDS.split_at(2);
    for kind in there {
        serve(&home, kind).await?;
    }
    let settings: Vec<String> = KINDS.iter().map(Served::setting).collect();
    let mut operator = Operator::new(&home)?.env("WORKLOAD_KINDS", &settings.join(","));
    operator.up().await?;
    home.apply(&in_cluster(NAMESPACE, "this").to_string()).await?;
    for kind in &KINDS {
        ask(&home, kind).await?;
    }
    for kind in there {
        scaled_to_zero(&home, kind).await?;
    }
    // A kind that the cluster does not have hides nothing.
    until(&home, &absent[0], "all was read", |report| {
        ensure!(report.verdict() == "Unused", "{}", report.verdict());
        Ok(())
    })
    .await?;

    let name = format!("{}.{}", there[0].resource, there[0].group);
    home.kubectl(&["delete", &name, "web", "--namespace", SHOP])
        .await?;
    until(&home, &there[0], "the object to be gone", |report| {
        ensure!(report.verdict() == "Unused", "{}", report.verdict());
        Ok(())
    })
    .await?;

    // Credentials that may not read what the cluster has leave a gap.
    let least = home.service_account_kubeconfig(READER, READER).await?;
    home.kubectl(&["delete", "clusterauthorization", "this", "--namespace", NAMESPACE])
        .await?;
    create_secret(&home, NAMESPACE, "least", "kubeconfig", &least).await?;
    home.apply(&kubeconfig_authorization(NAMESPACE, "least").to_string())
        .await?;
    until(&home, &there[0], "the gap", |report| {
        let gap = report
            .list("coverage")
            .iter()
            .find(|entry| entry["state"] == "Forbidden");
        let message = gap.and_then(|gap| gap["message"].as_str()).unwrap_or_default();
        ensure!(
            message.contains("rollouts") && message.contains("clonesets") && !message.contains("revisions"),
            "{:#}",
            report.0["coverage"]
        );
        ensure!(report.verdict() == "Unknown", "{}", report.verdict());
        Ok(())
    })
    .await?;
    operator.stop().await?;
    home.end().await;
    Ok(())
}

async fn serve(home: &Access, kind: &Served) -> Result<()> {
    home.apply(&kind.definition().to_string()).await?;
    let name = format!("customresourcedefinition/{}.{}", kind.resource, kind.group);
    home.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", &name])
        .await?;
    wait_until(SOON, "an object of the kind", async || {
        home.apply(&kind.object().to_string()).await
    })
    .await?;
    Ok(())
}

async fn ask(home: &Access, kind: &Served) -> Result<()> {
    let question = usage_report(NAMESPACE, kind.resource, &json!({"image": kind.image()}));
    home.apply(&question.to_string()).await?;
    Ok(())
}

async fn scaled_to_zero(home: &Access, kind: &Served) -> Result<()> {
    until(home, kind, "the template to be seen", |report| {
        ensure!(report.verdict() == "ScaledToZero", "{}", report.verdict());
        let rows = report.list("deployments");
        ensure!(rows.len() == 1 && rows[0]["kind"] == kind.kind, "{rows:#?}");
        ensure!(
            report.condition("ClustersComplete").0 == "True",
            "{:#}",
            report.0["conditions"]
        );
        Ok(())
    })
    .await
}

async fn until(
    home: &Access,
    kind: &Served,
    what: &str,
    accept: impl Fn(&Report) -> Result<()>,
) -> Result<()> {
    wait_until(SOON, &format!("{}: {what}", kind.kind), async || {
        accept(&report(home, kind.resource).await?)
    })
    .await
}

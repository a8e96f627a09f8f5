//! The chart's ValidatingAdmissionPolicy: nobody makes the operator use what RBAC keeps from them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local_cluster::{Access, Cluster, wait_until};
use serde_json::{Value, json};
use story::{
    NAMESPACE, chart,
    operator::{create_namespace, image_registry, in_cluster, install_definitions, kubeconfig_authorization},
};

const SOON: Duration = Duration::from_secs(30);
const EDITOR: &str = "editor";

#[tokio::test]
async fn who_refers_to_a_secret_may_get_it_and_who_sets_in_cluster_may_list_pods() -> Result<()> {
    let home = Cluster::builder().start().await?;
    install_definitions(&home).await?;
    create_namespace(&home, NAMESPACE).await?;
    let chart = chart();
    let chart = chart.to_str().context("the path of the chart is text")?;
    let policy = home
        .helm(&[
            "template",
            "image-usage-operator",
            chart,
            "--namespace",
            NAMESPACE,
            "--show-only",
            "templates/admission-policy.yaml",
        ])
        .await?;
    home.apply(&policy).await?;
    grant(
        &home,
        "kinds",
        "clusterauthorizations,imageregistries.imageusage.dev",
        "*",
        "",
    )
    .await?;

    let objects = [
        kubeconfig_authorization(NAMESPACE, "second").to_string(),
        image_registry(NAMESPACE, "registry", "registry.example").to_string(),
        in_cluster(NAMESPACE, "this").to_string(),
    ];
    let [second, registry, this] = &objects;
    // The API server takes a moment to see a new policy.
    wait_until(SOON, "the policy to be enforced", async || {
        let refusal = refused(&home, second, true).await?;
        ensure!(
            refusal.contains("to refer to the Secret second you must be allowed to get it"),
            "{refusal}"
        );
        Ok(())
    })
    .await?;
    let refusal = refused(&home, registry, false).await?;
    ensure!(
        refusal.contains("to refer to the Secret registry-webhook"),
        "{refusal}"
    );
    let refusal = refused(&home, &polled().to_string(), false).await?;
    ensure!(
        refusal.contains("to refer to the Secret robot, authority"),
        "{refusal}"
    );
    let refusal = refused(&home, this, false).await?;
    ensure!(refusal.contains("you must be allowed to list pods"), "{refusal}");

    grant(&home, "second", "secrets", "get", "second").await?;
    as_editor(&home, second, false).await?;
    let refusal = refused(&home, registry, false).await?;
    ensure!(refusal.contains("registry-webhook"), "another Secret: {refusal}");
    home.kubectl(&["create", "clusterrole", "pods", "--resource=pods", "--verb=list"])
        .await?;
    home.kubectl(&[
        "create",
        "clusterrolebinding",
        "pods",
        "--clusterrole=pods",
        "--user",
        EDITOR,
    ])
    .await?;
    as_editor(&home, this, false).await?;

    // What somebody else was allowed to do may be edited without that right, but neither moved nor confirmed.
    home.apply(registry).await?;
    for (patch, is_allowed) in [
        (
            json!({"metadata": {"labels": {"env": "prod"}}, "spec": {"retention": "7d"}}),
            true,
        ),
        (
            json!({"metadata": {"annotations": {"imageusage.dev/confirm-cluster": "1"}}}),
            false,
        ),
    ] {
        let patch = patch.to_string();
        let patched = home
            .kubectl(&[
                "patch",
                "imageregistry",
                "registry",
                "--namespace",
                NAMESPACE,
                "--type=merge",
                "--patch",
                &patch,
                "--as",
                EDITOR,
            ])
            .await;
        ensure!(patched.is_ok() == is_allowed, "{patch}: {patched:?}");
    }
    home.end().await;
    Ok(())
}

/// A registry whose log is asked for.
fn polled() -> Value {
    json!({
        "apiVersion": "imageusage.dev/v1alpha1",
        "kind": "ImageRegistry",
        "metadata": {"namespace": NAMESPACE, "name": "polled"},
        "spec": {
            "endpoints": [{"host": "polled.example"}],
            "sources": [{"name": "audit", "format": "Harbor", "poll": {
                "url": "https://polled.example",
                "authentication": {
                    "type": "Basic",
                    "basic": {"username": "robot$usage", "secretRef": {"name": "robot", "key": "secret"}},
                },
                "caSecretRef": {"name": "authority", "key": "ca.crt"},
            }}],
        },
    })
}

async fn grant(home: &Access, name: &str, resource: &str, verb: &str, object: &str) -> Result<()> {
    let (resource, verb) = (format!("--resource={resource}"), format!("--verb={verb}"));
    let mut role = vec!["create", "role", name, "--namespace", NAMESPACE, &resource, &verb];
    if !object.is_empty() {
        role.extend(["--resource-name", object]);
    }
    home.kubectl(&role).await?;
    let role = format!("--role={name}");
    home.kubectl(&[
        "create",
        "rolebinding",
        name,
        "--namespace",
        NAMESPACE,
        &role,
        "--user",
        EDITOR,
    ])
    .await?;
    Ok(())
}

/// Creates an object as somebody who may edit the operator's kinds.
async fn as_editor(home: &Access, object: &str, is_dry_run: bool) -> Result<String> {
    let mut command = home.command("kubectl");
    command.args(["create", "--filename", "-", "--as", EDITOR]);
    if is_dry_run {
        command.arg("--dry-run=server");
    }
    local_cluster::output(command, Some(object)).await
}

async fn refused(home: &Access, object: &str, is_dry_run: bool) -> Result<String> {
    match as_editor(home, object, is_dry_run).await {
        Ok(created) => anyhow::bail!("created: {created}"),
        Err(refusal) => Ok(format!("{refusal:#}")),
    }
}

//! The operator under exactly the chart's rights: they suffice, and each of them is used.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use local_cluster::{Access, Cluster, output, wait_until};
use serde_json::{Value, json};
use story::{
    HOME, NAMESPACE, TOKEN, chart, example,
    operator::{
        Operator, ask, condition, create_namespace, create_secret, deployment, image_registry, in_cluster,
        install_definitions, kubeconfig_authorization, request,
    },
};

const SOON: Duration = Duration::from_secs(30);
/// A watch that was refused is tried again with growing pauses of up to half a minute.
const NOTICED_WITHIN: Duration = Duration::from_secs(60);
const TEAM: &str = "team";
const IMAGE: &str = "rights.example/team/app:v1";
const ACCOUNT: &str = "system:serviceaccount:image-usage-system:image-usage-operator";

/// Verb, API group, resource with its subresource.
type Right = (String, String, String);

#[tokio::test]
async fn the_charts_rights_suffice_and_each_is_used() -> Result<()> {
    let mut used = BTreeSet::new();
    let mut granted = BTreeSet::new();
    // The second API server does not stream initial lists: then they are read page by page, by list.
    for argument in [None, Some("--feature-gates=WatchList=false")] {
        let builder = Cluster::builder().audit_log();
        let home = match argument {
            None => builder,
            Some(argument) => builder.api_server_arg(argument),
        };
        let home = home.start().await?;
        let mut operator = under_the_charts_rights(&home).await?;
        the_small_flow_works(&home, &operator).await?;
        let (asked, refused) = requests(&home)?;
        assert!(refused.is_empty(), "refused to the operator: {refused:#?}");
        used.extend(asked);
        granted = granted_by_the_chart(&home).await?;
        if argument.is_none() {
            a_secret_of_another_namespace_needs_the_role_that_the_message_names(&home).await?;
        }
        operator.stop().await?;
        home.end().await;
    }
    let unused: Vec<_> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "granted and never used: {unused:#?}");
    Ok(())
}

async fn under_the_charts_rights(home: &Access) -> Result<Operator> {
    install_definitions(home).await?;
    create_namespace(home, NAMESPACE).await?;
    create_namespace(home, TEAM).await?;
    create_secret(home, NAMESPACE, "registry-webhook", "token", TOKEN).await?;
    apply_rights(home).await?;
    let kubeconfig = home.service_account_kubeconfig(NAMESPACE, HOME).await?;
    let mut operator = Operator::new(home)?.kubeconfig(kubeconfig);
    operator.up().await?;
    Ok(operator)
}

/// The chart's account, roles and bindings, and nothing else of it.
async fn apply_rights(home: &Access) -> Result<()> {
    let chart = chart();
    let chart = chart.to_str().context("the path of the chart is text")?;
    let mut args = vec!["template", HOME, chart, "--namespace", NAMESPACE];
    for template in [
        "templates/serviceaccount.yaml",
        "templates/rbac-operator.yaml",
        "templates/rbac-reader.yaml",
    ] {
        args.extend(["--show-only", template]);
    }
    let rendered = home.helm(&args).await?;
    for kind in rendered.lines().filter_map(|line| line.strip_prefix("kind: ")) {
        let known = [
            "ServiceAccount",
            "ClusterRole",
            "ClusterRoleBinding",
            "Role",
            "RoleBinding",
        ];
        ensure!(known.contains(&kind), "the templates of rights hold a {kind}");
    }
    home.apply(&rendered).await?;
    Ok(())
}

/// A report over the own cluster, another one by a kubeconfig, and a registry.
async fn the_small_flow_works(home: &Access, operator: &Operator) -> Result<()> {
    home.apply(&in_cluster(NAMESPACE, "this").to_string()).await?;
    let remote = fs::read_to_string(example("remote-cluster.yaml"))?;
    home.apply(&remote).await?;
    let script = example("remote-kubeconfig.sh");
    let kubeconfig = wait_until(SOON, "the token of the service account", async || {
        let mut command = home.command("sh");
        command.arg(&script);
        output(command, None).await
    })
    .await?;
    create_secret(home, NAMESPACE, "second", "kubeconfig", &kubeconfig).await?;
    home.apply(&kubeconfig_authorization(NAMESPACE, "second").to_string())
        .await?;
    home.apply(&image_registry(NAMESPACE, "rights", "rights.example").to_string())
        .await?;
    let path = wait_until(SOON, "the registry to be accepted", async || {
        let object = home
            .get_json(&["imageregistry", "rights", "--namespace", NAMESPACE])
            .await?;
        ensure!(condition(&object, "Ready").0 == "True", "{object:#}");
        Ok(object["status"]["sources"][0]["path"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    })
    .await?;
    for name in ["this", "second"] {
        wait_until(SOON, &format!("{name} to be ready"), async || {
            let object = home
                .get_json(&["clusterauthorization", name, "--namespace", NAMESPACE])
                .await?;
            ensure!(condition(&object, "Ready").0 == "True", "{:#}", object["status"]);
            ensure!(
                condition(&object, "Authorized").0 == "True",
                "{:#}",
                object["status"]
            );
            let permissions = object["status"]["permissions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            ensure!(
                permissions.iter().all(|permission| permission["allowed"] == true),
                "{permissions:#?}"
            );
            Ok(())
        })
        .await?;
    }
    home.apply(&deployment(TEAM, "web", IMAGE, 1).to_string()).await?;
    let envelope = json!({"events": [{
        "id": "only",
        "timestamp": jiff::Timestamp::now().to_string(),
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": format!("sha256:{}", "9".repeat(64)),
            "repository": "team/app",
            "tag": "v1",
        },
        "request": {"id": "only", "addr": "192.0.2.7:40000", "method": "PUT"},
        "source": {"instanceID": "one"},
    }]});
    let answer = request(
        operator.webhook(),
        "POST",
        &path,
        Some(TOKEN),
        &envelope.to_string(),
    )
    .await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    ask(home, "small", &json!({"image": IMAGE}), |report| {
        ensure!(
            (report.number("pods"), report.number("pushes")) == (Some(1), Some(1)),
            "{:#}",
            report.0["summary"]
        );
        ensure!(
            report.condition("ClustersComplete").0 == "True",
            "{:#}",
            report.0["conditions"]
        );
        Ok(())
    })
    .await?;
    Ok(())
}

/// What the operator's account asked of the API server, and what of that was refused.
fn requests(home: &Access) -> Result<(BTreeSet<Right>, BTreeMap<Right, String>)> {
    let log = fs::read_to_string(home.audit_log_path())?;
    let (mut used, mut refused) = (BTreeSet::new(), BTreeMap::new());
    // The last line may be half there.
    for event in log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        let object = &event["objectRef"];
        if event["user"]["username"] != ACCOUNT || object.is_null() {
            continue;
        }
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let resource = match text("subresource") {
            "" => text("resource").to_owned(),
            subresource => format!("{}/{subresource}", text("resource")),
        };
        let right = (
            event["verb"].as_str().unwrap_or_default().to_owned(),
            text("apiGroup").to_owned(),
            resource,
        );
        if event["annotations"]["authorization.k8s.io/decision"] == "allow" {
            used.insert(right);
        } else {
            refused.insert(right, event["requestURI"].to_string());
        }
    }
    Ok((used, refused))
}

/// What the chart's roles grant.
async fn granted_by_the_chart(home: &Access) -> Result<BTreeSet<Right>> {
    let mut granted = BTreeSet::new();
    for args in [
        &["clusterrole", HOME][..],
        &["clusterrole", "image-usage-operator-reader"],
        &["role", "image-usage-operator-secrets", "--namespace", NAMESPACE],
    ] {
        let role = home.get_json(args).await?;
        for rule in role["rules"].as_array().context("a role has rules")? {
            let words = |field: &str| -> Vec<String> {
                rule[field]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|word| word.as_str().map(str::to_owned))
                    .collect()
            };
            for (group, resource) in words("apiGroups").iter().flat_map(|group| {
                words("resources")
                    .into_iter()
                    .map(move |resource| (group, resource))
            }) {
                granted.extend(
                    words("verbs")
                        .into_iter()
                        .map(|verb| (verb, group.clone(), resource.clone())),
                );
            }
        }
    }
    Ok(granted)
}

async fn a_secret_of_another_namespace_needs_the_role_that_the_message_names(home: &Access) -> Result<()> {
    let kubeconfig = fs::read_to_string(home.kubeconfig_path())?;
    create_secret(home, TEAM, "theirs", "kubeconfig", &kubeconfig).await?;
    create_secret(home, TEAM, "other", "kubeconfig", &kubeconfig).await?;
    for name in ["theirs", "other"] {
        home.apply(&kubeconfig_authorization(TEAM, name).to_string())
            .await?;
    }
    let ready = async |name: &str, expected: (&str, &str)| {
        let object = home
            .get_json(&["clusterauthorization", name, "--namespace", TEAM])
            .await?;
        let found = condition(&object, "Ready");
        ensure!((found.0.as_str(), found.1.as_str()) == expected, "{found:?}");
        let conditions = object["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let message = conditions
            .iter()
            .find(|condition| condition["type"] == "Ready")
            .map(|condition| condition["message"].clone());
        Ok(message
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned())
    };
    let message = wait_until(SOON, "the Secret to be forbidden", async || {
        ready("theirs", ("False", "SecretForbidden")).await
    })
    .await?;
    // Exactly what it prints.
    let (_, commands) = message
        .split_once(": run ")
        .with_context(|| format!("no command in: {message}"))?;
    for command in commands.split(" && ") {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (program, args) = words.split_first().context("a command")?;
        ensure!(*program == "kubectl", "{command}");
        home.kubectl(args).await?;
    }
    wait_until(NOTICED_WITHIN, "the Secret to be read", async || {
        ready("theirs", ("True", "Synced")).await
    })
    .await?;
    ready("other", ("False", "SecretForbidden")).await?;
    Ok(())
}

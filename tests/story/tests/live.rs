//! Changes show within seconds, and nothing is written when nothing changes.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use local_cluster::{Access, Cluster, wait_until};
use serde_json::{Value, json};
use story::{
    NAMESPACE, Report, TOKEN,
    operator::{
        Operator, condition, create_namespace, create_secret, deployment, image_registry, in_cluster,
        kubeconfig_authorization, request, usage_report,
    },
    report,
};

const HOST: &str = "live.example";
const IMAGE: &str = "live.example/team/app:v1";
const SHOP: &str = "shop";
/// A report that was written a moment ago is written again after 5 seconds.
const SECONDS: Duration = Duration::from_secs(10);
/// What takes rights away.
const AT_ONCE: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn changes_of_pods_events_and_authorisations_show_within_seconds() -> Result<()> {
    let home = Cluster::builder().start().await?;
    let far = Cluster::builder().start().await?;
    let mut operator = Operator::start(&home).await?;
    let live = Live {
        home: &home,
        far: &far,
    };
    live.prepare().await?;
    let path = deliveries(&home).await?;

    a_new_pod_shows(&live).await?;
    a_new_event_shows(&live, &operator, &path).await?;
    a_second_cluster_adds_up(&live).await?;
    two_authorisations_of_one_cluster_count_once(&live).await?;
    a_suspended_cluster_leaves_and_returns(&live).await?;
    a_narrowed_scope_takes_away_what_is_outside(&live).await?;
    a_cluster_that_loses_its_label_is_withdrawn_until_accepted(&live).await?;
    a_deleted_authorisation_is_withdrawn(&live).await?;

    operator.stop().await?;
    far.end().await;
    home.end().await;
    Ok(())
}

/// The operator's cluster, and one that it reads from afar.
struct Live<'a> {
    home: &'a Access,
    far: &'a Access,
}

impl Live<'_> {
    async fn prepare(&self) -> Result<()> {
        create_namespace(self.home, SHOP).await?;
        create_namespace(self.far, SHOP).await?;
        self.home
            .apply(&in_cluster(NAMESPACE, "this").to_string())
            .await?;
        ask(self.home, "all", &json!({"image": IMAGE})).await?;
        ask(
            self.home,
            "prod",
            &json!({"image": IMAGE, "clusters": {"selector": {"matchLabels": {"env": "prod"}}}}),
        )
        .await?;
        self.until(SOON, "all", "the first answer", |report| {
            ensure!(
                report.condition("ClustersComplete").0 == "True",
                "{:?}",
                report.condition("ClustersComplete")
            );
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Waits for an answer; says how long that took.
    async fn until(
        &self,
        within: Duration,
        name: &str,
        what: &str,
        accept: impl Fn(&Report) -> Result<()>,
    ) -> Result<Report> {
        let begun = Instant::now();
        let report = wait_until(within, what, async || {
            let report = report(self.home, name).await?;
            accept(&report)?;
            Ok(report)
        })
        .await?;
        println!("{what}: {:.1} s", begun.elapsed().as_secs_f64());
        Ok(report)
    }

    async fn patch(&self, kind: &str, name: &str, patch: Value) -> Result<String> {
        let patch = patch.to_string();
        self.home
            .kubectl(&[
                "patch",
                kind,
                name,
                "--namespace",
                NAMESPACE,
                "--type=merge",
                "--patch",
                &patch,
            ])
            .await
    }
}

async fn ask(home: &Access, name: &str, spec: &Value) -> Result<()> {
    home.apply(&usage_report(NAMESPACE, name, spec).to_string())
        .await?;
    Ok(())
}

/// A registry whose events the tests deliver themselves; where to.
async fn deliveries(home: &Access) -> Result<String> {
    home.apply(&image_registry(NAMESPACE, "live", HOST).to_string())
        .await?;
    wait_until(SOON, "the registry to be accepted", async || {
        let object = home
            .get_json(&["imageregistry", "live", "--namespace", NAMESPACE])
            .await?;
        ensure!(condition(&object, "Ready").0 == "True", "{object:#}");
        Ok(object["status"]["sources"][0]["path"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    })
    .await
}

async fn deliver_push(operator: &Operator, path: &str, id: &str, time: Timestamp) -> Result<()> {
    let envelope = json!({"events": [{
        "id": id,
        "timestamp": time.to_string(),
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": format!("sha256:{}", "7".repeat(64)),
            "repository": "team/app",
            "tag": "v1",
        },
        "request": {"id": id, "addr": "192.0.2.7:40000", "host": HOST, "method": "PUT", "useragent": "test"},
        "source": {"addr": "registry:5000", "instanceID": "one"},
    }]});
    let answer = request(
        operator.webhook(),
        "POST",
        path,
        Some(TOKEN),
        &envelope.to_string(),
    )
    .await?;
    ensure!(answer.status == 202, "{answer:?}");
    Ok(())
}

async fn deploy(cluster: &Access, name: &str, replicas: i64) -> Result<()> {
    cluster
        .apply(&deployment(SHOP, name, IMAGE, replicas).to_string())
        .await?;
    Ok(())
}

fn counts(report: &Report, clusters: i64, pods: i64) -> Result<()> {
    let found = (report.number("clusters"), report.number("pods"));
    ensure!(
        found == (Some(clusters), Some(pods)),
        "clusters and pods: {found:?}"
    );
    Ok(())
}

/// State in the coverage of a cluster.
fn coverage(report: &Report, cluster: &str) -> Option<String> {
    let source = format!("{NAMESPACE}/{cluster}");
    let entry = report
        .list("coverage")
        .iter()
        .find(|entry| entry["source"] == source)?;
    entry["state"].as_str().map(str::to_owned)
}

fn covered(report: &Report, cluster: &str, state: Option<&str>) -> Result<()> {
    let found = coverage(report, cluster);
    ensure!(
        found.as_deref() == state,
        "{cluster} is {found:?}: {:#}",
        report.0["coverage"]
    );
    Ok(())
}

async fn a_new_pod_shows(live: &Live<'_>) -> Result<()> {
    deploy(live.home, "web", 1).await?;
    let shown = live
        .until(SECONDS, "all", "the first pod", |report| counts(report, 1, 1))
        .await?;
    assert_eq!(shown.verdict(), "InUse");
    deploy(live.home, "web", 2).await?;
    live.until(SECONDS, "all", "a second pod", |report| counts(report, 1, 2))
        .await?;
    Ok(())
}

async fn a_new_event_shows(live: &Live<'_>, operator: &Operator, path: &str) -> Result<()> {
    deliver_push(operator, path, "first", Timestamp::now()).await?;
    let shown = live
        .until(SECONDS, "all", "a push", |report| {
            ensure!(
                report.number("pushes") == Some(1),
                "pushes: {:?}",
                report.number("pushes")
            );
            Ok(())
        })
        .await?;
    assert_eq!(shown.0["events"][0]["id"], "first");
    Ok(())
}

async fn a_second_cluster_adds_up(live: &Live<'_>) -> Result<()> {
    deploy(live.far, "far", 3).await?;
    let kubeconfig = fs::read_to_string(live.far.kubeconfig_path())?;
    create_secret(live.home, NAMESPACE, "far", "kubeconfig", &kubeconfig).await?;
    let mut far = kubeconfig_authorization(NAMESPACE, "far");
    far["metadata"]["labels"] = json!({"env": "prod"});
    live.home.apply(&far.to_string()).await?;
    let shown = live
        .until(SOON, "all", "the second cluster", |report| counts(report, 2, 5))
        .await?;
    assert_eq!(shown.deployments_in("far").len(), 1);
    let prod = live
        .until(SECONDS, "prod", "the selected cluster alone", |report| {
            counts(report, 1, 3)
        })
        .await?;
    assert_eq!(prod.condition("ClustersComplete"), ("True", "Complete"));
    Ok(())
}

async fn two_authorisations_of_one_cluster_count_once(live: &Live<'_>) -> Result<()> {
    let kubeconfig = fs::read_to_string(live.far.kubeconfig_path())?;
    create_secret(live.home, NAMESPACE, "again", "kubeconfig", &kubeconfig).await?;
    live.home
        .apply(&kubeconfig_authorization(NAMESPACE, "again").to_string())
        .await?;
    let same = live
        .until(SOON, "all", "one of the two to be the same cluster", |report| {
            let states = [coverage(report, "far"), coverage(report, "again")].map(Option::unwrap_or_default);
            ensure!(
                states.contains(&"SameCluster".to_owned()) && states.contains(&"Synced".to_owned()),
                "{states:?}"
            );
            counts(report, 2, 5)
        })
        .await?;
    assert_eq!(same.condition("ClustersComplete"), ("True", "Complete"));
    live.home
        .kubectl(&[
            "delete",
            "clusterauthorization",
            "again",
            "--namespace",
            NAMESPACE,
        ])
        .await?;
    let uid = {
        let gone = live
            .until(AT_ONCE, "all", "one authorisation to be withdrawn", |report| {
                covered(report, "again", Some("Withdrawn"))
            })
            .await?;
        counts(&gone, 2, 5)?;
        let entry = gone
            .list("coverage")
            .iter()
            .find(|entry| entry["state"] == "Withdrawn")
            .cloned();
        entry
            .and_then(|entry| entry["uid"].as_str().map(str::to_owned))
            .context("a withdrawn cluster has a uid")?
    };
    accept(live, "all", &uid).await?;
    live.until(SECONDS, "all", "the withdrawal to be accepted", |report| {
        covered(report, "again", None)
    })
    .await?;
    Ok(())
}

async fn accept(live: &Live<'_>, name: &str, uid: &str) -> Result<()> {
    let annotations = json!({"imageusage.dev/accept-withdrawn": uid});
    live.patch(
        "imageusagereport",
        name,
        json!({"metadata": {"annotations": annotations}}),
    )
    .await?;
    Ok(())
}

async fn a_suspended_cluster_leaves_and_returns(live: &Live<'_>) -> Result<()> {
    live.patch("clusterauthorization", "far", json!({"spec": {"suspend": true}}))
        .await?;
    let without = live
        .until(AT_ONCE, "all", "the suspended cluster to leave", |report| {
            counts(report, 1, 2)
        })
        .await?;
    assert!(without.deployments_in("far").is_empty());
    covered(&without, "far", Some("Suspended"))?;
    assert_eq!(
        without.condition("ClustersComplete"),
        ("False", "ClusterSuspended")
    );
    // Only pods of it are left out of this one: nothing it finds makes the image unused.
    let prod = live
        .until(AT_ONCE, "prod", "the report of it alone", |report| {
            counts(report, 0, 0)
        })
        .await?;
    assert_eq!(prod.verdict(), "Unknown", "{:#}", prod.0["verdict"]);
    let object = live
        .home
        .get_json(&["clusterauthorization", "far", "--namespace", NAMESPACE])
        .await?;
    assert_eq!(condition(&object, "Ready"), ("True".into(), "Suspended".into()));
    live.patch("clusterauthorization", "far", json!({"spec": {"suspend": false}}))
        .await?;
    live.until(SECONDS, "all", "it to return", |report| counts(report, 2, 5))
        .await?;
    Ok(())
}

async fn a_narrowed_scope_takes_away_what_is_outside(live: &Live<'_>) -> Result<()> {
    live.patch(
        "clusterauthorization",
        "far",
        json!({"spec": {"scope": {"namespaces": {"exclude": ["sh*"]}}}}),
    )
    .await?;
    let without = live
        .until(AT_ONCE, "all", "the scope to be narrowed", |report| {
            counts(report, 1, 2)
        })
        .await?;
    covered(&without, "far", Some("ScopeLimited"))?;
    assert_eq!(
        without.condition("ClustersComplete"),
        ("False", "NamespacesLeftOut")
    );
    let prod = live
        .until(AT_ONCE, "prod", "the report of it alone", |report| {
            counts(report, 0, 0)
        })
        .await?;
    assert_eq!(prod.verdict(), "Unknown", "{:#}", prod.0["verdict"]);
    live.patch("clusterauthorization", "far", json!({"spec": {"scope": null}}))
        .await?;
    live.until(SECONDS, "all", "the scope to be widened", |report| {
        counts(report, 2, 5)
    })
    .await?;
    Ok(())
}

async fn a_cluster_that_loses_its_label_is_withdrawn_until_accepted(live: &Live<'_>) -> Result<()> {
    live.until(SECONDS, "prod", "the labelled cluster", |report| {
        counts(report, 1, 3)
    })
    .await?;
    let label = async |label: &str| {
        live.home
            .kubectl(&[
                "label",
                "clusterauthorization",
                "far",
                "--namespace",
                NAMESPACE,
                label,
            ])
            .await
    };
    label("env-").await?;
    let withdrawn = live
        .until(
            AT_ONCE,
            "prod",
            "the cluster without its label to leave",
            |report| counts(report, 0, 0),
        )
        .await?;
    covered(&withdrawn, "far", Some("Withdrawn"))?;
    assert_eq!(
        withdrawn.condition("ClustersComplete"),
        ("False", "ClusterWithdrawn")
    );
    assert_eq!(withdrawn.verdict(), "Unknown", "{:#}", withdrawn.0["verdict"]);
    let uid = withdrawn
        .list("coverage")
        .iter()
        .find(|entry| entry["state"] == "Withdrawn")
        .map(|entry| entry["uid"].clone());
    let uid = uid
        .as_ref()
        .and_then(Value::as_str)
        .context("a withdrawn cluster has a uid")?
        .to_owned();
    accept(live, "prod", &uid).await?;
    live.until(SECONDS, "prod", "the withdrawal to be accepted", |report| {
        covered(report, "far", None)?;
        ensure!(
            report.condition("ClustersComplete") == ("False", "NoCluster"),
            "{:?}",
            report.condition("ClustersComplete")
        );
        Ok(())
    })
    .await?;
    label("env=prod").await?;
    live.until(
        SECONDS,
        "prod",
        "the cluster to return with its label",
        |report| counts(report, 1, 3),
    )
    .await?;
    Ok(())
}

async fn a_deleted_authorisation_is_withdrawn(live: &Live<'_>) -> Result<()> {
    live.home
        .kubectl(&["delete", "clusterauthorization", "far", "--namespace", NAMESPACE])
        .await?;
    let without = live
        .until(AT_ONCE, "all", "the deleted authorisation to leave", |report| {
            counts(report, 1, 2)
        })
        .await?;
    covered(&without, "far", Some("Withdrawn"))?;
    assert_eq!(
        without.condition("ClustersComplete"),
        ("False", "ClusterWithdrawn")
    );
    assert_eq!(without.verdict(), "InUse");
    Ok(())
}

/// `LONG_TESTS` asks for the ten minutes that are promised.
fn rest() -> Duration {
    Duration::from_secs(if std::env::var_os("LONG_TESTS").is_some() {
        600
    } else {
        60
    })
}

#[tokio::test]
async fn a_window_slides_and_otherwise_nothing_is_written_when_nothing_changes() -> Result<()> {
    let home = Cluster::builder().audit_log().start().await?;
    let mut operator = Operator::start(&home).await?;
    create_namespace(&home, SHOP).await?;
    home.apply(&in_cluster(NAMESPACE, "this").to_string()).await?;
    let path = deliveries(&home).await?;
    deploy(&home, "web", 2).await?;
    // Half of its window ago: it leaves with the minute after its own.
    let now = Timestamp::now();
    deliver_push(&operator, &path, "old", now - SignedDuration::from_secs(50)).await?;
    let day = json!({"timeRange": {"start": (now - SignedDuration::from_hours(24)).to_string(), "end": (now + SignedDuration::from_hours(24)).to_string()}});
    ask(&home, "resting", &json!({"image": IMAGE, "events": day})).await?;
    ask(
        &home,
        "sliding",
        &json!({"image": IMAGE, "events": {"timeRange": {"last": "1m"}}}),
    )
    .await?;
    let pushes = async |name: &str, expected: i64| {
        let report = report(&home, name).await?;
        ensure!(
            report.number("pushes") == Some(expected),
            "{name}: pushes: {:?}",
            report.number("pushes")
        );
        ensure!(
            report.list("events").len() == usize::try_from(expected)?,
            "{name}: {:#}",
            report.0["events"]
        );
        counts(&report, 1, 2)
    };
    wait_until(SOON, "the push in the resting report", async || {
        pushes("resting", 1).await
    })
    .await?;
    let begun = Instant::now();
    wait_until(
        Duration::from_secs(75),
        "the push to leave the window",
        async || pushes("sliding", 0).await,
    )
    .await?;
    println!(
        "the push left the window after {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    pushes("resting", 1).await?;

    let quiet = rest();
    let writes = wait_until(quiet * 2 + SOON, "rest", async || {
        let writes = status_writes(&home)?;
        let last = writes.last().context("nothing was ever written")?;
        let since = Timestamp::now().duration_since(last.0);
        ensure!(
            since >= SignedDuration::try_from(quiet)?,
            "{} was written {} s ago",
            last.1,
            since.as_secs()
        );
        Ok(writes.len())
    })
    .await?;
    println!("{writes} writes, then none for {quiet:?}");
    operator.stop().await?;
    home.end().await;
    Ok(())
}

/// When a status of the three kinds was written, and of which object, save for the report whose window moves every
/// minute; oldest first.
fn status_writes(home: &Access) -> Result<Vec<(Timestamp, String)>> {
    let log = fs::read_to_string(home.audit_log_path())?;
    let mut writes = Vec::new();
    // The last line may be half there.
    for event in log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        let object = &event["objectRef"];
        let is_write = matches!(
            event["verb"].as_str(),
            Some("patch" | "update" | "create" | "delete")
        );
        if object["apiGroup"] == "imageusage.dev"
            && is_write
            && object["subresource"] == "status"
            && object["name"] != "sliding"
        {
            let time = event["requestReceivedTimestamp"]
                .as_str()
                .unwrap_or_default()
                .parse()?;
            writes.push((time, format!("{}/{}", object["resource"], object["name"])));
        }
    }
    writes.sort();
    Ok(writes)
}

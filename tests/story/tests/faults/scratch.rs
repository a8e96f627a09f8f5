//! What a report has to say about a cluster, computed anew from all that the cluster has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::{Context, Result};
use local_cluster::Access;
use serde_json::Value;

const KINDS: &str = "pods,replicasets,deployments,statefulsets,daemonsets,jobs,cronjobs";

/// A line of a report's deployments.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    namespace: String,
    kind: String,
    name: String,
    container: String,
    reference: String,
    state: String,
    pods: i64,
}

impl Row {
    pub(crate) fn has_pods(&self) -> bool {
        self.pods > 0
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            kind,
            name,
            container,
            reference,
            state,
            pods,
        } = self;
        write!(
            f,
            "{namespace}/{kind}/{name}/{container} {reference} {state} {pods}"
        )
    }
}

/// The lines that a report has.
pub(crate) fn reported(deployments: &[Value]) -> BTreeSet<Row> {
    let rows = deployments.iter().map(|row| Row {
        namespace: text(&row["namespace"]),
        kind: text(&row["kind"]),
        name: text(&row["name"]),
        container: text(&row["container"]),
        reference: text(&row["reference"]),
        state: text(&row["state"]),
        pods: row["pods"].as_i64().unwrap_or_default(),
    });
    rows.collect()
}

/// The lines that a report on `repository` should have, of what a namespace of the cluster holds now.
pub(crate) async fn expected(cluster: &Access, namespace: &str, repository: &str) -> Result<BTreeSet<Row>> {
    let list = cluster.get_json(&[KINDS, "--namespace", namespace]).await?;
    let objects = list["items"].as_array().context("a list has items")?;
    let by_uid: BTreeMap<&str, &Value> = objects
        .iter()
        .filter_map(|object| Some((object["metadata"]["uid"].as_str()?, object)))
        .collect();
    let tagged = format!("{repository}:");
    // Strongest use last; how many pods each has.
    let mut uses: BTreeMap<_, BTreeMap<(u8, &str), i64>> = BTreeMap::new();
    for object in objects {
        let (kind, name) = workload(object, &by_uid);
        let (strength, state) = lifecycle(object);
        let is_pod = object["kind"] == "Pod";
        for container in containers(object) {
            let reference = text(&container["image"]);
            if reference.starts_with(&tagged) {
                let key = (kind.clone(), name.clone(), text(&container["name"]), reference);
                let uses = uses.entry(key).or_default();
                *uses.entry((strength, state)).or_default() += i64::from(is_pod);
            }
        }
    }
    let mut rows = BTreeSet::new();
    for ((kind, name, container, reference), uses) in uses {
        let strongest = uses.keys().next_back().copied();
        for (use_, pods) in uses {
            if pods > 0 || Some(use_) == strongest {
                rows.insert(Row {
                    namespace: namespace.to_owned(),
                    kind: kind.clone(),
                    name: name.clone(),
                    container: container.clone(),
                    reference: reference.clone(),
                    state: use_.1.to_owned(),
                    pods,
                });
            }
        }
    }
    Ok(rows)
}

/// Kind and name of the topmost owner.
fn workload(object: &Value, by_uid: &BTreeMap<&str, &Value>) -> (String, String) {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let controller = owners
        .into_iter()
        .flatten()
        .find(|owner| owner["controller"] == true);
    match controller {
        None => (text(&object["kind"]), text(&object["metadata"]["name"])),
        Some(owner) => match by_uid.get(owner["uid"].as_str().unwrap_or_default()) {
            Some(above) => workload(above, by_uid),
            None => (text(&owner["kind"]), text(&owner["name"])),
        },
    }
}

/// How strong a use is, and its word.
fn lifecycle(object: &Value) -> (u8, &'static str) {
    let is_controlled = object["metadata"]["ownerReferences"].is_array();
    let is_over = match object["kind"].as_str() {
        Some("Pod") => matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed")),
        _ => object["status"]["completionTime"].is_string(),
    };
    match object["kind"].as_str() {
        Some("Pod") if is_over => (1, "Finished"),
        Some("Pod") => (4, "Running"),
        Some("CronJob") => (2, "Scheduled"),
        Some("ReplicaSet") if is_controlled => (1, "Rollback"),
        Some("Job") if is_over => (1, "Rollback"),
        _ => (3, "ScaledToZero"),
    }
}

fn containers(object: &Value) -> impl Iterator<Item = &Value> {
    let spec = match object["kind"].as_str() {
        Some("Pod") => &object["spec"],
        Some("CronJob") => &object["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        _ => &object["spec"]["template"]["spec"],
    };
    let lists = ["initContainers", "containers"].map(|list| spec[list].as_array());
    lists.into_iter().flatten().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

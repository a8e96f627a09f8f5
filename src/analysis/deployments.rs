//! Which uses of a repository are uses of the image that was asked about.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cluster::{ContainerType, Lifecycle, WorkloadUse},
    crd::{ClusterName, Deployment, WorkloadDetail},
    image::{Digest, RunningForm},
};

use super::{ClusterEvidence, ClusterState, Subject, TagHistory};

/// How a use is a use of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// By the digest asked for, or the one the tag points at.
    Exact,
    /// By the same reference, the digest being another or not comparable.
    TagOnly,
}

/// A use that matches, in its cluster.
#[derive(Debug)]
pub struct Matched<'a> {
    pub cluster: &'a ClusterEvidence,
    pub used: &'a WorkloadUse,
    pub how: Match,
}

/// How `used` is a use of the subject; nothing where it is another image of the repository.
#[must_use]
pub fn matches(subject: &Subject, history: &TagHistory, used: &WorkloadUse) -> Option<Match> {
    let running = used.running.as_ref();
    match subject {
        Subject::Tag(tag) => {
            let same_reference = used.image.digest.is_none() && used.image.tag_or_latest() == tag;
            match_digest_or_tag(history.current(tag), used, same_reference)
        }
        Subject::Digest(digest) => {
            let by_its_tag =
                used.image.digest.is_none() && history.current(used.image.tag_or_latest()) == Some(digest);
            // A tag that points at the digest is only what a next pull would bring where something else runs.
            let comparable = running.is_some_and(|running| running.form == RunningForm::Repository);
            match_digest_or_tag(Some(digest), used, by_its_tag && !comparable)
        }
        Subject::Repository => Some(match &used.image.digest {
            Some(_) => Match::Exact,
            None if running.is_some_and(|running| {
                history.current(used.image.tag_or_latest()) == Some(&running.digest)
            }) =>
            {
                Match::Exact
            }
            None => Match::TagOnly,
        }),
    }
}

fn match_digest_or_tag(digest: Option<&Digest>, used: &WorkloadUse, same_reference: bool) -> Option<Match> {
    let runs = digest.is_some() && used.running.as_ref().map(|running| &running.digest) == digest;
    let named = digest.is_some() && used.image.digest.as_ref() == digest;
    if runs || named {
        Some(Match::Exact)
    } else {
        same_reference.then_some(Match::TagOnly)
    }
}

/// Rows without pods that say nothing new go: a template beside its running pods, an old revision beside the
/// current one. Rows with pods always stay.
pub fn without_shadows(matched: &mut Vec<Matched<'_>>) {
    let mut strongest: BTreeMap<RowKey, (u8, usize)> = BTreeMap::new();
    for (index, row) in matched.iter().enumerate() {
        let candidate = (strength(row.used.lifecycle), index);
        strongest
            .entry(RowKey::of(row))
            .and_modify(|best| {
                let with_pods = |index: usize| matched[index].used.pods > 0;
                if (candidate.0, with_pods(candidate.1)) > (best.0, with_pods(best.1)) {
                    *best = candidate;
                }
            })
            .or_insert(candidate);
    }
    let keep: Vec<bool> = matched
        .iter()
        .enumerate()
        .map(|(index, row)| {
            row.used.pods > 0
                || strongest
                    .get(&RowKey::of(row))
                    .is_some_and(|best| best.1 == index)
        })
        .collect();
    let mut keep = keep.into_iter();
    matched.retain(|_| keep.next().unwrap_or(true));
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RowKey {
    cluster: ClusterName,
    namespace: std::sync::Arc<str>,
    kind: std::sync::Arc<str>,
    name: std::sync::Arc<str>,
    container: std::sync::Arc<str>,
    container_type: &'static str,
    reference: std::sync::Arc<str>,
}

impl RowKey {
    fn of(row: &Matched<'_>) -> Self {
        Self {
            cluster: row.cluster.name.clone(),
            namespace: row.used.namespace.clone(),
            kind: row.used.kind.clone(),
            name: row.used.name.clone(),
            container: row.used.container.clone(),
            container_type: container_type(row.used.container_type),
            reference: row.used.reference.clone(),
        }
    }
}

fn strength(lifecycle: Lifecycle) -> u8 {
    match lifecycle {
        Lifecycle::Running => 4,
        Lifecycle::Template => 3,
        Lifecycle::Scheduled => 2,
        Lifecycle::Finished | Lifecycle::Revision => 1,
    }
}

/// The rows as a report lists them: most pods first, then by name.
#[must_use]
pub fn rows(matched: &[Matched<'_>]) -> Vec<Deployment> {
    let (named, counted): (Vec<_>, Vec<_>) = matched
        .iter()
        .partition(|row| row.cluster.workloads == WorkloadDetail::Names);
    let mut rows: Vec<Deployment> = named.into_iter().map(named_row).collect();
    rows.extend(counted_rows(&counted));
    rows.sort_by(|a, b| b.pods.cmp(&a.pods).then_with(|| names(a).cmp(&names(b))));
    rows
}

fn names(row: &Deployment) -> impl Ord {
    let Deployment {
        cluster,
        namespace,
        kind,
        name,
        container,
        container_type,
        reference,
        digest,
        state,
        ..
    } = row;
    (
        (cluster, namespace, kind, name),
        (container, reference, digest, state, container_type),
    )
}

/// A row without the names of what uses the image.
fn row(Matched { cluster, used, how }: &Matched<'_>) -> Deployment {
    Deployment {
        cluster: cluster.name.clone(),
        namespace: None,
        kind: None,
        name: None,
        container: None,
        container_type: None,
        reference: used.reference.to_string(),
        digest: used.running.as_ref().map(|running| running.digest.to_string()),
        r#match: match how {
            Match::Exact => "Exact",
            Match::TagOnly => "TagOnly",
        }
        .to_owned(),
        state: match used.lifecycle {
            Lifecycle::Running => "Running",
            Lifecycle::Finished => "Finished",
            Lifecycle::Template => "ScaledToZero",
            Lifecycle::Scheduled => "Scheduled",
            Lifecycle::Revision => "Rollback",
        }
        .to_owned(),
        pods: used.pods,
        ready_pods: used.ready_pods,
        since: Some(used.since),
        stale_since: match cluster.state {
            ClusterState::Stale { since, .. } => Some(since),
            _ => None,
        },
    }
}

fn named_row(matched: &Matched<'_>) -> Deployment {
    let used = matched.used;
    Deployment {
        namespace: Some(used.namespace.to_string()),
        kind: Some(used.kind.to_string()),
        name: Some(used.name.to_string()),
        container: Some(used.container.to_string()),
        container_type: Some(container_type(used.container_type).to_owned()),
        ..row(matched)
    }
}

/// One row for all that differ in names alone. A workload that uses the image in several containers counts once.
fn counted_rows(matched: &[&Matched<'_>]) -> Vec<Deployment> {
    /// Pods and ready pods by workload.
    type Pods<'a> = BTreeMap<(&'a str, &'a str, &'a str), (i64, i64)>;
    let mut rows: Vec<(Deployment, Pods<'_>)> = Vec::new();
    for one in matched {
        let row = row(one);
        let used = one.used;
        let is_same = |known: &Deployment| {
            (
                &known.cluster,
                &known.reference,
                &known.digest,
                &known.r#match,
                &known.state,
            ) == (
                &row.cluster,
                &row.reference,
                &row.digest,
                &row.r#match,
                &row.state,
            )
        };
        let place = rows.iter().position(|(known, _)| is_same(known));
        let place = place.unwrap_or_else(|| {
            rows.push((row.clone(), BTreeMap::new()));
            rows.len() - 1
        });
        let (known, workloads) = &mut rows[place];
        known.since = known.since.min(row.since);
        let pods = workloads
            .entry((&used.namespace, &used.kind, &used.name))
            .or_default();
        *pods = (pods.0.max(used.pods), pods.1.max(used.ready_pods));
    }
    rows.into_iter()
        .map(|(row, workloads)| Deployment {
            pods: workloads.values().map(|pods| pods.0).sum(),
            ready_pods: workloads.values().map(|pods| pods.1).sum(),
            ..row
        })
        .collect()
}

fn container_type(container_type: ContainerType) -> &'static str {
    match container_type {
        ContainerType::Container => "Container",
        ContainerType::Init => "InitContainer",
        ContainerType::Ephemeral => "EphemeralContainer",
        ContainerType::ImageVolume => "ImageVolume",
    }
}

/// The deployments in numbers. A pod that uses the image in several containers is counted once: within a
/// workload the largest row counts for each digest and reference of a container.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    pub clusters: i64,
    pub namespaces: i64,
    pub workloads: i64,
    pub pods: i64,
    pub ready_pods: i64,
    pub digests: i64,
}

#[must_use]
pub fn numbers(matched: &[Matched<'_>]) -> Numbers {
    type Workload<'a> = (&'a ClusterName, &'a str, &'a str, &'a str);
    type Container<'a> = (&'a str, &'static str);
    let mut clusters = BTreeSet::new();
    let mut namespaces = BTreeSet::new();
    let mut digests = BTreeSet::new();
    let mut containers: BTreeMap<Workload<'_>, BTreeMap<Container<'_>, (i64, i64)>> = BTreeMap::new();
    for Matched { cluster, used, .. } in matched {
        clusters.insert(&cluster.name);
        namespaces.insert((&cluster.name, &used.namespace));
        if let Some(running) = &used.running {
            digests.insert(running.digest.to_string());
        }
        let pods = containers
            .entry((&cluster.name, &used.namespace, &used.kind, &used.name))
            .or_default()
            .entry((&used.container, container_type(used.container_type)))
            .or_default();
        pods.0 += used.pods;
        pods.1 += used.ready_pods;
    }
    let largest = |part: fn(&(i64, i64)) -> i64| {
        containers
            .values()
            .map(|containers| containers.values().map(part).max().unwrap_or(0))
            .sum()
    };
    Numbers {
        clusters: count(clusters.len()),
        namespaces: count(namespaces.len()),
        workloads: count(containers.len()),
        pods: largest(|pods| pods.0),
        ready_pods: largest(|pods| pods.1),
        digests: count(digests.len()),
    }
}

/// A length as the schema's integer.
pub(super) fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

//! What authorised clusters were last seen to run, and since when and until when each workload ran what.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::{
    cluster::{ContainerType, Lifecycle, WorkloadUse},
    image::{RepositoryName, RunningDigest, RunningForm},
};

/// The uses of some repositories in one cluster, as they were when it was last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastKnown {
    pub as_of: Timestamp,
    pub uses: Vec<WorkloadUse>,
}

/// Uses of one repository in one cluster; none where it is used no more.
pub type RepositoryUses = (RepositoryName, Vec<WorkloadUse>);

/// A container of a workload ran something from `used.since` until `until`; its numbers of pods say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageSpan {
    pub used: WorkloadUse,
    /// Absent while it runs, as far as the cluster was read.
    pub until: Option<Timestamp>,
}

/// A pause as short as this is no pause: pods are replaced, jobs run again.
pub(super) const PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// How long it is kept that something ran.
pub(super) const REMEMBERED: SignedDuration = SignedDuration::from_hours(400 * 24);

/// Most spans of one repository in one answer, the last to end first.
pub(super) const MOST_SPANS: i64 = 10_000;

/// Keeps what clusters were last seen to run. `cluster` is the uid of a `ClusterAuthorization`.
pub trait UsageStore: Send + Sync + 'static {
    /// Replaces what is kept of these repositories; all that is kept of the cluster is current as of then. What
    /// ran until now and is not among it ended then, what is new has begun.
    fn save_uses(
        &self,
        cluster: String,
        as_of: Timestamp,
        changed: Vec<RepositoryUses>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Forgets a cluster.
    fn forget_uses(&self, cluster: String) -> BoxFuture<'_, Result<(), StoreError>>;
    /// What is kept of these repositories; `None` where nothing was ever saved of the cluster.
    fn last_known(
        &self,
        cluster: String,
        repositories: Vec<RepositoryName>,
    ) -> BoxFuture<'_, Result<Option<LastKnown>, StoreError>>;
    /// What these clusters were seen to run of these repositories, within 400 days.
    fn usage_spans(
        &self,
        clusters: Vec<String>,
        repositories: Vec<RepositoryName>,
    ) -> BoxFuture<'_, Result<HashMap<String, Vec<UsageSpan>>, StoreError>>;
    /// Repositories of which something is kept.
    fn used_repositories(&self, cluster: String) -> BoxFuture<'_, Result<Vec<RepositoryName>, StoreError>>;
    /// Clusters of which something was saved.
    fn usage_clusters(&self) -> BoxFuture<'_, Result<Vec<String>, StoreError>>;
}

/// A use as it is written: short names, since there are many.
#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(rename = "ns")]
    namespace: String,
    #[serde(rename = "k")]
    kind: String,
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "c")]
    container: String,
    #[serde(rename = "t", with = "ContainerTypeRow")]
    container_type: ContainerType,
    #[serde(rename = "r")]
    reference: String,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// The digest is [`RunningForm::Bare`].
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    bare: bool,
    #[serde(rename = "l", with = "LifecycleRow")]
    lifecycle: Lifecycle,
    #[serde(rename = "p")]
    pods: i64,
    #[serde(rename = "rp")]
    ready_pods: i64,
    #[serde(rename = "s")]
    since: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ContainerType")]
enum ContainerTypeRow {
    Container,
    Init,
    Ephemeral,
    ImageVolume,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Lifecycle")]
enum LifecycleRow {
    Running,
    Template,
    Scheduled,
    Revision,
    Finished,
}

/// The uses as JSON text.
pub(super) fn encode(uses: &[WorkloadUse]) -> serde_json::Result<String> {
    serde_json::to_string(&uses.iter().map(row).collect::<Vec<_>>())
}

/// The uses in JSON text. One that this version cannot read is left out.
pub(super) fn decode(text: &str) -> serde_json::Result<Vec<WorkloadUse>> {
    let rows: Vec<Row> = serde_json::from_str(text)?;
    Ok(rows.into_iter().filter_map(read).collect())
}

fn row(used: &WorkloadUse) -> Row {
    let WorkloadUse {
        namespace,
        kind,
        name,
        container,
        container_type,
        reference,
        image: _,
        running,
        lifecycle,
        pods,
        ready_pods,
        since,
    } = used;
    Row {
        namespace: namespace.to_string(),
        kind: kind.to_string(),
        name: name.to_string(),
        container: container.to_string(),
        container_type: *container_type,
        reference: reference.to_string(),
        digest: running.as_ref().map(|running| running.digest.to_string()),
        bare: running
            .as_ref()
            .is_some_and(|running| running.form == RunningForm::Bare),
        lifecycle: *lifecycle,
        pods: *pods,
        ready_pods: *ready_pods,
        since: *since,
    }
}

fn read(row: Row) -> Option<WorkloadUse> {
    let Row {
        namespace,
        kind,
        name,
        container,
        container_type,
        reference,
        digest,
        bare,
        lifecycle,
        pods,
        ready_pods,
        since,
    } = row;
    let form = if bare {
        RunningForm::Bare
    } else {
        RunningForm::Repository
    };
    let running = digest.and_then(|digest| digest.parse().ok());
    Some(WorkloadUse {
        namespace: namespace.into(),
        kind: kind.into(),
        name: name.into(),
        container: container.into(),
        container_type,
        image: Arc::new(reference.parse().ok()?),
        reference: reference.into(),
        running: running.map(|digest| RunningDigest { digest, form }),
        lifecycle,
        pods,
        ready_pods,
        since,
    })
}

/// A span as it is kept: `what` is a use as JSON text, without numbers and times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpanRow {
    pub(super) what: String,
    pub(super) start: Timestamp,
    pub(super) end: Option<Timestamp>,
}

/// What becomes of a repository's spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SpanChange {
    Begin(SpanRow),
    /// The end is another, or there is none any more.
    SetEnd(SpanRow),
}

/// What follows from a repository's uses as of now. `kept`: those spans that have no end or ended no longer than
/// [`PAUSE`] ago.
pub(super) fn span_changes(
    kept: Vec<SpanRow>,
    uses: &[WorkloadUse],
    as_of: Timestamp,
) -> serde_json::Result<Vec<SpanChange>> {
    let mut running: BTreeMap<String, Timestamp> = BTreeMap::new();
    for used in uses.iter().filter(|used| used.lifecycle == Lifecycle::Running) {
        let since = running.entry(what_runs(used)?).or_insert(used.since);
        *since = used.since.min(*since);
    }
    let mut newest: BTreeMap<String, SpanRow> = BTreeMap::new();
    for span in kept {
        let is_newer = newest
            .get(&span.what)
            .is_none_or(|known| known.start < span.start);
        if is_newer {
            newest.insert(span.what.clone(), span);
        }
    }
    let mut changes = Vec::new();
    for (what, span) in &newest {
        let end = match (running.contains_key(what), span.end) {
            (true, Some(_)) => None,
            // Of two looks the later one may come first.
            (false, None) if span.start < as_of => Some(as_of),
            _ => continue,
        };
        changes.push(SpanChange::SetEnd(SpanRow { end, ..span.clone() }));
    }
    for (what, since) in running {
        if !newest.contains_key(&what) {
            // The pod may have started long before: then it ran while nobody looked.
            changes.push(SpanChange::Begin(SpanRow {
                what,
                start: since.min(as_of),
                end: None,
            }));
        }
    }
    Ok(changes)
}

fn what_runs(used: &WorkloadUse) -> serde_json::Result<String> {
    serde_json::to_string(&Row {
        pods: 0,
        ready_pods: 0,
        since: Timestamp::UNIX_EPOCH,
        ..row(used)
    })
}

pub(super) fn span_row(span: &UsageSpan) -> serde_json::Result<SpanRow> {
    Ok(SpanRow {
        what: what_runs(&span.used)?,
        start: span.used.since,
        end: span.until,
    })
}

/// The span of a row; nothing where this version cannot read it.
pub(super) fn span(SpanRow { what, start, end }: SpanRow) -> Option<UsageSpan> {
    let used = read(serde_json::from_str(&what).ok()?)?;
    Some(UsageSpan {
        used: WorkloadUse { since: start, ..used },
        until: end,
    })
}

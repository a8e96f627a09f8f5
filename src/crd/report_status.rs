use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Condition,
    schema::{date_time, optional_date_time},
};

/// The answer. Counts are exact; lists are cut, and truncated says by how much.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageUsageReportStatus {
    /// The generation of the spec this status is about; -1 before the operator has seen it.
    #[serde(default)]
    pub observed_generation: i64,
    /// Ready: the report was computed. `ClustersComplete`: every selected cluster was read in full.
    /// `EventsComplete`: no event of the window is known to be missing.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The image that was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<QueriedImage>,
    /// Whether the image is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The window of time whose events are listed and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<ReportWindow>,
    /// Everything in numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Where the image is used, most pods first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub deployments: Vec<Deployment>,
    /// What happened to the image in the registry, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub events: Vec<EventLine>,
    /// The repository's tags, when the report asks about a repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub tags: Vec<TagLine>,
    /// Which clusters and registries this answer rests on, and what is missing from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub coverage: Vec<Coverage>,
    /// How many entries the lists above had to leave out.
    #[serde(default, skip_serializing_if = "Truncated::is_empty")]
    pub truncated: Truncated,
}

/// The image that was asked about, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueriedImage {
    /// In full: registry/path:tag. Asked by another name of the registry, such as a mirror, it is the one of the
    /// registry's first endpoint without repositoryPrefix.
    pub reference: String,
    /// Registry host, in lower case, with its port.
    pub registry: String,
    /// The repository path less its last part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The last part of the repository path.
    pub repository: String,
    /// The tag, unless a digest was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The digest asked for, or the one the tag points at, as far as events have told; absent when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Whether the image is in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// `InUse`: a pod runs it. `ScaledToZero`: a workload names it and has no pods. `ScheduledOnly`: a `CronJob` names it.
    /// `RollbackOnly`: an old `ReplicaSet`, a finished Job or a finished pod names it. Unused: everything was read, nothing
    /// refers to it. Unknown: nothing was found, and something could not be read.
    pub value: String,
    /// Why, as words for programs.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub reasons: Vec<String>,
    /// Since when all that this rests on has been watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub observed_since: Option<Timestamp>,
}

/// A window of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportWindow {
    /// Beginning, part of the window.
    #[schemars(schema_with = "date_time")]
    pub start: Timestamp,
    /// End; absent while the window ends now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub end: Option<Timestamp>,
}

/// Everything in numbers. Events are those in the window that the filter lets through; a category that the
/// registry does not report is absent, never 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Clusters with at least one deployment.
    pub clusters: i64,
    /// Namespaces with at least one deployment, in all clusters.
    pub namespaces: i64,
    /// Workloads that use the image.
    pub workloads: i64,
    /// Pods that run or ran it and still exist.
    pub pods: i64,
    /// Those that are ready.
    pub ready_pods: i64,
    /// Distinct digests that run.
    pub digests: i64,
    /// Containers that run the same content under the name of another repository. They are in no other number.
    pub same_content_elsewhere: i64,
    /// Pushes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushes: Option<i64>,
    /// Pulls: each download of the manifest by a client is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulls: Option<i64>,
    /// Deletes of a tag, a manifest or the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<i64>,
    /// Times a client asked what the tag points at and pulled nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<i64>,
    /// Deletes by a digest that is not known to be an image's; it may have been a layer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unresolved_deletes: Option<i64>,
    /// Pulls by digest while several tags had it; not part of pulls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_pulls: Option<i64>,
    /// Pulls from public addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_pulls: Option<i64>,
    /// Distinct client addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_addresses: Option<i64>,
    /// Distinct public client addresses that are neither nodes nor gateways (egressCIDRs) of an authorised cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_addresses: Option<i64>,
    /// Events left out by the filter on network types because their client address is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_network_type: Option<i64>,
    /// Time of the last push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub last_push: Option<Timestamp>,
    /// Time of the last pull.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub last_pull: Option<Timestamp>,
    /// When a container last ran it, as far as the selected clusters were watched; absent while one runs it, and
    /// where none was seen to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub last_in_use: Option<Timestamp>,
    /// Time of the last delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub last_delete: Option<Timestamp>,
    /// Time of the last check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub last_check: Option<Timestamp>,
}

/// A `ClusterAuthorization`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// One container of one workload in one cluster that uses the image, with all its pods of one digest. Of a cluster
/// that allows this namespace Counts only, one row for all workloads: without namespace, kind, name and container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// The `ClusterAuthorization` of the cluster.
    pub cluster: ClusterName,
    /// Namespace of the workload in that cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Kind of the workload: the topmost owner of its pods, or Pod for a pod without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name of the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Name of the container, or of the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Container, `InitContainer`, `EphemeralContainer` or `ImageVolume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_type: Option<String>,
    /// The image as the pod's specification names it.
    pub reference: String,
    /// The digest that runs, as the container runtime reports it; absent where nothing runs or it reports none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How this is the image that was asked about. Exact: by the digest. `TagOnly`: by the same reference, while
    /// the digest is another one or cannot be compared.
    pub r#match: String,
    /// Running: pods exist that have not finished. Finished: all its pods have. `ScaledToZero`: the current template names
    /// it, no pod exists. Scheduled: a `CronJob` names it. Rollback: an old `ReplicaSet` or a finished Job names it.
    pub state: String,
    /// Pods.
    pub pods: i64,
    /// Pods that are ready.
    pub ready_pods: i64,
    /// Creation time of the oldest of these pods, or of the object that names the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub since: Option<Timestamp>,
    /// When the cluster was last read, where it cannot be reached now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub stale_since: Option<Timestamp>,
}

/// One thing that one client did to the image in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventLine {
    /// Push, Pull or Delete.
    pub category: String,
    /// What a delete removed: Tag, Manifest or Repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Named: the event names the tag or digest. Linked: it names a digest the tag had at that time, or the whole
    /// repository. Shared: other tags had that digest too.
    pub attribution: String,
    /// Public or Private; absent where the client's address is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_type: Option<String>,
    /// Address of the client.
    #[serde(default, rename = "clientIP", skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
    /// Address that the client may have made up: it came from a header nobody vouches for.
    #[serde(default, rename = "claimedClientIP", skip_serializing_if = "Option::is_none")]
    pub claimed_client_ip: Option<String>,
    /// Who the address belongs to, where that is known: a node of an authorised cluster, the
    /// gateway of one (its egressCIDRs), or a trusted proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// When it happened.
    #[schemars(schema_with = "date_time")]
    pub event_time: Timestamp,
    /// Event: the registry's own time. Received: the time it arrived, since its own is absent or in the future.
    pub time_source: String,
    /// The tag; of a delete that took several tags, the one asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The user, as the registry names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The client program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// How many messages of the registry make up this event.
    pub raw_count: i64,
    /// Id of the registry's message.
    pub id: String,
}

/// One tag of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagLine {
    /// The tag.
    pub tag: String,
    /// What it points at; absent when it was deleted or that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// As the report's verdict, for this tag.
    pub verdict: String,
    /// Pods that use this tag.
    pub pods: i64,
    /// Time of its last push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub last_push: Option<Timestamp>,
    /// Time of its last pull.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub last_pull: Option<Timestamp>,
    /// When a container last ran it, as far as the selected clusters were watched; absent while one runs it, and
    /// where none was seen to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub last_in_use: Option<Timestamp>,
    /// When it was deleted, if it was and has not come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub deleted: Option<Timestamp>,
}

/// One thing this answer rests on, or lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// The object: namespace/name, behind a registry's name also its source; or what is missing.
    pub source: String,
    /// Cluster, Registry or Hidden.
    pub kind: String,
    /// Synced, Syncing, Stale, Unreachable, Forbidden, Suspended, Withdrawn, `SameCluster`, `ScopeLimited` for clusters; Complete,
    /// Partial, `NotReported`, Unknown, `HostConflict`, `TagPointerUnknown`, `MirrorHidesClients` for registries.
    pub state: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub time: Option<Timestamp>,
    /// What it means, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The uid of the `ClusterAuthorization`, to name in the annotation imageusage.dev/accept-withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// How many entries the lists had to leave out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Truncated {
    /// Of deployments.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deployments: i64,
    /// Of events.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events: i64,
    /// Of tags.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tags: i64,
}

impl Truncated {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn is_zero(count: &i64) -> bool {
    *count == 0
}

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ImageUsageReportStatus, LabelSelector, schema::optional_date_time};

/// Asks where one image, or one repository with all its tags, runs, and who pushed, pulled or deleted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "imageusage.dev",
    version = "v1alpha1",
    kind = "ImageUsageReport",
    plural = "imageusagereports",
    shortname = "iur",
    category = "imageusage",
    namespaced,
    status = "ImageUsageReportStatus",
    derive = "PartialEq",
    doc = "Asks where one image, or one repository with all its tags, runs, and who pushed, pulled or deleted it. The answer is in status and stays current.",
    printcolumn(name = "Image", type_ = "string", json_path = ".status.image.reference"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".status.verdict.value"),
    printcolumn(name = "Pods", type_ = "integer", json_path = ".status.summary.pods"),
    printcolumn(name = "Clusters", type_ = "integer", json_path = ".status.summary.clusters"),
    printcolumn(name = "Pulls", type_ = "integer", json_path = ".status.summary.pulls"),
    printcolumn(name = "Public", type_ = "integer", json_path = ".status.summary.publicPulls"),
    printcolumn(name = "Last pull", type_ = "date", json_path = ".status.summary.lastPull"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Digest",
        type_ = "string",
        json_path = ".status.image.digest",
        priority = 1
    ),
    printcolumn(
        name = "Workloads",
        type_ = "integer",
        json_path = ".status.summary.workloads",
        priority = 1
    ),
    printcolumn(
        name = "Pushes",
        type_ = "integer",
        json_path = ".status.summary.pushes",
        priority = 1
    ),
    printcolumn(
        name = "Deletes",
        type_ = "integer",
        json_path = ".status.summary.deletes",
        priority = 1
    ),
    printcolumn(
        name = "Clusters complete",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"ClustersComplete\")].status",
        priority = 1
    ),
    printcolumn(
        name = "Events complete",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"EventsComplete\")].status",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.image) != has(self.repository)").message("set exactly one of image (with a tag or digest) and repository (all its tags)"))]
pub struct ImageUsageReportSpec {
    /// One image, with a tag or a digest: registry.example.com/team/app:v1. With both, the digest decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^.*(:[^/:@]+|@[^/@]+)$')").message("add a tag such as :latest, or use repository"))]
    #[x_kube(validation = Rule::new(IMAGE_GRAMMAR).message("not an image reference: write registry/path:tag or registry/path@sha256:…, the path in lower case"))]
    pub image: Option<String>,
    /// A repository, for all of its tags: registry.example.com/team/app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new(REPOSITORY_GRAMMAR).message("not a repository: write registry/path, in lower case, without tag or digest"))]
    pub repository: Option<String>,
    /// Which clusters are asked.
    #[serde(default)]
    pub clusters: ClusterSelection,
    /// Which events are listed and counted. Verdict and conditions rest on all events in the window.
    #[serde(default)]
    pub events: EventFilter,
}

// The grammar of distribution's reference package; the operator checks the rest (lengths, digests).
const REPOSITORY_GRAMMAR: &str = r"self.matches('^(([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\\[[a-fA-F0-9:]+\\])(:[0-9]+)?/)?[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*$')";
const IMAGE_GRAMMAR: &str = r"self.matches('^(([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\\[[a-fA-F0-9:]+\\])(:[0-9]+)?/)?[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?$')";

/// Which clusters are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSelection {
    /// Labels of `ClusterAuthorizations`; by default every cluster that allows this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Which events are listed and counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventFilter {
    /// Categories; by default all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub categories: Vec<EventCategory>,
    /// Network types; by default all. An event whose client address is not known has none and is left out when
    /// this is set; the summary counts those apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub network_types: Vec<NetworkType>,
    /// The window of time, 30 days at most; by default the last 30 days.
    #[serde(default)]
    pub time_range: TimeRange,
    /// How many events are listed, newest first; the summary counts all.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: i32,
}

fn fifty() -> i32 {
    50
}

impl Default for EventFilter {
    fn default() -> Self {
        Self {
            categories: Vec::new(),
            network_types: Vec::new(),
            time_range: TimeRange::default(),
            limit: fifty(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum EventCategory {
    Push,
    Pull,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NetworkType {
    Public,
    Private,
}

/// A window of time: either last, or start and end; 30 days at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.start) == has(self.end)").message("start and end go together"))]
#[x_kube(validation = Rule::new("!(has(self.last) && has(self.start))").message("set either last, or start and end"))]
#[x_kube(validation = Rule::new("!has(self.start) || !has(self.end) || self.start < self.end").message("start must be before end"))]
#[x_kube(validation = Rule::new("!has(self.start) || !has(self.end) || self.end - self.start <= duration('720h')").message("the window is 30 days at most"))]
pub struct TimeRange {
    /// The time up to now, as a number and m, h or d: 90m, 24h, 30d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 6), regex(pattern = r"^[1-9][0-9]{0,4}(m|h|d)$"))]
    #[x_kube(validation = Rule::new("!self.matches('^[1-9][0-9]{0,4}(m|h|d)$') || (self.endsWith('d') ? int(self.replace('d', '')) <= 30 : self.endsWith('h') ? int(self.replace('h', '')) <= 720 : int(self.replace('m', '')) <= 43200)").message("the window is 30 days at most"))]
    pub last: Option<String>,
    /// Beginning, part of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub start: Option<Timestamp>,
    /// End, no longer part of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub end: Option<Timestamp>,
}

impl Default for TimeRange {
    fn default() -> Self {
        Self {
            last: Some("30d".to_owned()),
            start: None,
            end: None,
        }
    }
}

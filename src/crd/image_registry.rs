use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Condition, EventSource, ReportNamespaces,
    schema::{date_time, optional_date_time},
};

/// Lets a registry report what happens to its images, and says how its clients' addresses are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "imageusage.dev",
    version = "v1alpha1",
    kind = "ImageRegistry",
    plural = "imageregistries",
    shortname = "ireg",
    category = "imageusage",
    namespaced,
    status = "ImageRegistryStatus",
    derive = "PartialEq",
    doc = "Lets a registry report what happens to its images, and says how its clients' addresses are to be read.",
    printcolumn(name = "Host", type_ = "string", json_path = ".spec.endpoints[0].host"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Receiving",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Receiving\")].status"
    ),
    printcolumn(
        name = "Events",
        type_ = "integer",
        json_path = ".status.sources[0].events.stored"
    ),
    printcolumn(
        name = "Last event",
        type_ = "date",
        json_path = ".status.sources[0].lastEventTime"
    ),
    printcolumn(
        name = "Path",
        type_ = "string",
        json_path = ".status.sources[0].path",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ImageRegistrySpec {
    /// Every name that pods and clients use for this registry; they are one registry. Reports show the first
    /// without repositoryPrefix.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["host", "repositoryPrefix"]))]
    pub endpoints: Vec<Endpoint>,
    /// Where the registry's events come from.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub sources: Vec<EventSource>,
    /// How client addresses are to be read.
    #[serde(default)]
    pub network: RegistryNetwork,
    /// How long an event is kept after the later of its own time and the time it was received, as a number
    /// and m, h or d. What a tag pointed at is kept as long as the registry.
    #[serde(default = "thirty_days")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,4}(m|h|d)$"))]
    pub retention: String,
    /// How much is kept of this registry; by default as much as comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<RegistryQuota>,
    /// How quickly this registry may deliver, through all of its sources; by default as quickly as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RegistryRateLimit>,
    /// Which reports these events answer; by default those of this namespace.
    #[serde(default = "same_namespace")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub allowed_reports: Vec<RegistryGrant>,
}

fn same_namespace() -> Vec<RegistryGrant> {
    vec![RegistryGrant::default()]
}

/// Reports that these events answer. Selector and All are honoured only in the namespaces that the operator's
/// configuration names as granting (by default its own).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryGrant {
    /// The namespaces whose reports are served.
    #[serde(default)]
    pub namespaces: ReportNamespaces,
    /// Full: the reports show addresses, actors and user agents. Network: instead of them only whether a client's
    /// network is public or private, and which cluster a client belongs to. None: nothing of clients; a filter on
    /// network types leaves out every event. Counts stay. Where several entries serve a report, the one that shows
    /// most wins.
    #[serde(default)]
    pub client_details: ClientDetails,
}

/// How much reports say of a registry's clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ClientDetails {
    None,
    Network,
    #[default]
    Full,
}

/// How much is kept of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryQuota {
    /// Most events, counted as the registry sent them: a pull is often two or three. When it is reached,
    /// further deliveries are refused until retention has removed older events or the quota is raised.
    #[schemars(range(min = 1000))]
    pub events: i64,
}

/// How quickly a registry may deliver. What comes beyond is refused with 429 before its body is read, and that is a gap:
/// not every registry sends again. A limit protects other registries from one that goes wild; set it well above what
/// the registry sends when it is busy, a delivery for each layer and manifest where it is distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryRateLimit {
    /// Most deliveries a second in the long run.
    #[schemars(range(min = 1, max = 10_000))]
    pub deliveries_per_second: i64,
    /// Most deliveries at once, after a quiet time; by default as many as in two seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub burst: Option<i64>,
}

fn thirty_days() -> String {
    "30d".to_owned()
}

/// A name of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Host as image references write it, with its port where they write one: registry.example.com,
    /// 10.0.0.5:5000. docker.io stands for every spelling of Docker Hub.
    #[schemars(
        length(min = 1, max = 255),
        regex(
            pattern = r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\[[a-f0-9:]+\])(:[0-9]{1,5})?$"
        )
    )]
    pub host: String,
    /// For a mirror of this registry, or a project of another that is a proxy of it: the beginning of the paths
    /// there that stands for this registry, such as dockerhub/ for a proxy project of Harbor. With it,
    /// harbor.local/dockerhub/library/nginx is this registry's library/nginx. The longest prefix that fits a
    /// path counts, whichever registry has it. Such a mirror hides who pulls through it.
    #[serde(default)]
    #[schemars(length(max = 255))]
    #[x_kube(validation = Rule::new("self.matches('^([a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*/)*$')").message("repositoryPrefix is the beginning of a path, in lower case, without a slash before and with one at its end: dockerhub/"))]
    pub repository_prefix: String,
}

/// How client addresses are to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryNetwork {
    /// Whether an address that the registry took from a header is believed. Trusted only where a proxy in front
    /// of the registry overwrites X-Forwarded-For and X-Real-Ip: any client can send them. Untrusted addresses
    /// are shown as claimed.
    #[serde(default)]
    pub forwarded_address: ForwardedAddress,
    /// Proxies and load balancers in front of the registry. Their own address says nothing about the client.
    #[serde(default)]
    #[schemars(length(max = 256), inner(length(max = 43)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(c, isCIDR(c))").message("each entry is an address range such as 10.0.0.0/8"))]
    pub trusted_proxies: Vec<String>,
    /// Ranges whose clients count as private; by default RFC 1918, RFC 6598, loopback, link-local and unique
    /// local addresses.
    #[serde(default, rename = "privateCIDRs")]
    #[schemars(length(max = 256), inner(length(max = 43)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(c, isCIDR(c))").message("each entry is an address range such as 10.0.0.0/8"))]
    pub private_cidrs: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ForwardedAddress {
    #[default]
    Untrusted,
    Trusted,
}

/// What the operator found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageRegistryStatus {
    /// The generation of the spec this status is about; -1 before the operator has seen it.
    #[serde(default)]
    pub observed_generation: i64,
    /// Ready: accepted, the webhook listens. Receiving: events have arrived; Unknown until the first one, False
    /// while deliveries are refused or a log that is polled cannot be read. `WeakAuthentication`: a source has its
    /// secret in its path.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What is known of each source.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub sources: Vec<SourceStatus>,
}

/// What is known of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Name of the source.
    pub name: String,
    /// Path of its webhook on the operator's webhook Service; absent where the source is polled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How complete the events of each category are.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub coverage: Vec<CategoryCoverage>,
    /// How many events came.
    pub events: EventCounts,
    /// Time of the newest event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub last_event_time: Option<Timestamp>,
}

/// How complete the events of one category are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CategoryCoverage {
    /// Push, Pull or Delete.
    pub category: String,
    /// Complete: no loss known since the first delivery. Partial: some may be lost. `NotReported`: this source
    /// does not report them. Unknown: none has been
    /// received yet, and whether it reports them is not known.
    pub state: String,
    /// Since when events have been received; of a log that is polled and always has them, from where it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date_time")]
    pub since: Option<Timestamp>,
    /// Stretches of time whose events may be lost, newest first, 10 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub gaps: Vec<CoverageGap>,
}

/// A stretch of time whose events may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoverageGap {
    /// Why, for example `NewInstance`: the registry was restarted, and its queue of events is in memory; or
    /// `ReceiverDown`: no operator was there, for longer than the registry sends an event again.
    pub reason: String,
    /// Its beginning.
    #[schemars(schema_with = "date_time")]
    pub start: Timestamp,
    /// Its end.
    #[schemars(schema_with = "date_time")]
    pub end: Timestamp,
}

/// How many events a source sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventCounts {
    /// Kept.
    pub stored: i64,
    /// Received again.
    pub duplicates: i64,
    /// Not about an image: layers, mounts and the like.
    pub ignored: i64,
    /// Requests refused since the operator started: wrong token, too large.
    pub rejected: i64,
    /// Bodies that could not be read and were put aside.
    pub quarantined: i64,
}

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, ReportNamespaces};

/// Lets the operator read one cluster's workloads, and says whose reports may use what it reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "imageusage.dev",
    version = "v1alpha1",
    kind = "ClusterAuthorization",
    plural = "clusterauthorizations",
    shortname = "cauth",
    category = "imageusage",
    namespaced,
    status = "ClusterAuthorizationStatus",
    derive = "PartialEq",
    doc = "Lets the operator read one cluster's workloads, and says whose reports may use what it reads.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.cluster.version"),
    printcolumn(name = "Pods", type_ = "integer", json_path = ".status.usage.pods"),
    printcolumn(name = "Images", type_ = "integer", json_path = ".status.usage.images"),
    printcolumn(
        name = "Nodes",
        type_ = "integer",
        json_path = ".status.usage.nodes",
        priority = 1
    ),
    printcolumn(
        name = "Workloads",
        type_ = "integer",
        json_path = ".status.usage.workloads",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAuthorizationSpec {
    /// The cluster, in exactly one way.
    pub cluster: Cluster,
    /// What of the cluster reports may see; by default every namespace.
    #[serde(default)]
    pub scope: Scope,
    /// Public addresses that this cluster's pulls come from, where a gateway translates them (203.0.113.0/24). Clients
    /// from there are known. At most a /16 of IPv4 or a /32 of IPv6 each. Its nodes' own addresses need not be listed.
    #[serde(default, rename = "egressCIDRs")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 49)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(range, isCIDR(range))").message("each entry is a range of addresses such as 203.0.113.0/24 or 2001:db8::/32"))]
    pub egress_cidrs: Vec<String>,
    /// Which reports this cluster answers; by default those of this namespace.
    #[serde(default = "same_namespace")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub allowed_reports: Vec<ClusterGrant>,
    /// Stop reading the cluster. Its deployments leave every report within seconds, and the reports say so.
    #[serde(default)]
    pub suspend: bool,
}

fn same_namespace() -> Vec<ClusterGrant> {
    vec![ClusterGrant::default()]
}

/// Reports that this cluster serves, and how much of it they show. Selector and All are honoured only in the
/// namespaces that the operator's configuration names as granting (by default its own).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterGrant {
    /// The namespaces whose reports are served.
    #[serde(default)]
    pub namespaces: ReportNamespaces,
    /// Names: the reports name the workloads. Counts: they show how many pods use the image, and name neither
    /// workloads nor their namespaces. Where several entries serve a report, Names wins.
    #[serde(default)]
    pub workloads: WorkloadDetail,
}

/// How much reports say of a cluster's workloads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadDetail {
    Counts,
    #[default]
    Names,
}

/// How the cluster is reached: exactly one of inCluster and kubeconfigSecretRef.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.inCluster) != has(self.kubeconfigSecretRef)").message("set exactly one of inCluster and kubeconfigSecretRef"))]
pub struct Cluster {
    /// The cluster the operator runs in, read with the operator's own service account. Only in the
    /// operator's own namespace and those that its configuration names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_cluster: Option<InCluster>,
    /// A Secret of this namespace with a kubeconfig: one cluster, one user with an inline token or client
    /// certificate, one context, https. Commands (exec), file paths and proxies are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig_secret_ref: Option<KubeconfigSecretRef>,
}

/// The cluster the operator runs in. It has no settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InCluster {}

/// A key of a Secret in the same namespace that holds a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubeconfigSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key that holds the kubeconfig; Cluster API writes value.
    #[serde(default = "kubeconfig_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn kubeconfig_key() -> String {
    "kubeconfig".to_owned()
}

/// What of the cluster reports may see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// Namespaces of the cluster, by name.
    #[serde(default)]
    pub namespaces: NamePatterns,
}

/// Names: those that an include pattern matches and no exclude pattern does. A pattern is a name in
/// which * stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamePatterns {
    /// Patterns to include; by default all.
    #[serde(default = "every_name")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "atomic"))]
    pub include: Vec<String>,
    /// Patterns to leave out of those.
    #[serde(default)]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "atomic"))]
    pub exclude: Vec<String>,
}

fn every_name() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Default for NamePatterns {
    fn default() -> Self {
        Self {
            include: every_name(),
            exclude: Vec::new(),
        }
    }
}

/// What the operator found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAuthorizationStatus {
    /// The generation of the spec this status is about; -1 before the operator has seen it.
    #[serde(default)]
    pub observed_generation: i64,
    /// Ready: connected and synced, or suspended on purpose. Reachable: the API server answers. Authorized:
    /// the credentials may read all that is needed. Synced: everything has been read.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The cluster that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ConnectedCluster>,
    /// What the credentials may read.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub permissions: Vec<Permission>,
    /// How much was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageCounts>,
}

/// Which cluster answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectedCluster {
    /// The uid of its kube-system namespace, which stands for the cluster's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The version its API server states.
    pub version: String,
}

/// Whether the credentials may read one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// The resource, with its group: pods, deployments.apps.
    pub resource: String,
    /// The verbs that are needed.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub verbs: Vec<String>,
    /// Whether all of them are allowed.
    pub allowed: bool,
    /// Whether the operator can do without, with a gap in coverage or identity.
    pub optional: bool,
}

/// How much of the cluster is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageCounts {
    /// Nodes.
    pub nodes: i64,
    /// Namespaces with at least one workload.
    pub namespaces: i64,
    /// Objects with a pod template.
    pub workloads: i64,
    /// Pods.
    pub pods: i64,
    /// Containers of those pods, of every type.
    pub containers: i64,
    /// Distinct image references.
    pub images: i64,
}

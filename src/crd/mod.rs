//! The three kinds and their schema: types only. What they mean is decided elsewhere.
//!
//! Conventions: conditions instead of a phase, no unsigned integers, a bound on every
//! string and list of a spec, a description on every field (`kubectl explain` is the manual).

// Each printer column repeats the names of its parts.
#![allow(clippy::duplicated_attributes)]

mod cluster_authorization;
mod common;
mod condition;
mod duration;
mod event_source;
mod files;
mod image_registry;
mod image_usage_report;
mod poll;
mod report_status;
mod schema;
mod signed_source;

pub use cluster_authorization::{
    Cluster, ClusterAuthorization, ClusterAuthorizationSpec, ClusterAuthorizationStatus, ClusterGrant,
    ConnectedCluster, InCluster, KubeconfigSecretRef, NamePatterns, Permission, Scope, UsageCounts,
    WorkloadDetail,
};
pub use common::{
    LabelSelector, LabelSelectorOperator, LabelSelectorRequirement, NamespacesFrom, ReportNamespaces,
};
pub use condition::{Condition, ConditionStatus, Conditions, condition_type};
pub use duration::parse_duration;
pub use event_source::{
    BasicAuthentication, ClientCertificateAuthentication, EventSource, HeaderAuthentication, HmacAlgorithm,
    HmacAuthentication, SecretAuthentication, SourceFormat, Webhook, WebhookAuthentication,
    WebhookAuthenticationType, WebhookSecretRef,
};
pub use files::{files, write};
pub use image_registry::{
    CategoryCoverage, ClientDetails, CoverageGap, Endpoint, EventCounts, ForwardedAddress, ImageRegistry,
    ImageRegistrySpec, ImageRegistryStatus, RegistryGrant, RegistryNetwork, RegistryQuota, RegistryRateLimit,
    SourceStatus,
};
pub use image_usage_report::{
    ClusterSelection, EventCategory, EventFilter, ImageUsageReport, ImageUsageReportSpec, NetworkType,
    TimeRange,
};
pub use poll::{Poll, PollAuthentication, PollAuthenticationType, PollBasic, PollBearer, PollSecretRef};
pub use report_status::{
    ClusterName, Coverage, Deployment, EventLine, ImageUsageReportStatus, QueriedImage, ReportWindow,
    Summary, TagLine, Truncated, Verdict,
};
pub use schema::definitions;
pub use signed_source::{
    NotificationTopicAuthentication, RequiredClaim, SignedTokenAuthentication, TokenKeys, TopicCertificate,
    TopicCertificateOrigin, WebhookKeyRef,
};

/// Group of the three kinds.
pub const GROUP: &str = "imageusage.dev";
/// On a report: comma-separated uids of withdrawn clusters that no longer matter to it.
pub const ACCEPT_WITHDRAWN: &str = "imageusage.dev/accept-withdrawn";
/// On a cluster authorisation: the uid of the cluster that may answer from now on instead of the one before.
pub const CONFIRM_CLUSTER: &str = "imageusage.dev/confirm-cluster";

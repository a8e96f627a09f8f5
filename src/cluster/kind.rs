/// The kinds of objects that are read from a cluster: pods, what holds a pod
/// template, and nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Pod,
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    Job,
    CronJob,
    Node,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Pod,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::Job,
        Self::CronJob,
        Self::Node,
    ];

    /// As an object's `kind` says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::Node => "Node",
        }
    }

    /// API group, as access reviews and roles name it; empty for the core group.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::Pod | Self::Node => "",
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::ReplicaSet => "apps",
            Self::Job | Self::CronJob => "batch",
        }
    }

    /// Resource name, as access reviews and roles name it.
    #[must_use]
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::ReplicaSet => "replicasets",
            Self::Job => "jobs",
            Self::CronJob => "cronjobs",
            Self::Node => "nodes",
        }
    }

    /// Path of the collection in all namespaces.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Pod => "/api/v1/pods",
            Self::Deployment => "/apis/apps/v1/deployments",
            Self::StatefulSet => "/apis/apps/v1/statefulsets",
            Self::DaemonSet => "/apis/apps/v1/daemonsets",
            Self::ReplicaSet => "/apis/apps/v1/replicasets",
            Self::Job => "/apis/batch/v1/jobs",
            Self::CronJob => "/apis/batch/v1/cronjobs",
            Self::Node => "/api/v1/nodes",
        }
    }
}

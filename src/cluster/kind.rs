use std::str::FromStr;

use thiserror::Error;

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
    Custom(&'static CustomKind),
}

/// A kind of custom objects with a pod template in them, which the configuration names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomKind {
    pub group: String,
    pub version: String,
    pub kind: String,
    /// Plural name, as in URLs.
    pub resource: String,
    /// Fields that lead to the template, which itself has `spec.containers`; none where the
    /// object itself is one.
    pub template: Vec<String>,
    path: String,
}

/// A text names no custom kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} names no kind with a pod template: write KIND=RESOURCE.VERSION.GROUP:PATH, for example Rollout=rollouts.v1alpha1.argoproj.io:spec.template"
)]
pub struct InvalidCustomKind(String);

/// As `Rollout=rollouts.v1alpha1.argoproj.io:spec.template`; nothing behind the colon where
/// the object itself is the template.
impl FromStr for CustomKind {
    type Err = InvalidCustomKind;

    fn from_str(text: &str) -> Result<Self, InvalidCustomKind> {
        let read = || {
            let (kind, rest) = text.split_once('=')?;
            let (name, template) = rest.split_once(':')?;
            let (resource, rest) = name.split_once('.')?;
            let (version, group) = rest.split_once('.')?;
            let is_name = |text: &str| {
                let byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
                !text.is_empty() && text.len() <= 253 && text.bytes().all(byte)
            };
            let template: Vec<String> = match template {
                "" => Vec::new(),
                path => path.split('.').map(str::to_owned).collect(),
            };
            let is_path = template.iter().all(|field| !field.is_empty());
            let are_names = [kind, resource, version, group].into_iter().all(is_name);
            (are_names && is_path).then(|| Self {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: kind.to_owned(),
                resource: resource.to_owned(),
                template,
                path: format!("/apis/{group}/{version}/{resource}"),
            })
        };
        read().ok_or_else(|| InvalidCustomKind(text.to_owned()))
    }
}

impl Kind {
    /// Those that every cluster has.
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
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::Node => "Node",
            Self::Custom(custom) => &custom.kind,
        }
    }

    /// API group, as access reviews and roles name it; empty for the core group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Pod | Self::Node => "",
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::ReplicaSet => "apps",
            Self::Job | Self::CronJob => "batch",
            Self::Custom(custom) => &custom.group,
        }
    }

    /// Resource name, as access reviews and roles name it.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::ReplicaSet => "replicasets",
            Self::Job => "jobs",
            Self::CronJob => "cronjobs",
            Self::Node => "nodes",
            Self::Custom(custom) => &custom.resource,
        }
    }

    /// Path of the collection in all namespaces.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Pod => "/api/v1/pods",
            Self::Deployment => "/apis/apps/v1/deployments",
            Self::StatefulSet => "/apis/apps/v1/statefulsets",
            Self::DaemonSet => "/apis/apps/v1/daemonsets",
            Self::ReplicaSet => "/apis/apps/v1/replicasets",
            Self::Job => "/apis/batch/v1/jobs",
            Self::CronJob => "/apis/batch/v1/cronjobs",
            Self::Node => "/api/v1/nodes",
            Self::Custom(custom) => &custom.path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_kind_is_named_by_text() {
        let rollout: CustomKind = "Rollout=rollouts.v1alpha1.argoproj.io:spec.template"
            .parse()
            .unwrap();
        assert_eq!(rollout.path, "/apis/argoproj.io/v1alpha1/rollouts");
        assert_eq!(rollout.template, ["spec", "template"]);
        let revision: CustomKind = "Revision=revisions.v1.serving.knative.dev:".parse().unwrap();
        assert!(revision.template.is_empty());
        for text in [
            "",
            "Rollout",
            "Rollout=rollouts.v1alpha1:spec",
            "Rollout=rollouts.v1alpha1.argoproj.io",
            "=rollouts.v1alpha1.argoproj.io:spec.template",
            "Rollout=rollouts.v1alpha1.argoproj.io:spec..template",
            "Rollout=../../api.v1.argoproj.io:spec.template",
            "Rollout=roll?outs.v1alpha1.argoproj.io:spec.template",
        ] {
            assert!(text.parse::<CustomKind>().is_err(), "{text}");
        }
    }
}

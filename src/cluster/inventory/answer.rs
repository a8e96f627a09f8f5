use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    cluster::model::ContainerType,
    image::{Reference, RunningDigest},
};

/// One way in which one workload uses one image: the pods, or the template, that
/// agree in all but the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadUse {
    pub namespace: Arc<str>,
    /// Of the topmost owner, for example `Deployment`; `Pod` for bare and static pods.
    pub kind: Arc<str>,
    pub name: Arc<str>,
    /// Name of the container, or of the image volume.
    pub container: Arc<str>,
    pub container_type: ContainerType,
    /// As written in the spec.
    pub reference: Arc<str>,
    /// The same, read.
    pub image: Arc<Reference>,
    /// What the container status says; `None` for templates, and until a node reports it.
    pub running: Option<RunningDigest>,
    pub lifecycle: Lifecycle,
    /// Pods in this row; 0 for templates.
    pub pods: i64,
    /// Those of them whose `Ready` condition is true and that are not being deleted
    /// (as the `ReplicaSet` controller counts).
    pub ready_pods: i64,
    /// Creation time of the oldest of the pods, or of the object that holds the template.
    pub since: Timestamp,
}

/// Why an object refers to an image, from the strongest use to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lifecycle {
    /// Pods that are neither `Succeeded` nor `Failed`.
    Running,
    /// The current template of a workload, with or without pods.
    Template,
    /// The template of a `CronJob`.
    Scheduled,
    /// The template of a `ReplicaSet` that something else controls, or of a finished Job.
    Revision,
    /// Pods that are `Succeeded` or `Failed`.
    Finished,
}

/// What was read of a cluster, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub nodes: i64,
    /// Namespaces with pods or templates.
    pub namespaces: i64,
    /// Topmost owners of pods and templates.
    pub workloads: i64,
    /// Finished ones too.
    pub pods: i64,
    /// Containers of those pods: regular, init and ephemeral.
    pub containers: i64,
    /// Distinct texts that name an image in pods and templates.
    pub images: i64,
}

//! Messages as `generated.proto` has them, a few of the fields that nothing reads too.

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct WatchEvent {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) event_type: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::cluster::wire) object: Option<RawExtension>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct RawExtension {
    #[prost(bytes = "vec", tag = "1")]
    pub(in crate::cluster::wire) raw: Vec<u8>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct TypeMeta {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) api_version: String,
    #[prost(string, tag = "2")]
    pub(in crate::cluster::wire) kind: String,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Unknown {
    #[prost(message, optional, tag = "1")]
    pub(in crate::cluster::wire) type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    pub(in crate::cluster::wire) raw: Vec<u8>,
    #[prost(string, optional, tag = "3")]
    pub(in crate::cluster::wire) content_encoding: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(in crate::cluster::wire) content_type: Option<String>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Time {
    #[prost(int64, tag = "1")]
    pub(in crate::cluster::wire) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(in crate::cluster::wire) nanos: i32,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct OwnerReference {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) kind: String,
    #[prost(string, tag = "3")]
    pub(in crate::cluster::wire) name: String,
    #[prost(string, tag = "4")]
    pub(in crate::cluster::wire) uid: String,
    #[prost(string, tag = "5")]
    pub(in crate::cluster::wire) api_version: String,
    #[prost(bool, optional, tag = "6")]
    pub(in crate::cluster::wire) controller: Option<bool>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct ObjectMeta {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) name: String,
    #[prost(string, tag = "2")]
    pub(in crate::cluster::wire) generate_name: String,
    #[prost(string, tag = "3")]
    pub(in crate::cluster::wire) namespace: String,
    #[prost(string, tag = "5")]
    pub(in crate::cluster::wire) uid: String,
    #[prost(string, tag = "6")]
    pub(in crate::cluster::wire) resource_version: String,
    #[prost(int64, tag = "7")]
    pub(in crate::cluster::wire) generation: i64,
    #[prost(message, optional, tag = "8")]
    pub(in crate::cluster::wire) creation_timestamp: Option<Time>,
    #[prost(message, optional, tag = "9")]
    pub(in crate::cluster::wire) deletion_timestamp: Option<Time>,
    #[prost(map = "string, string", tag = "12")]
    pub(in crate::cluster::wire) annotations: std::collections::HashMap<String, String>,
    #[prost(message, repeated, tag = "13")]
    pub(in crate::cluster::wire) owner_references: Vec<OwnerReference>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Container {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) name: String,
    #[prost(string, tag = "2")]
    pub(in crate::cluster::wire) image: String,
    #[prost(string, repeated, tag = "3")]
    pub(in crate::cluster::wire) command: Vec<String>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct EphemeralContainer {
    #[prost(message, optional, tag = "1")]
    pub(in crate::cluster::wire) common: Option<Container>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct ImageVolumeSource {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) reference: String,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct VolumeSource {
    #[prost(message, optional, tag = "30")]
    pub(in crate::cluster::wire) image: Option<ImageVolumeSource>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Volume {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::cluster::wire) source: Option<VolumeSource>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct PodSpec {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::cluster::wire) volumes: Vec<Volume>,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::cluster::wire) containers: Vec<Container>,
    #[prost(string, tag = "10")]
    pub(in crate::cluster::wire) node_name: String,
    #[prost(message, repeated, tag = "20")]
    pub(in crate::cluster::wire) init_containers: Vec<Container>,
    #[prost(message, repeated, tag = "34")]
    pub(in crate::cluster::wire) ephemeral_containers: Vec<EphemeralContainer>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Condition {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) condition_type: String,
    #[prost(string, tag = "2")]
    pub(in crate::cluster::wire) status: String,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct VolumeMountStatus {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) name: String,
    #[prost(message, optional, tag = "5")]
    pub(in crate::cluster::wire) volume_status: Option<VolumeStatus>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct VolumeStatus {
    #[prost(message, optional, tag = "1")]
    pub(in crate::cluster::wire) image: Option<ImageVolumeStatus>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct ImageVolumeStatus {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) image_ref: String,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct ContainerStatus {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) name: String,
    #[prost(string, tag = "6")]
    pub(in crate::cluster::wire) image: String,
    #[prost(string, tag = "7")]
    pub(in crate::cluster::wire) image_id: String,
    #[prost(string, tag = "8")]
    pub(in crate::cluster::wire) container_id: String,
    #[prost(message, repeated, tag = "12")]
    pub(in crate::cluster::wire) volume_mounts: Vec<VolumeMountStatus>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct PodStatus {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) phase: String,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::cluster::wire) conditions: Vec<Condition>,
    #[prost(message, repeated, tag = "8")]
    pub(in crate::cluster::wire) container_statuses: Vec<ContainerStatus>,
    #[prost(message, repeated, tag = "10")]
    pub(in crate::cluster::wire) init_container_statuses: Vec<ContainerStatus>,
    #[prost(message, repeated, tag = "13")]
    pub(in crate::cluster::wire) ephemeral_container_statuses: Vec<ContainerStatus>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Pod {
    #[prost(message, optional, tag = "1")]
    pub(in crate::cluster::wire) metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::cluster::wire) spec: Option<PodSpec>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::cluster::wire) status: Option<PodStatus>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Template {
    #[prost(message, optional, tag = "1")]
    pub(in crate::cluster::wire) metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::cluster::wire) spec: Option<PodSpec>,
}
/// Of Deployment, `StatefulSet` and `ReplicaSet` 3, of `DaemonSet` 2, of Job 6.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Spec {
    #[prost(message, optional, tag = "2")]
    pub(in crate::cluster::wire) second: Option<Template>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::cluster::wire) third: Option<Template>,
    #[prost(message, optional, tag = "5")]
    pub(in crate::cluster::wire) job_template: Option<JobTemplate>,
    #[prost(message, optional, tag = "6")]
    pub(in crate::cluster::wire) sixth: Option<Template>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct JobTemplate {
    #[prost(message, optional, tag = "2")]
    pub(in crate::cluster::wire) spec: Option<JobSpec>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct JobSpec {
    #[prost(message, optional, tag = "6")]
    pub(in crate::cluster::wire) template: Option<Template>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Conditions {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::cluster::wire) conditions: Vec<Condition>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Workload {
    #[prost(message, optional, tag = "1")]
    pub(in crate::cluster::wire) metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::cluster::wire) spec: Option<Spec>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::cluster::wire) status: Option<Conditions>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct ListMeta {
    #[prost(string, tag = "2")]
    pub(in crate::cluster::wire) resource_version: String,
    #[prost(string, tag = "3")]
    pub(in crate::cluster::wire) next: String,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct PodList {
    #[prost(message, optional, tag = "1")]
    pub(in crate::cluster::wire) metadata: Option<ListMeta>,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::cluster::wire) items: Vec<Pod>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct StatusDetails {
    #[prost(int32, tag = "5")]
    pub(in crate::cluster::wire) retry_after_seconds: i32,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Status {
    #[prost(string, tag = "3")]
    pub(in crate::cluster::wire) message: String,
    #[prost(message, optional, tag = "5")]
    pub(in crate::cluster::wire) details: Option<StatusDetails>,
    #[prost(int32, tag = "6")]
    pub(in crate::cluster::wire) code: i32,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Address {
    #[prost(string, tag = "1")]
    pub(in crate::cluster::wire) address_type: String,
    #[prost(string, tag = "2")]
    pub(in crate::cluster::wire) address: String,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct NodeStatus {
    #[prost(message, repeated, tag = "5")]
    pub(in crate::cluster::wire) addresses: Vec<Address>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::cluster::wire) struct Node {
    #[prost(message, optional, tag = "1")]
    pub(in crate::cluster::wire) metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::cluster::wire) status: Option<NodeStatus>,
}

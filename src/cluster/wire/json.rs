//! The same objects as JSON: the fallback where a server, or a proxy before it, does
//! not speak protobuf. Absent and `null` are the same.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned, de::IgnoredAny};
use serde_json::from_slice;

use super::{
    Event, Failure, INITIAL_EVENTS_END, Malformed, PageEnd, is_finished_condition, is_finished_phase,
};
use crate::cluster::{
    Kind,
    model::{self, ContainerType, Object},
};

/// Reads the line twice, the first time for the event's type alone: a bookmark's
/// object and an error's are not what the kind promises.
pub(super) fn event(kind: Kind, line: &[u8]) -> Result<Event<'_>, Malformed> {
    let event = match &*parse::<Typed>(line)?.event_type {
        "ADDED" | "MODIFIED" => Event::Applied(match kind {
            Kind::Pod => Object::Pod(parse::<Body<Pod>>(line)?.object.into_model()),
            Kind::Node => Object::Node(parse::<Body<Node>>(line)?.object.into_model()),
            kind => Object::Workload(parse::<Body<Workload>>(line)?.object.into_model(kind)),
        }),
        "DELETED" => Event::Deleted(parse::<Body<Bare>>(line)?.object.metadata.into_model()),
        "BOOKMARK" => {
            let Bookmark {
                resource_version,
                annotations,
            } = parse::<Body<Marked>>(line)?.object.metadata;
            Event::Bookmark {
                resource_version,
                initial_end: annotations
                    .unwrap_or_default()
                    .get(INITIAL_EVENTS_END)
                    .is_some_and(|value| value == "true"),
            }
        }
        "ERROR" => Event::Failed(parse_owned::<Body<Status>>(line)?.object.into_failure()),
        _ => Event::Unknown,
    };
    Ok(event)
}

pub(super) fn page<'a>(
    kind: Kind,
    body: &'a [u8],
    each: &mut dyn FnMut(Object<'a>),
) -> Result<PageEnd, Malformed> {
    fn items<'a, T: Deserialize<'a>>(body: &'a [u8], mut each: impl FnMut(T)) -> Result<ListMeta, Malformed> {
        let list: List<T> = parse(body)?;
        list.items.unwrap_or_default().into_iter().for_each(&mut each);
        Ok(list.metadata)
    }
    let metadata = match kind {
        Kind::Pod => items(body, |pod: Pod| each(Object::Pod(pod.into_model()))),
        Kind::Node => items(body, |node: Node| each(Object::Node(node.into_model()))),
        kind => items(body, |workload: Workload| {
            each(Object::Workload(workload.into_model(kind)));
        }),
    }?;
    Ok(PageEnd {
        resource_version: metadata.resource_version,
        next: metadata.next.filter(|token| !token.is_empty()),
    })
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Malformed> {
    from_slice(text).map_err(|_| Malformed)
}

fn parse_owned<T: DeserializeOwned>(text: &[u8]) -> Result<T, Malformed> {
    parse(text)
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Body<T> {
    object: T,
}

#[derive(Deserialize)]
struct List<T> {
    metadata: ListMeta,
    items: Option<Vec<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    code: Option<u16>,
    details: Option<StatusDetails>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusDetails {
    retry_after_seconds: Option<u64>,
}

impl Status {
    fn into_failure(self) -> Failure {
        Failure {
            code: self.code.unwrap_or(0),
            retry_after: self
                .details
                .and_then(|details| details.retry_after_seconds)
                .filter(|&seconds| seconds > 0)
                .map(Duration::from_secs),
        }
    }
}

#[derive(Deserialize)]
struct Marked<'a> {
    #[serde(borrow)]
    metadata: Bookmark<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bookmark<'a> {
    #[serde(borrow)]
    resource_version: Cow<'a, str>,
    annotations: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
struct Bare<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
    #[serde(default)]
    creation_timestamp: Option<&'a str>,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(borrow, default)]
    owner_references: Option<Vec<OwnerReference<'a>>>,
}

#[derive(Deserialize)]
struct OwnerReference<'a> {
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    controller: Option<bool>,
}

impl<'a> Meta<'a> {
    fn into_model(self) -> model::Meta<'a> {
        let controller = self
            .owner_references
            .unwrap_or_default()
            .into_iter()
            .find(|owner| owner.controller == Some(true));
        model::Meta {
            uid: self.uid,
            name: self.name,
            namespace: self.namespace,
            resource_version: self.resource_version,
            created: self
                .creation_timestamp
                .and_then(|time| time.parse::<Timestamp>().ok())
                .map_or(0, Timestamp::as_second),
            deleting: self.deletion_timestamp.is_some(),
            controller: controller.map(|owner| model::Controller {
                uid: owner.uid,
                kind: owner.kind,
                name: owner.name,
            }),
        }
    }
}

#[derive(Deserialize)]
struct Pod<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow, default)]
    spec: Option<PodSpec<'a>>,
    #[serde(borrow, default)]
    status: Option<PodStatus<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct PodSpec<'a> {
    #[serde(borrow, default)]
    containers: Option<Vec<Container<'a>>>,
    #[serde(borrow, default)]
    init_containers: Option<Vec<Container<'a>>>,
    #[serde(borrow, default)]
    ephemeral_containers: Option<Vec<Container<'a>>>,
    #[serde(borrow, default)]
    volumes: Option<Vec<Volume<'a>>>,
}

#[derive(Deserialize)]
struct Container<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    image: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Volume<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    image: Option<ImageVolume<'a>>,
}

#[derive(Deserialize)]
struct ImageVolume<'a> {
    #[serde(borrow, default)]
    reference: Cow<'a, str>,
}

impl<'a> PodSpec<'a> {
    fn into_model(self) -> Vec<model::Container<'a>> {
        let lists = [
            (ContainerType::Container, self.containers),
            (ContainerType::Init, self.init_containers),
            (ContainerType::Ephemeral, self.ephemeral_containers),
        ];
        let containers = lists.into_iter().flat_map(|(kind, list)| {
            list.unwrap_or_default()
                .into_iter()
                .map(move |Container { name, image }| model::Container { kind, name, image })
        });
        let volumes = self.volumes.unwrap_or_default().into_iter().filter_map(|volume| {
            Some(model::Container {
                kind: ContainerType::ImageVolume,
                name: volume.name,
                image: volume.image?.reference,
            })
        });
        containers
            .chain(volumes.filter(|volume| !volume.image.is_empty()))
            .collect()
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct PodStatus<'a> {
    #[serde(borrow, default)]
    phase: Cow<'a, str>,
    #[serde(borrow, default)]
    conditions: Option<Vec<Condition<'a>>>,
    #[serde(borrow, default)]
    container_statuses: Option<Vec<ContainerStatus<'a>>>,
    #[serde(borrow, default)]
    init_container_statuses: Option<Vec<ContainerStatus<'a>>>,
    #[serde(borrow, default)]
    ephemeral_container_statuses: Option<Vec<ContainerStatus<'a>>>,
}

#[derive(Deserialize)]
struct Condition<'a> {
    #[serde(rename = "type", borrow, default)]
    condition_type: Cow<'a, str>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(rename = "imageID", borrow, default)]
    image_id: Cow<'a, str>,
    #[serde(rename = "containerID", borrow, default)]
    container_id: Cow<'a, str>,
    #[serde(borrow, default)]
    volume_mounts: Option<Vec<VolumeMount<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VolumeMount<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    volume_status: Option<VolumeStatus<'a>>,
}

#[derive(Deserialize)]
struct VolumeStatus<'a> {
    #[serde(borrow, default)]
    image: Option<ImageVolumeStatus<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageVolumeStatus<'a> {
    #[serde(borrow, default)]
    image_ref: Cow<'a, str>,
}

fn any_true(conditions: Option<Vec<Condition<'_>>>, wanted: fn(&str) -> bool) -> bool {
    conditions
        .unwrap_or_default()
        .iter()
        .any(|condition| wanted(&condition.condition_type) && condition.status == "True")
}

impl<'a> ContainerStatus<'a> {
    fn push_to(self, kind: ContainerType, statuses: &mut Vec<model::ContainerStatus<'a>>) {
        for mount in self.volume_mounts.unwrap_or_default() {
            let image = mount.volume_status.and_then(|status| status.image);
            if let Some(ImageVolumeStatus { image_ref }) = image
                && !image_ref.is_empty()
            {
                statuses.push(model::ContainerStatus {
                    kind: ContainerType::ImageVolume,
                    name: mount.name,
                    image_id: image_ref,
                    container_id: Cow::default(),
                });
            }
        }
        statuses.push(model::ContainerStatus {
            kind,
            name: self.name,
            image_id: self.image_id,
            container_id: self.container_id,
        });
    }
}

impl<'a> Pod<'a> {
    fn into_model(self) -> model::Pod<'a> {
        let status = self.status.unwrap_or_default();
        let mut statuses = Vec::new();
        for (kind, list) in [
            (ContainerType::Container, status.container_statuses),
            (ContainerType::Init, status.init_container_statuses),
            (ContainerType::Ephemeral, status.ephemeral_container_statuses),
        ] {
            for container in list.unwrap_or_default() {
                container.push_to(kind, &mut statuses);
            }
        }
        model::Pod {
            meta: self.metadata.into_model(),
            containers: self.spec.unwrap_or_default().into_model(),
            statuses,
            finished: is_finished_phase(&status.phase),
            ready: any_true(status.conditions, |condition| condition == "Ready"),
        }
    }
}

#[derive(Deserialize)]
struct Workload<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow, default)]
    spec: Option<WorkloadSpec<'a>>,
    #[serde(borrow, default)]
    status: Option<WorkloadStatus<'a>>,
}

/// Of a `CronJob`, `jobTemplate` only; of the others, `template` only.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WorkloadSpec<'a> {
    #[serde(borrow, default)]
    template: Option<PodTemplate<'a>>,
    #[serde(borrow, default)]
    job_template: Option<JobTemplate<'a>>,
}

#[derive(Deserialize)]
struct PodTemplate<'a> {
    #[serde(borrow, default)]
    spec: Option<PodSpec<'a>>,
}

#[derive(Deserialize)]
struct JobTemplate<'a> {
    #[serde(borrow, default)]
    spec: Option<JobSpec<'a>>,
}

#[derive(Deserialize)]
struct JobSpec<'a> {
    #[serde(borrow, default)]
    template: Option<PodTemplate<'a>>,
}

#[derive(Deserialize)]
struct WorkloadStatus<'a> {
    #[serde(borrow, default)]
    conditions: Option<Vec<Condition<'a>>>,
}

impl<'a> Workload<'a> {
    fn into_model(self, kind: Kind) -> model::Workload<'a> {
        let spec = self.spec.unwrap_or_default();
        let template = match kind {
            Kind::CronJob => spec
                .job_template
                .and_then(|job| job.spec)
                .and_then(|spec| spec.template),
            _ => spec.template,
        };
        let conditions = self.status.and_then(|status| status.conditions);
        model::Workload {
            kind,
            meta: self.metadata.into_model(),
            containers: template
                .and_then(|template| template.spec)
                .unwrap_or_default()
                .into_model(),
            finished: kind == Kind::Job && any_true(conditions, is_finished_condition),
        }
    }
}

#[derive(Deserialize)]
struct Node<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow, default)]
    status: Option<NodeStatus<'a>>,
}

#[derive(Deserialize)]
struct NodeStatus<'a> {
    #[serde(borrow, default)]
    addresses: Option<Vec<Address<'a>>>,
}

#[derive(Deserialize)]
struct Address<'a> {
    #[serde(borrow, default)]
    address: Cow<'a, str>,
}

impl<'a> Node<'a> {
    fn into_model(self) -> model::Node<'a> {
        let addresses = self.status.and_then(|status| status.addresses);
        model::Node {
            meta: self.metadata.into_model(),
            addresses: addresses
                .unwrap_or_default()
                .iter()
                .filter_map(|address| address.address.parse().ok())
                .collect(),
        }
    }
}

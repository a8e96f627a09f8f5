use std::borrow::Cow;

use serde::Deserialize;

use super::Meta;
use crate::cluster::{
    Kind,
    model::{self, ContainerType},
    wire::{is_finished_condition, is_finished_phase},
};

#[derive(Deserialize)]
pub(super) struct Pod<'a> {
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
    pub(super) fn into_model(self) -> model::Pod<'a> {
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
pub(super) struct Workload<'a> {
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
pub(super) struct PodTemplate<'a> {
    #[serde(borrow, default)]
    spec: Option<PodSpec<'a>>,
}

impl<'a> PodTemplate<'a> {
    pub(super) fn into_model(self) -> Vec<model::Container<'a>> {
        self.spec.unwrap_or_default().into_model()
    }
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
    pub(super) fn into_model(self, kind: Kind) -> model::Workload<'a> {
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
            containers: template.map(PodTemplate::into_model).unwrap_or_default(),
            finished: kind == Kind::Job && any_true(conditions, is_finished_condition),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Node<'a> {
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
    pub(super) fn into_model(self) -> model::Node<'a> {
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

//! Field numbers: `generated.proto` of k8s.io/api (core/v1, apps/v1, batch/v1) and
//! k8s.io/apimachinery (meta/v1, runtime), v0.36.3. Numbers are never reused, so they
//! hold for every version.

use std::{net::IpAddr, time::Duration};

use super::{
    Event, Failure, INITIAL_EVENTS_END, Malformed, PageEnd,
    fields::{Fields, Value, text},
    is_finished_condition, is_finished_phase,
};
use crate::cluster::{
    Kind,
    model::{Container, ContainerStatus, ContainerType, Controller, Meta, Node, Object, Pod, Workload},
};

use Value::{Bytes, Number};

/// What precedes every protobuf object of the API server, but not a watch event.
pub(super) const MAGIC: &[u8] = b"k8s\0";

/// `meta.v1.WatchEvent` {type=1, object=2 {raw=1}}.
pub(super) fn event(kind: Kind, frame: &[u8]) -> Result<Event<'_>, Malformed> {
    let (mut event_type, mut object): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Fields::new(frame);
    while let Some(field) = fields.next()? {
        match field {
            (1, Bytes(bytes)) => event_type = bytes,
            (2, Bytes(bytes)) => object = message(bytes, 1)?,
            _ => {}
        }
    }
    let event = match event_type {
        b"ADDED" | b"MODIFIED" => Event::Applied(self::object(kind, unwrap(object)?)?),
        b"DELETED" => Event::Deleted(meta(message(unwrap(object)?, 1)?)?),
        b"BOOKMARK" => bookmark(message(unwrap(object)?, 1)?)?,
        b"ERROR" => Event::Failed(failure(unwrap(object)?)?),
        _ => Event::Unknown,
    };
    Ok(event)
}

/// A list {metadata=1 {resourceVersion=2, continue=3}, items=2}.
pub(super) fn page<'a>(
    kind: Kind,
    body: &'a [u8],
    each: &mut dyn FnMut(Object<'a>),
) -> Result<PageEnd, Malformed> {
    let mut end = PageEnd::default();
    let mut fields = Fields::new(unwrap(body)?);
    while let Some(field) = fields.next()? {
        match field {
            (1, Bytes(bytes)) => {
                let mut fields = Fields::new(bytes);
                while let Some(field) = fields.next()? {
                    match field {
                        (2, Bytes(version)) => end.resource_version = text(version).into_owned(),
                        (3, Bytes(token)) if !token.is_empty() => end.next = Some(text(token).into_owned()),
                        _ => {}
                    }
                }
            }
            (2, Bytes(bytes)) => each(object(kind, bytes)?),
            _ => {}
        }
    }
    Ok(end)
}

/// The object inside its envelope: magic, then `runtime.Unknown` {raw=2}.
fn unwrap(bytes: &[u8]) -> Result<&[u8], Malformed> {
    message(bytes.strip_prefix(MAGIC).ok_or(Malformed)?, 2)
}

/// A field that holds a message; empty, as protobuf has it, where it is absent.
fn message(bytes: &[u8], wanted: u64) -> Result<&[u8], Malformed> {
    let mut fields = Fields::new(bytes);
    while let Some((number, value)) = fields.next()? {
        if let Bytes(bytes) = value
            && number == wanted
        {
            return Ok(bytes);
        }
    }
    Ok(&[])
}

fn bookmark(metadata: &[u8]) -> Result<Event<'_>, Malformed> {
    let (mut resource_version, mut initial_end) = (text(&[]), false);
    let mut fields = Fields::new(metadata);
    while let Some(field) = fields.next()? {
        match field {
            (6, Bytes(bytes)) => resource_version = text(bytes),
            (12, Bytes(annotation)) => {
                initial_end |= message(annotation, 1)? == INITIAL_EVENTS_END.as_bytes()
                    && message(annotation, 2)? == b"true";
            }
            _ => {}
        }
    }
    Ok(Event::Bookmark {
        resource_version,
        initial_end,
    })
}

/// `meta.v1.Status` {details=5 {retryAfterSeconds=5}, code=6}.
fn failure(status: &[u8]) -> Result<Failure, Malformed> {
    let mut failure = Failure {
        code: 0,
        retry_after: None,
    };
    let mut fields = Fields::new(status);
    while let Some(field) = fields.next()? {
        match field {
            (5, Bytes(details)) => {
                let mut fields = Fields::new(details);
                while let Some(field) = fields.next()? {
                    if let (5, Number(seconds @ 1..)) = field {
                        failure.retry_after = Some(Duration::from_secs(seconds));
                    }
                }
            }
            (6, Number(code)) => failure.code = u16::try_from(code).unwrap_or(0),
            _ => {}
        }
    }
    Ok(failure)
}

fn object(kind: Kind, bytes: &[u8]) -> Result<Object<'_>, Malformed> {
    Ok(match kind {
        Kind::Pod => Object::Pod(pod(bytes)?),
        Kind::Node => Object::Node(node(bytes)?),
        Kind::Deployment
        | Kind::StatefulSet
        | Kind::DaemonSet
        | Kind::ReplicaSet
        | Kind::Job
        | Kind::CronJob => Object::Workload(workload(kind, bytes)?),
        // API servers keep and send custom objects as JSON alone.
        Kind::Custom(_) => return Err(Malformed),
    })
}

fn meta(bytes: &[u8]) -> Result<Meta<'_>, Malformed> {
    let mut meta = Meta::default();
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Bytes(bytes)) => meta.name = text(bytes),
            (3, Bytes(bytes)) => meta.namespace = text(bytes),
            (5, Bytes(bytes)) => meta.uid = text(bytes),
            (6, Bytes(bytes)) => meta.resource_version = text(bytes),
            (8, Bytes(bytes)) => meta.created = time(bytes)?,
            (9, Bytes(_)) => meta.deleting = true,
            (13, Bytes(bytes)) => meta.controller = controller(bytes)?.or(meta.controller),
            _ => {}
        }
    }
    Ok(meta)
}

/// `meta.v1.Time` {seconds=1}.
fn time(bytes: &[u8]) -> Result<i64, Malformed> {
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        if let (1, Number(seconds)) = field {
            return Ok(seconds.cast_signed());
        }
    }
    Ok(0)
}

/// `meta.v1.OwnerReference`, where it is the controller's.
fn controller(bytes: &[u8]) -> Result<Option<Controller<'_>>, Malformed> {
    let (mut found, mut is_controller) = (Controller::default(), false);
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Bytes(bytes)) => found.kind = text(bytes),
            (3, Bytes(bytes)) => found.name = text(bytes),
            (4, Bytes(bytes)) => found.uid = text(bytes),
            (6, Number(number)) => is_controller = number != 0,
            _ => {}
        }
    }
    Ok(is_controller.then_some(found))
}

fn pod(bytes: &[u8]) -> Result<Pod<'_>, Malformed> {
    let mut pod = Pod::default();
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Bytes(bytes)) => pod.meta = meta(bytes)?,
            (2, Bytes(bytes)) => pod_spec(bytes, &mut pod.containers)?,
            (3, Bytes(bytes)) => pod_status(bytes, &mut pod)?,
            _ => {}
        }
    }
    Ok(pod)
}

fn pod_spec<'a>(bytes: &'a [u8], containers: &mut Vec<Container<'a>>) -> Result<(), Malformed> {
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Bytes(bytes)) => containers.extend(image_volume(bytes)?),
            (2, Bytes(bytes)) => containers.push(container(ContainerType::Container, bytes)?),
            (20, Bytes(bytes)) => containers.push(container(ContainerType::Init, bytes)?),
            (34, Bytes(bytes)) => {
                containers.push(container(ContainerType::Ephemeral, message(bytes, 1)?)?);
            }
            _ => {}
        }
    }
    Ok(())
}

/// `Container` or `EphemeralContainerCommon` {name=1, image=2}. Both are looked for apart:
/// they come first, and what follows, most of a pod, is not even skipped.
fn container(kind: ContainerType, bytes: &[u8]) -> Result<Container<'_>, Malformed> {
    Ok(Container {
        kind,
        name: text(message(bytes, 1)?),
        image: text(message(bytes, 2)?),
    })
}

/// `Volume` {name=1, volumeSource=2 {image=30 {reference=1}}}.
fn image_volume(bytes: &[u8]) -> Result<Option<Container<'_>>, Malformed> {
    let image = message(message(message(bytes, 2)?, 30)?, 1)?;
    if image.is_empty() {
        return Ok(None);
    }
    Ok(Some(Container {
        kind: ContainerType::ImageVolume,
        name: text(message(bytes, 1)?),
        image: text(image),
    }))
}

fn pod_status<'a>(bytes: &'a [u8], pod: &mut Pod<'a>) -> Result<(), Malformed> {
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Bytes(bytes)) => pod.finished = is_finished_phase(&text(bytes)),
            (2, Bytes(bytes)) => pod.ready |= is_true(bytes, |condition| condition == "Ready")?,
            (8, Bytes(bytes)) => container_status(ContainerType::Container, bytes, &mut pod.statuses)?,
            (10, Bytes(bytes)) => container_status(ContainerType::Init, bytes, &mut pod.statuses)?,
            (13, Bytes(bytes)) => container_status(ContainerType::Ephemeral, bytes, &mut pod.statuses)?,
            _ => {}
        }
    }
    Ok(())
}

/// `ContainerStatus` {name=1, imageID=7, containerID=8, volumeMounts=12}. The digests of
/// image volumes stand with the containers that mount them.
fn container_status<'a>(
    kind: ContainerType,
    bytes: &'a [u8],
    statuses: &mut Vec<ContainerStatus<'a>>,
) -> Result<(), Malformed> {
    let (mut name, mut image_id, mut container_id) = (text(&[]), text(&[]), text(&[]));
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Bytes(bytes)) => name = text(bytes),
            (7, Bytes(bytes)) => image_id = text(bytes),
            (8, Bytes(bytes)) => container_id = text(bytes),
            (12, Bytes(bytes)) => statuses.extend(mounted_image(bytes)?),
            _ => {}
        }
    }
    statuses.push(ContainerStatus {
        kind,
        name,
        image_id,
        container_id,
    });
    Ok(())
}

/// `VolumeMountStatus` {name=1, volumeStatus=5 {image=1 {imageRef=1}}}.
fn mounted_image(bytes: &[u8]) -> Result<Option<ContainerStatus<'_>>, Malformed> {
    let image = message(message(message(bytes, 5)?, 1)?, 1)?;
    if image.is_empty() {
        return Ok(None);
    }
    Ok(Some(ContainerStatus {
        kind: ContainerType::ImageVolume,
        name: text(message(bytes, 1)?),
        image_id: text(image),
        container_id: text(&[]),
    }))
}

/// Whether a condition {type=1, status=2} is of a wanted type and `True`.
fn is_true(condition: &[u8], wanted: fn(&str) -> bool) -> Result<bool, Malformed> {
    Ok(wanted(&text(message(condition, 1)?)) && message(condition, 2)? == b"True")
}

fn workload(kind: Kind, bytes: &[u8]) -> Result<Workload<'_>, Malformed> {
    let mut workload = Workload {
        kind,
        meta: Meta::default(),
        containers: Vec::new(),
        finished: false,
    };
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Bytes(bytes)) => workload.meta = meta(bytes)?,
            (2, Bytes(bytes)) => pod_spec(message(template(kind, bytes)?, 2)?, &mut workload.containers)?,
            (3, Bytes(bytes)) if kind == Kind::Job => {
                let mut fields = Fields::new(bytes);
                while let Some(field) = fields.next()? {
                    if let (1, Bytes(condition)) = field {
                        workload.finished |= is_true(condition, is_finished_condition)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(workload)
}

/// The `PodTemplateSpec` in a workload's spec.
fn template(kind: Kind, spec: &[u8]) -> Result<&[u8], Malformed> {
    match kind {
        Kind::DaemonSet => message(spec, 2),
        Kind::Job => message(spec, 6),
        // spec.jobTemplate.spec.template
        Kind::CronJob => message(message(message(spec, 5)?, 2)?, 6),
        _ => message(spec, 3),
    }
}

/// `Node` {metadata=1, status=3 {addresses=5 {address=2}}}.
fn node(bytes: &[u8]) -> Result<Node<'_>, Malformed> {
    let mut node = Node::default();
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Bytes(bytes)) => node.meta = meta(bytes)?,
            (3, Bytes(bytes)) => {
                let mut fields = Fields::new(bytes);
                while let Some(field) = fields.next()? {
                    if let (5, Bytes(address)) = field {
                        let address = text(message(address, 2)?).parse::<IpAddr>();
                        node.addresses.extend(address.ok());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(node)
}

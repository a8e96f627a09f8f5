//! The decoders against an encoder of another make (prost's), and against each other.

mod proto;

use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;

use super::*;
use crate::cluster::model::{ContainerType, Controller, Node, Pod, Workload};

/// As the API server wraps an object, with its two empty encodings.
fn enveloped(object: &impl prost::Message) -> Vec<u8> {
    let unknown = proto::Unknown {
        type_meta: Some(proto::TypeMeta {
            api_version: "v1".into(),
            kind: "Kind".into(),
        }),
        raw: object.encode_to_vec(),
        content_encoding: Some(String::new()),
        content_type: Some(String::new()),
    };
    [protobuf::MAGIC, &unknown.encode_to_vec()].concat()
}

fn frame(event_type: &str, object: &impl prost::Message) -> Vec<u8> {
    let event = proto::WatchEvent {
        event_type: event_type.into(),
        object: Some(proto::RawExtension {
            raw: enveloped(object),
        }),
    };
    event.encode_to_vec()
}

fn line(event_type: &str, object: &serde_json::Value) -> Vec<u8> {
    json!({"type": event_type, "object": object})
        .to_string()
        .into_bytes()
}

/// The same event in both formats has to be read the same.
fn both<'a>(kind: Kind, frame: &'a [u8], line: &'a [u8]) -> Event<'a> {
    let from_protobuf = event(Format::Protobuf, kind, frame).unwrap();
    let from_json = event(Format::Json, kind, line).unwrap();
    assert_eq!(from_protobuf, from_json);
    from_protobuf
}

fn meta() -> proto::ObjectMeta {
    let owner = |kind: &str, controller| proto::OwnerReference {
        kind: kind.into(),
        name: "web-1".into(),
        uid: "owner-uid".into(),
        api_version: "apps/v1".into(),
        controller,
    };
    proto::ObjectMeta {
        name: "web-1-x".into(),
        generate_name: "web-1-".into(),
        namespace: "shop".into(),
        uid: "uid".into(),
        resource_version: "42".into(),
        generation: 3,
        creation_timestamp: Some(proto::Time {
            seconds: 1_700_000_000,
            nanos: 0,
        }),
        deletion_timestamp: Some(proto::Time::default()),
        annotations: [("a".to_owned(), "b".to_owned())].into(),
        owner_references: vec![
            owner("Other", None),
            owner("ReplicaSet", Some(true)),
            owner("Last", Some(false)),
        ],
    }
}

fn meta_json() -> serde_json::Value {
    let owner = |kind: &str, controller: Option<bool>| json!({"kind": kind, "name": "web-1", "uid": "owner-uid", "controller": controller});
    json!({
        "name": "web-1-x", "namespace": "shop", "uid": "uid", "resourceVersion": "42",
        "creationTimestamp": "2023-11-14T22:13:20Z", "deletionTimestamp": "2023-11-14T22:13:20Z",
        "ownerReferences": [
            owner("Other", None), owner("ReplicaSet", Some(true)), owner("Last", Some(false)),
        ],
        "managedFields": [{"manager": "kubelet"}],
    })
}

fn read_meta() -> Meta<'static> {
    Meta {
        uid: "uid".into(),
        name: "web-1-x".into(),
        namespace: "shop".into(),
        resource_version: "42".into(),
        created: 1_700_000_000,
        deleting: true,
        controller: Some(Controller {
            uid: "owner-uid".into(),
            kind: "ReplicaSet".into(),
            name: "web-1".into(),
        }),
    }
}

fn container(name: &str) -> proto::Container {
    proto::Container {
        name: name.into(),
        image: format!("{name}-image"),
        command: vec!["/bin/true".into()],
    }
}

fn pod_spec() -> proto::PodSpec {
    proto::PodSpec {
        volumes: vec![
            proto::Volume {
                name: "cache".into(),
                source: Some(proto::VolumeSource { image: None }),
            },
            proto::Volume {
                name: "model".into(),
                source: Some(proto::VolumeSource {
                    image: Some(proto::ImageVolumeSource {
                        reference: "model-image".into(),
                    }),
                }),
            },
        ],
        containers: vec![container("app")],
        node_name: "node".into(),
        init_containers: vec![container("init")],
        ephemeral_containers: vec![proto::EphemeralContainer {
            common: Some(container("debug")),
        }],
    }
}

fn pod_spec_json() -> serde_json::Value {
    json!({
        "volumes": [
            {"name": "cache", "emptyDir": {}},
            {"name": "model", "image": {"reference": "model-image", "pullPolicy": "Always"}},
        ],
        "containers": [{"name": "app", "image": "app-image", "command": ["/bin/true"]}],
        "initContainers": [{"name": "init", "image": "init-image"}],
        "ephemeralContainers": [{"name": "debug", "image": "debug-image", "targetContainerName": "app"}],
    })
}

/// In the order of the types, whichever the wire had.
fn sorted(mut event: Event<'_>) -> Event<'_> {
    if let Event::Applied(
        Object::Pod(Pod { containers, .. }) | Object::Workload(Workload { containers, .. }),
    ) = &mut event
    {
        containers.sort_by_key(|container| container.kind);
    }
    event
}

fn declared(event: &Event<'_>) -> Vec<(ContainerType, String, String)> {
    let Event::Applied(Object::Pod(Pod { containers, .. }) | Object::Workload(Workload { containers, .. })) =
        event
    else {
        panic!("{event:?}");
    };
    containers
        .iter()
        .map(|container| {
            (
                container.kind,
                container.name.to_string(),
                container.image.to_string(),
            )
        })
        .collect()
}

fn all_declared() -> Vec<(ContainerType, String, String)> {
    [
        (ContainerType::Container, "app"),
        (ContainerType::Init, "init"),
        (ContainerType::Ephemeral, "debug"),
        (ContainerType::ImageVolume, "model"),
    ]
    .map(|(kind, name)| (kind, name.to_owned(), format!("{name}-image")))
    .into()
}

#[test]
fn a_pod_is_read_alike_in_both_formats() {
    let status = |name: &str, mounts: Vec<proto::VolumeMountStatus>| proto::ContainerStatus {
        name: name.into(),
        image: "other".into(),
        image_id: format!("{name}-id"),
        container_id: format!("containerd://{name}"),
        volume_mounts: mounts,
    };
    let mount = proto::VolumeMountStatus {
        name: "model".into(),
        volume_status: Some(proto::VolumeStatus {
            image: Some(proto::ImageVolumeStatus {
                image_ref: "model-id".into(),
            }),
        }),
    };
    let condition = |condition_type: &str, status: &str| proto::Condition {
        condition_type: condition_type.into(),
        status: status.into(),
    };
    let pod = proto::Pod {
        metadata: Some(meta()),
        spec: Some(pod_spec()),
        status: Some(proto::PodStatus {
            phase: "Succeeded".into(),
            conditions: vec![condition("PodScheduled", "True"), condition("Ready", "True")],
            container_statuses: vec![status("app", vec![proto::VolumeMountStatus::default(), mount])],
            init_container_statuses: vec![status("init", Vec::new())],
            ephemeral_container_statuses: vec![status("debug", Vec::new())],
        }),
    };
    let status = |name: &str| json!({"name": name, "imageID": format!("{name}-id"), "containerID": format!("containerd://{name}")});
    let mut app = status("app");
    app["volumeMounts"] = json!([
        {"name": "cache", "mountPath": "/cache"},
        {"name": "model", "volumeStatus": {"image": {"imageRef": "model-id"}}},
    ]);
    let object = json!({
        "metadata": meta_json(),
        "spec": pod_spec_json(),
        "status": {
            "phase": "Succeeded",
            "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}],
            "containerStatuses": [app],
            "initContainerStatuses": [status("init")],
            "ephemeralContainerStatuses": [status("debug")],
        },
    });
    let (frame, line) = (frame("ADDED", &pod), line("ADDED", &object));
    let from_protobuf = sorted(event(Format::Protobuf, Kind::Pod, &frame).unwrap());
    let from_json = sorted(event(Format::Json, Kind::Pod, &line).unwrap());
    assert_eq!(from_protobuf, from_json);
    assert_eq!(declared(&from_json), all_declared());
    let Event::Applied(Object::Pod(pod)) = from_json else {
        panic!("not a pod");
    };
    assert_eq!(pod.meta, read_meta());
    assert!(pod.finished && pod.ready);
    let statuses: Vec<_> = pod
        .statuses
        .iter()
        .map(|status| {
            (
                status.kind,
                &*status.name,
                &*status.image_id,
                &*status.container_id,
            )
        })
        .collect();
    assert_eq!(
        statuses,
        [
            (ContainerType::ImageVolume, "model", "model-id", ""),
            (ContainerType::Container, "app", "app-id", "containerd://app"),
            (ContainerType::Init, "init", "init-id", "containerd://init"),
            (
                ContainerType::Ephemeral,
                "debug",
                "debug-id",
                "containerd://debug"
            ),
        ]
    );
}

#[test]
fn every_workload_is_read_alike_in_both_formats() {
    let template = || {
        Some(proto::Template {
            metadata: Some(meta()),
            spec: Some(pod_spec()),
        })
    };
    let third = proto::Spec {
        third: template(),
        ..proto::Spec::default()
    };
    let second = proto::Spec {
        second: template(),
        ..proto::Spec::default()
    };
    let sixth = proto::Spec {
        sixth: template(),
        ..proto::Spec::default()
    };
    let of_cron_job = proto::Spec {
        job_template: Some(proto::JobTemplate {
            spec: Some(proto::JobSpec { template: template() }),
        }),
        ..proto::Spec::default()
    };
    let plain = || json!({"template": {"metadata": {}, "spec": pod_spec_json()}});
    let table = [
        (Kind::Deployment, third.clone(), plain()),
        (Kind::StatefulSet, third.clone(), plain()),
        (Kind::ReplicaSet, third, plain()),
        (Kind::DaemonSet, second, plain()),
        (Kind::Job, sixth, plain()),
        (
            Kind::CronJob,
            of_cron_job,
            json!({"jobTemplate": {"spec": plain()}}),
        ),
    ];
    for (kind, spec, spec_json) in table {
        let workload = proto::Workload {
            metadata: Some(meta()),
            spec: Some(spec),
            status: Some(proto::Conditions {
                conditions: vec![proto::Condition {
                    condition_type: "Failed".into(),
                    status: "True".into(),
                }],
            }),
        };
        let object = json!({
            "metadata": meta_json(),
            "spec": spec_json,
            "status": {"conditions": [{"type": "Failed", "status": "True"}]},
        });
        let (frame, line) = (frame("MODIFIED", &workload), line("MODIFIED", &object));
        // Other kinds' statuses have other fields in that place.
        let frame = if kind == Kind::Job {
            frame
        } else {
            let workload = proto::Workload {
                status: None,
                ..workload
            };
            self::frame("MODIFIED", &workload)
        };
        let from_protobuf = sorted(event(Format::Protobuf, kind, &frame).unwrap());
        let from_json = sorted(event(Format::Json, kind, &line).unwrap());
        assert_eq!(from_protobuf, from_json, "{kind:?}");
        assert_eq!(declared(&from_json), all_declared(), "{kind:?}");
        let Event::Applied(Object::Workload(workload)) = from_json else {
            panic!("not a workload");
        };
        assert_eq!(workload.finished, kind == Kind::Job);
        assert_eq!(workload.meta, read_meta());
    }
}

#[test]
fn a_node_is_read_with_those_addresses_that_are_ip_addresses() {
    let address = |address_type: &str, address: &str| proto::Address {
        address_type: address_type.into(),
        address: address.into(),
    };
    let node = proto::Node {
        metadata: Some(meta()),
        status: Some(proto::NodeStatus {
            addresses: vec![
                address("InternalIP", "10.0.0.1"),
                address("Hostname", "node-1"),
                address("ExternalIP", "2001:db8::1"),
            ],
        }),
    };
    let object = json!({"metadata": meta_json(), "status": {"addresses": [
        {"type": "InternalIP", "address": "10.0.0.1"},
        {"type": "Hostname", "address": "node-1"},
        {"type": "ExternalIP", "address": "2001:db8::1"},
    ]}});
    let (frame, line) = (frame("ADDED", &node), line("ADDED", &object));
    let expected = Node {
        meta: read_meta(),
        addresses: ["10.0.0.1", "2001:db8::1"]
            .map(|address| address.parse().unwrap())
            .into(),
    };
    assert_eq!(
        both(Kind::Node, &frame, &line),
        Event::Applied(Object::Node(expected))
    );
}

#[test]
fn what_is_left_out_or_null_is_read_as_absent() {
    let frame = frame("ADDED", &proto::Pod::default());
    let line = line(
        "ADDED",
        &json!({
            "metadata": {"creationTimestamp": null, "ownerReferences": null},
            "spec": {"containers": null},
            "status": {"conditions": null},
        }),
    );
    assert_eq!(
        both(Kind::Pod, &frame, &line),
        Event::Applied(Object::Pod(Pod::default()))
    );
}

#[test]
fn a_deleted_object_is_read_for_its_name_only() {
    let pod = proto::Pod {
        metadata: Some(meta()),
        ..proto::Pod::default()
    };
    let (frame, line) = (
        frame("DELETED", &pod),
        line("DELETED", &json!({"metadata": meta_json(), "spec": "anything"})),
    );
    assert_eq!(both(Kind::CronJob, &frame, &line), Event::Deleted(read_meta()));
}

#[test]
fn a_bookmark_says_whether_the_initial_list_ends() {
    for (annotations, initial_end) in [
        (vec![("k8s.io/initial-events-end", "true")], true),
        (
            vec![("other", "true"), ("k8s.io/initial-events-end", "true")],
            true,
        ),
        (vec![("k8s.io/initial-events-end", "false")], false),
        (vec![], false),
    ] {
        let annotations_json = serde_json::Value::Object(
            annotations
                .iter()
                .map(|(key, value)| ((*key).to_owned(), json!(value)))
                .collect(),
        );
        let pod = proto::Pod {
            metadata: Some(proto::ObjectMeta {
                resource_version: "7".into(),
                annotations: annotations
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect(),
                ..proto::ObjectMeta::default()
            }),
            ..proto::Pod::default()
        };
        let object = json!({
            "metadata": {"resourceVersion": "7", "creationTimestamp": null, "annotations": annotations_json},
            "spec": {"containers": null},
            "status": {},
        });
        let (frame, line) = (frame("BOOKMARK", &pod), line("BOOKMARK", &object));
        let expected = Event::Bookmark {
            resource_version: "7".into(),
            initial_end,
        };
        assert_eq!(both(Kind::Pod, &frame, &line), expected);
    }
}

#[test]
fn an_error_keeps_its_code_and_nothing_it_says() {
    let status = proto::Status {
        message: "secret".into(),
        details: Some(proto::StatusDetails {
            retry_after_seconds: 3,
        }),
        code: 410,
    };
    let object =
        json!({"kind": "Status", "message": "secret", "code": 410, "details": {"retryAfterSeconds": 3}});
    let (frame, line) = (frame("ERROR", &status), line("ERROR", &object));
    let expected = Failure {
        code: 410,
        retry_after: Some(Duration::from_secs(3)),
    };
    assert_eq!(both(Kind::Pod, &frame, &line), Event::Failed(expected));
}

#[test]
fn a_type_of_event_that_is_not_known_is_left_out() {
    let (frame, line) = (
        frame("NEW", &proto::Pod::default()),
        line("NEW", &json!({"new": 1})),
    );
    assert_eq!(both(Kind::Pod, &frame, &line), Event::Unknown);
}

#[test]
fn a_page_hands_over_its_objects_and_says_where_the_next_begins() {
    for next in ["", "token"] {
        let list = proto::PodList {
            metadata: Some(proto::ListMeta {
                resource_version: "9".into(),
                next: next.into(),
            }),
            items: vec![
                proto::Pod {
                    metadata: Some(meta()),
                    ..proto::Pod::default()
                };
                3
            ],
        };
        let object = json!({
            "kind": "PodList",
            "metadata": {"resourceVersion": "9", "continue": next, "remainingItemCount": 4},
            "items": vec![json!({"metadata": meta_json()}); 3],
        });
        for (format, body) in [
            (Format::Protobuf, enveloped(&list)),
            (Format::Json, object.to_string().into_bytes()),
        ] {
            let mut objects = Vec::new();
            let end = page(format, Kind::Pod, &body, &mut |object| objects.push(object)).unwrap();
            assert_eq!(objects.len(), 3);
            assert!(objects.iter().all(|object| *object.meta() == read_meta()));
            assert_eq!(end.resource_version, "9");
            assert_eq!(end.next.as_deref(), Some(next).filter(|next| !next.is_empty()));
        }
    }
}

#[test]
fn a_byte_that_is_no_utf_8_stops_nothing() {
    let mut frame = frame(
        "ADDED",
        &proto::Pod {
            metadata: Some(proto::ObjectMeta {
                name: "abc".into(),
                ..proto::ObjectMeta::default()
            }),
            ..proto::Pod::default()
        },
    );
    let place = frame.windows(3).position(|window| window == b"abc").unwrap();
    frame[place] = 0xff;
    let Ok(Event::Applied(object)) = event(Format::Protobuf, Kind::Pod, &frame) else {
        panic!("not read");
    };
    assert_eq!(object.meta().name, "\u{fffd}bc");
}

proptest! {
    #[test]
    fn no_frame_makes_the_decoders_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for kind in Kind::ALL {
            for format in [Format::Protobuf, Format::Json] {
                let _ = event(format, kind, &bytes);
                let _ = page(format, kind, &bytes, &mut |_| {});
            }
        }
    }

    /// Closer to what is sent than random bytes: a real frame with some bytes changed.
    #[test]
    fn no_damage_to_a_frame_makes_the_decoders_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let pod = proto::Pod { metadata: Some(meta()), spec: Some(pod_spec()), status: None };
        for (format, mut bytes) in [
            (Format::Protobuf, frame("ADDED", &pod)),
            (Format::Json, line("ADDED", &json!({"metadata": meta_json(), "spec": pod_spec_json()}))),
        ] {
            for (place, value) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *value;
            }
            let end = cut.index(bytes.len());
            for kind in Kind::ALL {
                let _ = event(format, kind, &bytes);
                let _ = event(format, kind, &bytes[..end]);
            }
        }
    }
}

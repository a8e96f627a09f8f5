//! Whatever happens to a cluster, in whatever order: the inventory answers as the naive
//! one does, names what changed, and keeps nothing of what is gone.

use std::collections::HashMap;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    fixture::{A, B, Build, BuildPod, delete, node, pod, repository, workload},
    naive::{Naive, Numbers, Row},
};
use crate::cluster::{
    Inventory, Kind, Touched, WorkloadUse,
    model::{ContainerType, Object, Pod, Workload},
};

const REPOSITORIES: [&str; 3] = [
    "registry.example.com/shop/app",
    "docker.io/library/nginx",
    "mirror.example.com:5000/nginx",
];
/// Several spellings of each, and one that is none.
const IMAGES: [&str; 7] = [
    "registry.example.com/shop/app:v1",
    "registry.example.com/shop/app:v2",
    "nginx",
    "docker.io/library/nginx:latest",
    "index.docker.io/nginx:1",
    "mirror.example.com:5000/nginx:1",
    "Not An Image",
];
const PODS: usize = 6;
const WORKLOADS: [(Kind, &str); 9] = [
    (Kind::Deployment, "d0"),
    (Kind::Deployment, "d1"),
    (Kind::ReplicaSet, "r0"),
    (Kind::ReplicaSet, "r1"),
    (Kind::ReplicaSet, "r2"),
    (Kind::StatefulSet, "s0"),
    (Kind::Job, "j0"),
    (Kind::Job, "j1"),
    (Kind::CronJob, "c0"),
];

#[derive(Debug, Clone)]
enum Step {
    Apply(Object<'static>),
    /// An object may be unknown.
    Delete(Kind, String),
    /// A complete list of those objects for which the flag says so, after one that broke
    /// off there.
    List(Kind, Vec<bool>, usize),
}

type Part = (ContainerType, String, String);

/// Different names, as Kubernetes demands within a type.
fn parts() -> impl Strategy<Value = Vec<Part>> {
    let types = select(vec![
        ContainerType::Container,
        ContainerType::Init,
        ContainerType::Ephemeral,
        ContainerType::ImageVolume,
    ]);
    vec((types, select(&IMAGES[..])), 0..4).prop_map(|parts| {
        let parts = parts.into_iter().enumerate();
        parts
            .map(|(index, (kind, image))| (kind, format!("c{}", index / 2 * 2), image.to_owned()))
            .scan(Vec::new(), |seen, part| {
                let key = (part.0, part.1.clone());
                let is_new = !seen.contains(&key);
                seen.push(key);
                Some(is_new.then_some(part))
            })
            .flatten()
            .collect()
    })
}

fn declare<T: Build>(object: T, parts: &[Part]) -> T {
    parts.iter().fold(object, |object, (kind, name, image)| {
        object.declares(*kind, name, image)
    })
}

fn pods() -> impl Strategy<Value = Pod<'static>> {
    let owners = select(vec![
        None,
        Some(("Node", "n0")),
        Some(("ReplicaSet", "r0")),
        Some(("ReplicaSet", "r1")),
        Some(("ReplicaSet", "r2")),
        Some(("StatefulSet", "s0")),
        Some(("Job", "j0")),
        Some(("Job", "j1")),
        Some(("Custom", "x0")),
        Some(("Pod", "p0")),
    ]);
    let image_ids = vec![
        String::new(),
        A.into(),
        B.into(),
        format!("x@{A}"),
        format!("x@{B}"),
    ];
    let statuses = vec((select(image_ids), select(vec!["", "cri-o://1", "cri-o://2"])), 4);
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    (0..PODS, owners, parts(), statuses, flags, 1..4_i64).prop_map(
        |(number, owner, parts, statuses, (ready, finished, deleting), created)| {
            let mut pod = declare(pod("a", &format!("p{number}")), &parts).created(created);
            for ((kind, name, _), (image_id, container_id)) in parts.iter().zip(statuses) {
                pod = pod.status(*kind, name, &image_id, container_id);
            }
            (pod.ready, pod.finished, pod.meta.deleting) = (ready, finished, deleting);
            match owner {
                // The first pod owns others, and is owned by none of them.
                Some(("Pod", _)) if number == 0 => pod,
                Some((kind, name)) => pod.owned_by(kind, name),
                None => pod,
            }
        },
    )
}

fn workloads() -> impl Strategy<Value = Workload<'static>> {
    (
        select(&WORKLOADS[..]),
        0..3_usize,
        parts(),
        any::<bool>(),
        1..4_i64,
    )
        .prop_map(|((kind, name), owner, parts, finished, created)| {
            let mut workload = declare(workload(kind, "a", name), &parts).created(created);
            workload.finished = finished && kind == Kind::Job;
            match (kind, owner) {
                (Kind::ReplicaSet, 1) => workload.owned_by("Deployment", "d0"),
                (Kind::ReplicaSet, 2) => workload.owned_by("Rollout", "o0"),
                (Kind::Job, 1) => workload.owned_by("CronJob", "c0"),
                (Kind::StatefulSet | Kind::Deployment, 1) => workload.owned_by("App", "app"),
                _ => workload,
            }
        })
}

fn steps() -> impl Strategy<Value = Step> {
    let kinds = || {
        select(vec![
            Kind::Pod,
            Kind::Deployment,
            Kind::ReplicaSet,
            Kind::Job,
            Kind::Node,
        ])
    };
    prop_oneof![
        6 => pods().prop_map(|pod| Step::Apply(pod.object())),
        4 => workloads().prop_map(|workload| Step::Apply(Object::Workload(workload))),
        1 => (0..3, 0..3).prop_map(|(name, address)| {
            Step::Apply(node(&format!("n{name}"), &[&format!("10.0.0.{address}")]))
        }),
        3 => (0..PODS).prop_map(|number| Step::Delete(Kind::Pod, format!("a/p{number}"))),
        2 => select(&WORKLOADS[..]).prop_map(|(kind, name)| Step::Delete(kind, format!("a/{name}"))),
        1 => (0..3).prop_map(|name| Step::Delete(Kind::Node, format!("/n{name}"))),
        2 => (kinds(), vec(any::<bool>(), PODS), 0..PODS)
            .prop_map(|(kind, kept, broken)| Step::List(kind, kept, broken)),
    ]
}

fn perform(step: &Step, inventory: &mut Inventory, naive: &mut Naive, touched: &mut Touched) {
    match step {
        Step::Apply(object) => {
            naive.apply(object);
            inventory.apply(object, touched);
        }
        Step::Delete(kind, uid) => {
            naive.delete(*kind, uid);
            let meta = crate::cluster::model::Meta {
                uid: uid.clone().into(),
                ..crate::cluster::model::Meta::default()
            };
            inventory.delete(*kind, &meta, touched);
        }
        Step::List(kind, kept, broken) => {
            let objects = naive.objects(*kind);
            inventory.begin(*kind);
            for object in objects.iter().take(*broken) {
                inventory.apply(object, touched);
            }
            inventory.begin(*kind);
            for (object, kept) in objects.iter().zip(kept.iter().chain(std::iter::repeat(&true))) {
                if *kept {
                    inventory.apply(object, touched);
                } else {
                    naive.delete(*kind, &object.meta().uid);
                }
            }
            inventory.finish(*kind, touched);
            if *kind == Kind::Node {
                for number in 0..3 {
                    naive.delete(Kind::Node, &format!("/n{number}"));
                }
            }
        }
    }
}

fn rows(uses: &[WorkloadUse]) -> HashMap<Row, Numbers> {
    let rows: HashMap<_, _> = uses
        .iter()
        .map(|row| {
            let names = [&row.namespace, &row.kind, &row.name, &row.container].map(ToString::to_string);
            (
                (
                    names,
                    row.container_type,
                    row.reference.to_string(),
                    row.running.clone(),
                    row.lifecycle,
                ),
                (row.pods, row.ready_pods, row.since),
            )
        })
        .collect();
    assert_eq!(rows.len(), uses.len(), "no row comes twice");
    rows
}

fn answers(naive: &Naive) -> Vec<HashMap<Row, Numbers>> {
    REPOSITORIES.map(|name| naive.uses(&repository(name))).into()
}

proptest! {
    #[test]
    fn it_answers_as_the_naive_inventory_does(steps in vec(steps(), 1..60)) {
        let (mut inventory, mut naive) = (Inventory::default(), Naive::default());
        let mut before = answers(&naive);
        for step in &steps {
            let mut touched = Touched::default();
            perform(step, &mut inventory, &mut naive, &mut touched);
            let after = answers(&naive);
            let touched = touched.take();
            for ((name, before), after) in REPOSITORIES.iter().zip(&before).zip(&after) {
                let name = repository(name);
                prop_assert_eq!(&rows(&inventory.uses(&name, &|_| true)), after);
                let is_touched = touched.iter().any(|other| **other == name);
                prop_assert!(is_touched || before == after, "{} changed unnoticed", name);
            }
            prop_assert_eq!(inventory.usage(), naive.usage());
            before = after;
        }
        // Once more what is there already: nothing is touched.
        for kind in Kind::ALL {
            let mut touched = Touched::default();
            for object in naive.objects(kind) {
                inventory.apply(&object, &mut touched);
            }
            prop_assert!(touched.is_empty());
        }
        for kind in Kind::ALL {
            for object in naive.objects(kind) {
                delete(&mut inventory, kind, &object.meta().uid);
            }
        }
        for number in 0..3 {
            delete(&mut inventory, Kind::Node, &format!("/n{number}"));
        }
        prop_assert!(inventory.is_empty(), "{:?}", inventory);
    }

    /// One uid for several objects, owners in circles, names that come twice, texts that
    /// contradict each other: the answers are as wrong, but nothing breaks or stays.
    #[test]
    fn no_lie_of_a_cluster_breaks_it_or_stays(
        steps in vec((any::<bool>(), hostile_objects(), 0..4_usize), 1..60),
    ) {
        let mut inventory = Inventory::default();
        let mut touched = Touched::default();
        for (is_applied, object, other) in steps {
            if is_applied {
                inventory.apply(&object, &mut touched);
            } else {
                delete(&mut inventory, Kind::ALL[other], &format!("a/{other}"));
            }
            for name in REPOSITORIES {
                inventory.uses(&repository(name), &|_| true);
            }
            let _ = inventory.usage();
        }
        for kind in Kind::ALL {
            inventory.begin(kind);
            inventory.finish(kind, &mut touched);
        }
        prop_assert!(inventory.is_empty(), "{:?}", inventory);
    }
}

/// Kind, number, owner (kind, number), containers (name, image, image id).
type Hostile = (
    Kind,
    i32,
    Option<(&'static str, i32)>,
    Vec<(&'static str, &'static str, &'static str)>,
);

fn hostile_objects() -> impl Strategy<Value = Object<'static>> {
    let kinds = select(vec![Kind::Pod, Kind::ReplicaSet, Kind::Deployment, Kind::Job]);
    let owners = prop::option::of((select(vec!["Pod", "ReplicaSet", "Node", "X"]), 0..4));
    let containers = vec(
        (select(vec!["", "c"]), select(&IMAGES[..]), select(vec!["", A, B])),
        0..4,
    );
    (kinds, 0..4, owners, containers).prop_map(|(kind, number, owner, containers): Hostile| {
        fn build<T: Build>(object: T, owner: Option<(&str, i32)>, containers: &[(&str, &str, &str)]) -> T {
            let object = containers
                .iter()
                .fold(object, |object, (name, image, _)| object.container(name, image));
            match owner {
                Some((kind, number)) => object.owned_by(kind, &number.to_string()),
                None => object,
            }
        }
        let name = number.to_string();
        if kind == Kind::Pod {
            let pod = build(pod("a", &name), owner, &containers);
            let statuses = containers.iter();
            statuses
                .fold(pod, |pod, (name, _, image_id)| pod.runs(name, image_id))
                .object()
        } else {
            Object::Workload(build(workload(kind, "a", &name), owner, &containers))
        }
    })
}

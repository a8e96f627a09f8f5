use crate::{
    cluster::{
        Inventory, Kind, Touched, Usage,
        inventory::tests::fixture::{
            A, B, Build, BuildPod, apply, delete, lines, names, node, pod, repository, uses, workload,
        },
        model::{ContainerType, Object},
    },
    image::{Digest, RunningForm},
};

const APP: &str = "registry.example.com/shop/app";

fn app(tag: &str) -> String {
    format!("{APP}:{tag}")
}

fn web_pod(name: &str) -> crate::cluster::model::Pod<'static> {
    pod("shop", name)
        .owned_by("ReplicaSet", "web-1")
        .container("web", &app("v1"))
}

fn web_replica_set() -> Object<'static> {
    let replica_set = workload(Kind::ReplicaSet, "shop", "web-1")
        .owned_by("Deployment", "web")
        .container("web", &app("v1"));
    Object::Workload(replica_set)
}

fn web_deployment() -> Object<'static> {
    let deployment = workload(Kind::Deployment, "shop", "web").container("web", &app("v1"));
    Object::Workload(deployment)
}

#[test]
fn pods_of_a_deployment_are_one_row_beside_its_templates() {
    let mut inventory = Inventory::default();
    let image_id = format!("{APP}@{A}");
    apply(
        &mut inventory,
        [
            web_deployment(),
            web_replica_set(),
            web_pod("a").runs("web", &image_id).ready().created(30).object(),
            web_pod("b").runs("web", &image_id).created(20).object(),
        ],
    );
    let rows = lines(&inventory, APP);
    assert_eq!(
        rows,
        [
            "shop/Deployment/web web registry.example.com/shop/app:v1 aa Running 1/2",
            "shop/Deployment/web web registry.example.com/shop/app:v1 - Template 0/0",
            "shop/Deployment/web web registry.example.com/shop/app:v1 - Revision 0/0",
        ]
    );
    assert_eq!(uses(&inventory, APP)[0].since.as_second(), 20);
}

#[test]
fn an_owner_is_followed_to_the_top_in_whatever_order_it_is_seen() {
    let objects = || [web_pod("a").object(), web_replica_set(), web_deployment()];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut inventory = Inventory::default();
        for index in order {
            apply(&mut inventory, [objects()[index].clone()]);
        }
        let rows = uses(&inventory, APP);
        assert_eq!(rows.len(), 3, "{order:?}");
        assert!(
            rows.iter()
                .all(|row| &*row.kind == "Deployment" && &*row.name == "web")
        );
    }
}

#[test]
fn a_late_replica_set_touches_what_its_pods_use() {
    let mut inventory = Inventory::default();
    let sidecar = "mesh.example.com/proxy";
    let with_sidecar = web_pod("a").container("proxy", sidecar).object();
    assert_eq!(apply(&mut inventory, [with_sidecar]), [sidecar, APP]);
    assert_eq!(apply(&mut inventory, [web_replica_set()]), [sidecar, APP]);
    assert_eq!(apply(&mut inventory, [web_replica_set()]), [""; 0]);
}

#[test]
fn an_unknown_kind_is_shown_as_its_dependents_name_it() {
    let mut inventory = Inventory::default();
    let replica_set = workload(Kind::ReplicaSet, "shop", "web-1").owned_by("Rollout", "web");
    apply(
        &mut inventory,
        [Object::Workload(replica_set), web_pod("a").object()],
    );
    assert_eq!(&*uses(&inventory, APP)[0].kind, "Rollout");
}

#[test]
fn bare_and_static_pods_stand_for_themselves() {
    let mut inventory = Inventory::default();
    let bare = pod("shop", "bare").container("c", APP);
    let of_node = pod("kube-system", "static-node-1")
        .owned_by("Node", "node-1")
        .container("c", APP);
    apply(&mut inventory, [bare.object(), of_node.object()]);
    assert_eq!(
        lines(&inventory, APP),
        [
            "kube-system/Pod/static-node-1 c registry.example.com/shop/app - Running 0/1",
            "shop/Pod/bare c registry.example.com/shop/app - Running 0/1",
        ]
    );
}

#[test]
fn a_pod_that_owns_pods_leads_on_to_its_own_owner() {
    let driver = || pod("jobs", "driver").owned_by("SparkApplication", "pi").object();
    let executor = || {
        pod("jobs", "executor")
            .owned_by("Pod", "driver")
            .container("c", APP)
            .object()
    };
    for objects in [[driver(), executor()], [executor(), driver()]] {
        let mut inventory = Inventory::default();
        apply(&mut inventory, objects);
        assert_eq!(&*uses(&inventory, APP)[0].kind, "SparkApplication");
        delete(&mut inventory, Kind::Pod, "jobs/driver");
        assert_eq!(&*uses(&inventory, APP)[0].name, "pi");
        delete(&mut inventory, Kind::Pod, "jobs/executor");
        assert!(inventory.is_empty());
    }
}

#[test]
fn owners_in_a_circle_neither_hang_nor_stay() {
    let mut inventory = Inventory::default();
    let object = |name: &str, owner: &str| {
        Object::Workload(
            workload(Kind::ReplicaSet, "shop", name)
                .owned_by("ReplicaSet", owner)
                .container("c", APP),
        )
    };
    let names: Vec<_> = (0..40).map(|number| format!("r{number}")).collect();
    for (index, name) in names.iter().enumerate() {
        apply(&mut inventory, [object(name, &names[(index + 1) % names.len()])]);
    }
    apply(&mut inventory, [object("self", "self")]);
    assert!(!uses(&inventory, APP).is_empty());
    for name in &names {
        delete(&mut inventory, Kind::ReplicaSet, &format!("shop/{name}"));
    }
    delete(&mut inventory, Kind::ReplicaSet, "shop/self");
    assert!(inventory.is_empty());
}

#[test]
fn pods_keep_their_workload_while_it_is_being_deleted() {
    let mut inventory = Inventory::default();
    apply(
        &mut inventory,
        [web_deployment(), web_replica_set(), web_pod("a").object()],
    );
    delete(&mut inventory, Kind::Deployment, "shop/web");
    delete(&mut inventory, Kind::ReplicaSet, "shop/web-1");
    assert_eq!(
        lines(&inventory, APP),
        ["shop/Deployment/web web registry.example.com/shop/app:v1 - Running 0/1"]
    );
    delete(&mut inventory, Kind::Pod, "shop/a");
    assert!(inventory.is_empty());
}

#[test]
fn every_place_that_names_an_image_counts() {
    let mut inventory = Inventory::default();
    let types = [
        ContainerType::Container,
        ContainerType::Init,
        ContainerType::Ephemeral,
        ContainerType::ImageVolume,
    ];
    let mut all = pod("shop", "a");
    for container_type in types {
        // The same name everywhere: a volume may be named like a container.
        all = all
            .declares(container_type, "same", APP)
            .status(container_type, "same", A, "");
    }
    apply(&mut inventory, [all.object()]);
    let rows = uses(&inventory, APP);
    assert_eq!(
        rows.iter().map(|row| row.container_type).collect::<Vec<_>>(),
        types
    );
    assert!(rows.iter().all(|row| row.running.is_some()));
    assert_eq!(inventory.usage().containers, 3);
}

#[test]
fn lifecycles_follow_the_kind_and_what_controls_it() {
    use crate::cluster::Lifecycle::{Revision, Scheduled, Template};
    let owned = |kind, owner| workload(kind, "n", "x").owned_by(owner, "owner");
    let alone = |kind| workload(kind, "n", "x");
    let finished = |mut job: crate::cluster::model::Workload<'static>| {
        job.finished = true;
        job
    };
    let table = [
        (alone(Kind::Deployment), Template),
        (alone(Kind::StatefulSet), Template),
        (owned(Kind::StatefulSet, "Prometheus"), Template),
        (alone(Kind::DaemonSet), Template),
        (alone(Kind::ReplicaSet), Template),
        (owned(Kind::ReplicaSet, "Deployment"), Revision),
        (owned(Kind::ReplicaSet, "Rollout"), Revision),
        (alone(Kind::Job), Template),
        (owned(Kind::Job, "CronJob"), Template),
        (finished(alone(Kind::Job)), Revision),
        (finished(owned(Kind::Job, "CronJob")), Revision),
        (alone(Kind::CronJob), Scheduled),
    ];
    for (workload, lifecycle) in table {
        let mut inventory = Inventory::default();
        apply(
            &mut inventory,
            [Object::Workload(workload.clone().container("c", APP))],
        );
        assert_eq!(uses(&inventory, APP)[0].lifecycle, lifecycle, "{workload:?}");
    }
}

#[test]
fn a_pod_that_is_going_is_not_ready_and_a_finished_one_not_running() {
    let mut inventory = Inventory::default();
    let mut going = pod("n", "going")
        .owned_by("StatefulSet", "db")
        .container("c", APP)
        .ready();
    going.meta.deleting = true;
    let done = pod("n", "done")
        .owned_by("StatefulSet", "db")
        .container("c", APP)
        .finished();
    apply(&mut inventory, [going.object(), done.object()]);
    assert_eq!(
        lines(&inventory, APP),
        [
            "n/StatefulSet/db c registry.example.com/shop/app - Running 0/1",
            "n/StatefulSet/db c registry.example.com/shop/app - Finished 0/1",
        ]
    );
}

#[test]
fn a_better_digest_is_kept_for_the_same_container_only() {
    let mut inventory = Inventory::default();
    let good = format!("{APP}@{A}");
    let running = |inventory: &Inventory| uses(inventory, APP)[0].running.clone();
    let in_container = |image_id: &str, id: &str| {
        pod("n", "p")
            .container("c", APP)
            .status(ContainerType::Container, "c", image_id, id)
            .object()
    };
    apply(&mut inventory, [in_container(B, "cri-o://1")]);
    assert_eq!(running(&inventory).unwrap().form, RunningForm::Bare);
    apply(&mut inventory, [in_container(&good, "cri-o://1")]);
    assert_eq!(running(&inventory).unwrap().digest.to_string(), A);
    // CRI-O restarted and reports the other form.
    assert_eq!(apply(&mut inventory, [in_container(B, "cri-o://1")]), [""; 0]);
    assert_eq!(running(&inventory).unwrap().digest.to_string(), A);
    assert_eq!(apply(&mut inventory, [in_container("", "cri-o://1")]), [""; 0]);
    assert_eq!(running(&inventory).unwrap().digest.to_string(), A);
    // A new container of the same name.
    assert_eq!(apply(&mut inventory, [in_container(B, "cri-o://2")]), [APP]);
    assert_eq!(running(&inventory).unwrap().digest.to_string(), B);
    // Nothing is known of a container that does not say which it is.
    apply(&mut inventory, [in_container("", "")]);
    assert_eq!(running(&inventory), None);
}

#[test]
fn a_change_of_what_is_not_read_touches_nothing() {
    let mut inventory = Inventory::default();
    let image_id = format!("{APP}@{A}");
    let first = || web_pod("a").runs("web", &image_id);
    assert_eq!(apply(&mut inventory, [first().object()]), [APP]);
    let mut again = first();
    again.meta.resource_version = "2".into();
    assert_eq!(apply(&mut inventory, [again.object()]), [""; 0]);
    let restarted = web_pod("a").status(ContainerType::Container, "web", &image_id, "containerd://other");
    assert_eq!(apply(&mut inventory, [restarted.object()]), [""; 0]);
    assert_eq!(apply(&mut inventory, [first().ready().object()]), [APP]);
    assert_eq!(delete(&mut inventory, Kind::Pod, "shop/unknown"), [""; 0]);
    assert_eq!(delete(&mut inventory, Kind::Pod, "shop/a"), [APP]);
}

#[test]
fn what_a_complete_list_lacks_is_gone_and_what_it_holds_stays() {
    let mut inventory = Inventory::default();
    let job = || Object::Workload(workload(Kind::Job, "shop", "j").container("c", APP));
    apply(
        &mut inventory,
        [
            web_pod("a").object(),
            web_pod("b").object(),
            job(),
            web_deployment(),
            node("n", &["10.0.0.1"]),
        ],
    );
    let mut touched = Touched::default();
    inventory.begin(Kind::Pod);
    inventory.apply(&web_pod("a").object(), &mut touched);
    inventory.apply(&web_pod("b").object(), &mut touched);
    // The connection broke and the list starts over: b has gone meanwhile.
    inventory.begin(Kind::Pod);
    inventory.apply(&web_pod("a").object(), &mut touched);
    assert!(touched.is_empty());
    inventory.finish(Kind::Pod, &mut touched);
    assert_eq!(names(&mut touched), [APP]);
    assert_eq!(inventory.usage().pods, 1);
    inventory.begin(Kind::Job);
    inventory.finish(Kind::Job, &mut touched);
    assert_eq!(names(&mut touched), [APP]);
    inventory.begin(Kind::Node);
    inventory.finish(Kind::Node, &mut touched);
    assert!(touched.everything());
    assert_eq!(uses(&inventory, APP).len(), 2, "the pod and the Deployment");
}

#[test]
fn a_silent_list_touches_nothing() {
    let mut inventory = Inventory::default();
    let mut touched = Touched::silent();
    inventory.apply(&web_pod("a").object(), &mut touched);
    inventory.apply(&node("n", &["10.0.0.1"]), &mut touched);
    inventory.finish(Kind::Pod, &mut touched);
    assert!(touched.is_empty());
}

#[test]
fn same_content_is_found_under_other_repositories_by_either_form() {
    let mut inventory = Inventory::default();
    let mirror = "mirror.example.com/shop/app";
    let objects = [
        pod("a", "1").container("c", APP).runs("c", &format!("{APP}@{A}")),
        pod("a", "2")
            .container("c", mirror)
            .runs("c", &format!("{APP}@{A}")),
        pod("b", "3").container("c", mirror).runs("c", A),
        pod("b", "4").container("c", mirror).runs("c", A).finished(),
        pod("b", "5").container("c", mirror).runs("c", B),
        pod("b", "6").container("c", "Not An Image").runs("c", A),
    ];
    apply(&mut inventory, objects.map(BuildPod::object));
    let digests: Vec<Digest> = [A, A].map(|digest| digest.parse().unwrap()).into();
    let except = [repository(APP)];
    let elsewhere = |allow: &dyn Fn(&str) -> bool| inventory.same_content_elsewhere(&digests, &except, allow);
    assert_eq!(elsewhere(&|_| true), 3);
    assert_eq!(elsewhere(&|namespace| namespace == "a"), 1);
    assert_eq!(inventory.same_content_elsewhere(&digests, &[], &|_| true), 4);
    assert_eq!(inventory.unreadable_images(), 1);
}

#[test]
fn namespaces_out_of_scope_are_left_out() {
    let mut inventory = Inventory::default();
    apply(
        &mut inventory,
        [pod("a", "1"), pod("b", "1")].map(|pod| pod.container("c", APP).object()),
    );
    let rows = inventory.uses(&repository(APP), &|namespace| namespace == "b");
    assert_eq!(rows.len(), 1);
    assert_eq!(&*rows[0].namespace, "b");
}

#[test]
fn usage_counts_what_was_read() {
    let mut inventory = Inventory::default();
    apply(
        &mut inventory,
        [
            web_deployment(),
            web_replica_set(),
            web_pod("a").container("proxy", "proxy").object(),
            web_pod("b").container("proxy", "proxy").object(),
            pod("other", "bare").container("c", "???").object(),
            node("n1", &["10.0.0.2", "fd00::1"]),
            node("n2", &["10.0.0.1", "10.0.0.2"]),
        ],
    );
    let expected = Usage {
        nodes: 2,
        namespaces: 2,
        workloads: 2,
        pods: 3,
        containers: 5,
        images: 3,
    };
    assert_eq!(inventory.usage(), expected);
    let addresses: Vec<_> = inventory
        .node_addresses()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(addresses, ["10.0.0.1", "10.0.0.2", "fd00::1"]);
}

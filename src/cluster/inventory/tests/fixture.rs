//! Objects to apply, told in few words.

use std::borrow::Cow;

use crate::{
    cluster::{
        Inventory, Kind, Touched, WorkloadUse,
        model::{Container, ContainerStatus, ContainerType, Controller, Meta, Node, Object, Pod, Workload},
    },
    image::RepositoryName,
};

pub(super) const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(super) const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Objects of one namespace: `name` is the uid too, unless said otherwise.
fn meta(namespace: &str, name: &str) -> Meta<'static> {
    Meta {
        uid: Cow::Owned(format!("{namespace}/{name}")),
        name: Cow::Owned(name.to_owned()),
        namespace: Cow::Owned(namespace.to_owned()),
        created: 1_700_000_000,
        ..Meta::default()
    }
}

pub(super) fn pod(namespace: &str, name: &str) -> Pod<'static> {
    Pod {
        meta: meta(namespace, name),
        ..Pod::default()
    }
}

pub(super) fn workload(kind: Kind, namespace: &str, name: &str) -> Workload<'static> {
    Workload {
        kind,
        meta: meta(namespace, name),
        containers: Vec::new(),
        finished: false,
    }
}

pub(super) fn node(name: &str, addresses: &[&str]) -> Object<'static> {
    Object::Node(Node {
        meta: meta("", name),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    })
}

/// What pods and workloads have in common.
pub(super) trait Build: Sized {
    fn parts(&mut self) -> (&mut Meta<'static>, &mut Vec<Container<'static>>);

    fn declares(mut self, kind: ContainerType, name: &str, image: &str) -> Self {
        self.parts().1.push(Container {
            kind,
            name: Cow::Owned(name.to_owned()),
            image: Cow::Owned(image.to_owned()),
        });
        self
    }

    fn container(self, name: &str, image: &str) -> Self {
        self.declares(ContainerType::Container, name, image)
    }

    /// Controlled by the object of this name in the same namespace.
    fn owned_by(mut self, kind: &str, name: &str) -> Self {
        let meta = self.parts().0;
        meta.controller = Some(Controller {
            uid: Cow::Owned(format!("{}/{name}", meta.namespace)),
            kind: Cow::Owned(kind.to_owned()),
            name: Cow::Owned(name.to_owned()),
        });
        self
    }

    fn created(mut self, seconds: i64) -> Self {
        self.parts().0.created = seconds;
        self
    }
}

impl Build for Pod<'static> {
    fn parts(&mut self) -> (&mut Meta<'static>, &mut Vec<Container<'static>>) {
        (&mut self.meta, &mut self.containers)
    }
}

impl Build for Workload<'static> {
    fn parts(&mut self) -> (&mut Meta<'static>, &mut Vec<Container<'static>>) {
        (&mut self.meta, &mut self.containers)
    }
}

pub(super) trait BuildPod {
    fn status(self, kind: ContainerType, name: &str, image_id: &str, container_id: &str) -> Self;
    fn runs(self, name: &str, image_id: &str) -> Self;
    fn ready(self) -> Self;
    fn finished(self) -> Self;
    fn object(self) -> Object<'static>;
}

impl BuildPod for Pod<'static> {
    fn status(mut self, kind: ContainerType, name: &str, image_id: &str, container_id: &str) -> Self {
        self.statuses.push(ContainerStatus {
            kind,
            name: Cow::Owned(name.to_owned()),
            image_id: Cow::Owned(image_id.to_owned()),
            container_id: Cow::Owned(container_id.to_owned()),
        });
        self
    }

    /// A regular container whose id is made of the pod's name and its own.
    fn runs(self, name: &str, image_id: &str) -> Self {
        let container_id = format!("containerd://{}-{name}", self.meta.uid);
        self.status(ContainerType::Container, name, image_id, &container_id)
    }

    fn ready(mut self) -> Self {
        self.ready = true;
        self
    }

    fn finished(mut self) -> Self {
        self.finished = true;
        self
    }

    fn object(self) -> Object<'static> {
        Object::Pod(self)
    }
}

/// Applies objects; the repositories they touch, sorted.
pub(super) fn apply(
    inventory: &mut Inventory,
    objects: impl IntoIterator<Item = Object<'static>>,
) -> Vec<String> {
    let mut touched = Touched::default();
    for object in objects {
        inventory.apply(&object, &mut touched);
    }
    names(&mut touched)
}

pub(super) fn delete(inventory: &mut Inventory, kind: Kind, uid: &str) -> Vec<String> {
    let mut touched = Touched::default();
    let meta = Meta {
        uid: Cow::Borrowed(uid),
        ..Meta::default()
    };
    inventory.delete(kind, &meta, &mut touched);
    names(&mut touched)
}

pub(super) fn names(touched: &mut Touched) -> Vec<String> {
    let mut names: Vec<_> = touched.take().iter().map(ToString::to_string).collect();
    names.sort();
    names
}

pub(super) fn repository(name: &str) -> RepositoryName {
    let (host, path) = name.split_once('/').unwrap();
    RepositoryName {
        host: host.to_owned(),
        path: path.to_owned(),
    }
}

/// Uses of a repository in all namespaces.
pub(super) fn uses(inventory: &Inventory, name: &str) -> Vec<WorkloadUse> {
    inventory.uses(&repository(name), &|_| true)
}

/// The same, a line each: `namespace/kind/name container reference digest lifecycle pods/ready`.
pub(super) fn lines(inventory: &Inventory, name: &str) -> Vec<String> {
    uses(inventory, name).iter().map(line).collect()
}

fn line(row: &WorkloadUse) -> String {
    let digest = row.running.as_ref().map_or("-".to_owned(), |running| {
        running.digest.to_string()[7..9].to_owned()
    });
    format!(
        "{}/{}/{} {} {} {digest} {:?} {}/{}",
        row.namespace,
        row.kind,
        row.name,
        row.container,
        row.reference,
        row.lifecycle,
        row.ready_pods,
        row.pods
    )
}

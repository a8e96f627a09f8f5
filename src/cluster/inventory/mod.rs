//! What one cluster runs and could run, kept small: a pod costs its uid, five ids and
//! a hash for each container; all it has in common with others is stored once.
//!
//! Written by the watch, one object at a time; read by [`Inventory::uses`] and its
//! sisters, which answer in plain values. Knows no Kubernetes client.

mod answer;
mod content;
mod owner;
mod pod;
mod query;
mod shared;
mod table;
mod text;
mod touched;
mod uid;

use std::{hash::BuildHasher, net::IpAddr};

use hashbrown::DefaultHashBuilder;

use self::{
    content::{Content, Contents, NewPart},
    owner::{Owner, Owners, Template},
    pod::Pod,
    table::{Id, Interner, Keyed, Table},
    text::{Namespace, cut, text_bytes},
    uid::Uid,
};
use super::{
    Kind,
    model::{self, Meta, Object},
};
use crate::image::{RunningDigest, RunningForm};

pub use answer::{Lifecycle, Usage, WorkloadUse};
pub use shared::SharedInventory;
pub use touched::Touched;

/// The state of one cluster as far as it was read.
#[derive(Debug, Default)]
pub struct Inventory {
    pods: Table<Pod>,
    owners: Owners,
    contents: Contents,
    namespaces: Interner<Namespace>,
    nodes: Table<Node>,
    /// Of container identifiers.
    hasher: DefaultHashBuilder,
    /// Heap bytes of what the records here own.
    owned_bytes: usize,
}

#[derive(Debug)]
struct Node {
    uid: Uid,
    addresses: Box<[IpAddr]>,
    seen: bool,
}

impl Keyed for Node {
    type Key = Uid;

    fn key(&self) -> &Uid {
        &self.uid
    }
}

impl Inventory {
    /// A complete list of a kind begins: objects that are not applied until
    /// [`Inventory::finish`] will be gone. May be called again to start over.
    pub fn begin(&mut self, kind: Kind) {
        match kind {
            Kind::Pod => self.pods.values_mut().for_each(|pod| pod.seen = false),
            Kind::Node => self.nodes.values_mut().for_each(|node| node.seen = false),
            kind => self
                .owners
                .templates_mut()
                .filter(|template| template.kind == kind)
                .for_each(|template| template.seen = false),
        }
    }

    /// The list is complete: what it did not hold was deleted while nobody watched.
    pub fn finish(&mut self, kind: Kind, touched: &mut Touched) {
        match kind {
            Kind::Pod => {
                for id in unseen(self.pods.iter(), |pod| pod.seen) {
                    self.remove_pod(id, touched);
                }
            }
            Kind::Node => {
                for id in unseen(self.nodes.iter(), |node| node.seen) {
                    self.remove_node(id, touched);
                }
            }
            kind => {
                let templates = self.owners.templates();
                for id in unseen(templates, |template| template.seen || template.kind != kind) {
                    self.remove_template(id, touched);
                }
            }
        }
    }

    /// Takes over an object as it is now, new or changed.
    pub fn apply(&mut self, object: &Object<'_>, touched: &mut Touched) {
        match object {
            Object::Pod(pod) => self.apply_pod(pod, touched),
            Object::Workload(workload) => self.apply_workload(workload, touched),
            Object::Node(node) => self.apply_node(node, touched),
        }
    }

    /// Forgets an object; one that is not known is no error.
    pub fn delete(&mut self, kind: Kind, meta: &Meta<'_>, touched: &mut Touched) {
        let uid = Uid::read(&meta.uid);
        match kind {
            Kind::Pod => {
                if let Some(id) = self.pods.find(&uid) {
                    self.remove_pod(id, touched);
                }
            }
            Kind::Node => {
                if let Some(id) = self.nodes.find(&uid) {
                    self.remove_node(id, touched);
                }
            }
            _ => {
                if let Some(id) = self.owners.find(&uid) {
                    self.remove_template(id, touched);
                }
            }
        }
    }

    /// Heap bytes held, as an estimate for the cluster's memory budget.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.pods.bytes()
            + self.owners.bytes()
            + self.contents.bytes()
            + self.namespaces.bytes()
            + self.nodes.bytes()
            + self.owned_bytes
    }

    /// Whether nothing at all is held, in any table.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pods.len() == 0
            && self.owners.is_empty()
            && self.contents.is_empty()
            && self.namespaces.len() == 0
            && self.nodes.len() == 0
            && self.owned_bytes == 0
    }

    fn apply_pod(&mut self, pod: &model::Pod<'_>, touched: &mut Touched) {
        let uid = Uid::read(&pod.meta.uid);
        let old = self.pods.find(&uid);
        let (content, container_ids) = self.read_containers(pod, old);
        let owner = self.acquire_pod_owner(uid, &pod.meta, touched);
        let namespace = self.acquire_namespace(&pod.meta.namespace);
        let mut new = Pod {
            uid,
            container_ids,
            owner,
            namespace,
            content,
            place: 0,
            created: seconds(pod.meta.created),
            is_finished: pod.finished,
            is_ready: pod.ready && !pod.meta.deleting,
            seen: true,
        };
        let Some(id) = old else {
            self.owned_bytes += pod_bytes(&new);
            touched.add(self.contents.repositories_of(content));
            let (id, _) = self.pods.find_or_insert(&uid, || new);
            self.join_content(id);
            return;
        };

        // From here on `new` changes places with the old record, which is let go of.
        let record = self.pods.get_mut(id);
        let is_visible = record.owner != new.owner
            || record.namespace != new.namespace
            || record.content != new.content
            || record.created != new.created
            || record.is_finished != new.is_finished
            || record.is_ready != new.is_ready;
        self.owned_bytes += pod_bytes(&new);
        self.owned_bytes -= pod_bytes(record);
        new.place = record.place;
        let old = std::mem::replace(record, new);
        if is_visible {
            touched.add(self.contents.repositories_of(old.content));
            touched.add(self.contents.repositories_of(content));
        }
        if old.content != content {
            self.join_content(id);
            self.leave_content(old.content, old.place);
        }
        self.owners.release(old.owner);
        self.release_namespace(old.namespace);
    }

    /// What a pod consists of, and the hashes of its container ids in the same order.
    fn read_containers(&mut self, pod: &model::Pod<'_>, old: Option<Id<Pod>>) -> (Id<Content>, Box<[u64]>) {
        let old = old.map(|id| self.pods.get(id));
        let mut container_ids = Vec::with_capacity(pod.containers.len());
        let parts: Vec<_> = pod
            .containers
            .iter()
            .map(|container| {
                let status = pod
                    .statuses
                    .iter()
                    .find(|status| status.kind == container.kind && status.name == container.name);
                let container_id = status.map_or(0, |status| match &*status.container_id {
                    "" => 0,
                    id => self.hasher.hash_one(id) | 1,
                });
                container_ids.push(container_id);
                let reported = status.and_then(|status| RunningDigest::parse(&status.image_id));
                let known = old
                    .filter(|_| container_id != 0)
                    .and_then(|old| self.known_digest(old, container, container_id));
                NewPart {
                    kind: container.kind,
                    name: &container.name,
                    image: &container.image,
                    running: best_digest(known, reported),
                }
            })
            .collect();
        let content = self.contents.get_or_insert(parts.into_iter());
        (content, container_ids.into())
    }

    /// What was last said to run in the same container (not in one that took its place).
    fn known_digest(
        &self,
        pod: &Pod,
        container: &model::Container<'_>,
        container_id: u64,
    ) -> Option<&RunningDigest> {
        let parts = &self.contents.get(pod.content).parts;
        let (part, _) = parts.iter().zip(&pod.container_ids).find(|(part, id)| {
            **id == container_id
                && part.kind == container.kind
                && **self.contents.name(part.name) == *cut(&container.name)
        })?;
        Some(self.contents.running(part.running?))
    }

    /// A reference to the owner of a pod: its controller, or the pod itself.
    fn acquire_pod_owner(&mut self, uid: Uid, meta: &Meta<'_>, touched: &mut Touched) -> Id<Owner> {
        // A static pod's mirror is controlled by its Node, which is no workload.
        let controller = meta.controller.as_ref().filter(|owner| owner.kind != "Node");
        let controller = controller.map(|controller| self.acquire_controller(controller));
        // Some controllers run pods that own pods, such as Spark's drivers.
        if let Some(itself) = self.owners.find(&uid) {
            let controller = controller.map(|controller| self.owners.share(controller));
            if self.owners.set_controller(itself, &meta.name, controller) {
                self.touch_dependents(itself, touched);
            }
        }
        controller.unwrap_or_else(|| self.owners.acquire(uid, Kind::Pod.name(), &meta.name))
    }

    /// A reference to the owner that an owner reference names.
    fn acquire_controller(&mut self, controller: &model::Controller<'_>) -> Id<Owner> {
        let uid = Uid::read(&controller.uid);
        let id = self.owners.acquire(uid, &controller.kind, &controller.name);
        if controller.kind == Kind::Pod.name()
            && let Some(pod) = self.pods.find(&uid)
        {
            let above = self.pods.get(pod).owner;
            if above != id {
                let above = self.owners.share(above);
                self.owners.set_controller(id, &controller.name, Some(above));
            }
        }
        id
    }

    fn remove_pod(&mut self, id: Id<Pod>, touched: &mut Touched) {
        let pod = self.pods.remove(id);
        self.owned_bytes -= pod_bytes(&pod);
        touched.add(self.contents.repositories_of(pod.content));
        self.leave_content(pod.content, pod.place);
        self.owners.release(pod.owner);
        self.release_namespace(pod.namespace);
    }

    fn join_content(&mut self, id: Id<Pod>) {
        let place = self.contents.join_pod(self.pods.get(id).content, id);
        // Ids of pods are 32 bits wide, so places are.
        self.pods.get_mut(id).place = u32::try_from(place).unwrap_or(u32::MAX);
    }

    fn leave_content(&mut self, content: Id<Content>, place: u32) {
        if let Some(moved) = self.contents.leave_pod(content, place as usize) {
            self.pods.get_mut(moved).place = place;
        }
    }

    fn apply_workload(&mut self, workload: &model::Workload<'_>, touched: &mut Touched) {
        let meta = &workload.meta;
        let uid = Uid::read(&meta.uid);
        let parts = workload.containers.iter().map(|container| NewPart {
            kind: container.kind,
            name: &container.name,
            image: &container.image,
            running: None,
        });
        let content = self.contents.get_or_insert(parts);
        let id = self.owners.acquire(uid, workload.kind.name(), &meta.name);
        self.contents.join_template(content, id);
        let new = Template {
            namespace: self.acquire_namespace(&meta.namespace),
            content,
            created: seconds(meta.created),
            lifecycle: template_lifecycle(workload.kind, meta.controller.is_some(), workload.finished),
            kind: workload.kind,
            seen: true,
        };
        let old = self.owners.set_template(id, Some(new));
        let controller = meta
            .controller
            .as_ref()
            .map(|controller| self.acquire_controller(controller));
        let is_moved = self.owners.set_controller(id, &meta.name, controller);
        let is_visible = is_moved
            || old.is_none_or(|old| {
                old.namespace != new.namespace
                    || old.content != content
                    || old.created != new.created
                    || old.lifecycle != new.lifecycle
            });
        if is_visible {
            touched.add(self.contents.repositories_of(content));
        }
        if let Some(old) = old {
            if is_visible {
                touched.add(self.contents.repositories_of(old.content));
            }
            self.let_go(id, &old);
        }
        if is_moved {
            self.touch_dependents(id, touched);
        }
    }

    fn remove_template(&mut self, id: Id<Owner>, touched: &mut Touched) {
        if let Some(old) = self.owners.set_template(id, None) {
            touched.add(self.contents.repositories_of(old.content));
            self.let_go(id, &old);
        }
    }

    /// Releases what a template that is no longer in place refers to.
    fn let_go(&mut self, id: Id<Owner>, old: &Template) {
        self.contents.leave_template(old.content, id);
        self.release_namespace(old.namespace);
        self.owners.release(id);
    }

    /// Pods and templates under an owner whose own owner changed are now shown under
    /// another. Rare outside an initial list, so nothing is kept to find them faster.
    fn touch_dependents(&self, id: Id<Owner>, touched: &mut Touched) {
        if touched.is_silent() || !self.owners.has_dependents(id) {
            return;
        }
        let is_under = |owner| self.owners.chain(owner).any(|above| above == id);
        for (_, pod) in self.pods.iter().filter(|(_, pod)| is_under(pod.owner)) {
            touched.add(self.contents.repositories_of(pod.content));
        }
        for (_, template) in self.owners.templates().filter(|(owner, _)| is_under(*owner)) {
            touched.add(self.contents.repositories_of(template.content));
        }
    }

    fn apply_node(&mut self, node: &model::Node<'_>, touched: &mut Touched) {
        let uid = Uid::read(&node.meta.uid);
        let (id, is_new) = self.nodes.find_or_insert(&uid, || Node {
            uid,
            addresses: Box::default(),
            seen: true,
        });
        let record = self.nodes.get_mut(id);
        record.seen = true;
        if is_new || *record.addresses != *node.addresses {
            self.owned_bytes += size_of_val(&*node.addresses);
            self.owned_bytes -= size_of_val(&*record.addresses);
            record.addresses = node.addresses.as_slice().into();
            touched.all();
        }
    }

    fn remove_node(&mut self, id: Id<Node>, touched: &mut Touched) {
        let node = self.nodes.remove(id);
        self.owned_bytes -= size_of_val(&*node.addresses);
        touched.all();
    }

    fn acquire_namespace(&mut self, name: &str) -> Id<Namespace> {
        let name = cut(name);
        let (id, is_new) = self.namespaces.acquire(name, || Namespace(name.into()));
        if is_new {
            self.owned_bytes += text_bytes(name);
        }
        id
    }

    fn release_namespace(&mut self, id: Id<Namespace>) {
        if let Some(namespace) = self.namespaces.release(id) {
            self.owned_bytes -= text_bytes(&namespace.0);
        }
    }
}

fn unseen<'a, T: 'a, I>(records: impl Iterator<Item = (I, &'a T)>, seen: impl Fn(&T) -> bool) -> Vec<I> {
    records
        .filter(|(_, record)| !seen(record))
        .map(|(id, _)| id)
        .collect()
}

/// Heap bytes of a pod's record, and its place in its content.
fn pod_bytes(pod: &Pod) -> usize {
    (size_of_val(&*pod.container_ids) + 8).next_multiple_of(16) + size_of::<Id<Pod>>()
}

/// Seconds since 1970 in four bytes, which last until 2106.
fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}

/// Of two reports about one container the one that names a manifest: runtimes change
/// the form when they restart (CRI-O), or report nothing for a while.
fn best_digest(known: Option<&RunningDigest>, reported: Option<RunningDigest>) -> Option<RunningDigest> {
    match (known, reported) {
        (Some(known), None) => Some(known.clone()),
        (Some(known), Some(reported))
            if known.form == RunningForm::Repository && reported.form == RunningForm::Bare =>
        {
            Some(known.clone())
        }
        (_, reported) => reported,
    }
}

/// A `ReplicaSet` under a Deployment repeats its current template or an older one, which
/// the Deployment does not run by itself any more; so does a Job that has ended.
fn template_lifecycle(kind: Kind, is_controlled: bool, is_finished: bool) -> Lifecycle {
    match kind {
        Kind::CronJob => Lifecycle::Scheduled,
        Kind::ReplicaSet if is_controlled => Lifecycle::Revision,
        Kind::Job if is_finished => Lifecycle::Revision,
        _ => Lifecycle::Template,
    }
}

#[cfg(test)]
mod tests;

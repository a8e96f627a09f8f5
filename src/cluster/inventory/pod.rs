use std::hash::BuildHasher;

use super::{
    Inventory, Mark, Touched,
    content::{Content, NewPart},
    owner::Owner,
    seconds,
    table::{Id, Keyed},
    text::{Namespace, cut},
    uid::Uid,
};
use crate::{
    cluster::{
        Kind,
        model::{self, Meta},
    },
    image::{RunningDigest, RunningForm},
};

/// A pod, less all that it shares with others.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) uid: Uid,
    /// What a container status called each container, in the order of the content's
    /// parts, as a hash; 0 where it said nothing yet.
    pub(super) container_ids: Box<[u64]>,
    /// Its controller; a pod that has none, or a Node (a static pod), owns itself.
    pub(super) owner: Id<Owner>,
    pub(super) namespace: Id<Namespace>,
    pub(super) content: Id<Content>,
    /// Where the content lists it.
    pub(super) place: u32,
    /// Seconds since 1970.
    pub(super) created: u32,
    pub(super) is_finished: bool,
    pub(super) is_ready: bool,
    pub(super) mark: Mark,
}

impl Keyed for Pod {
    type Key = Uid;

    fn key(&self) -> &Uid {
        &self.uid
    }
}

impl Inventory {
    pub(super) fn apply_pod(&mut self, pod: &model::Pod<'_>, touched: &mut Touched) {
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
            mark: Mark::seen_again(old.map(|id| self.pods.get(id).mark)),
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
    pub(super) fn acquire_controller(&mut self, controller: &model::Controller<'_>) -> Id<Owner> {
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

    pub(super) fn remove_pod(&mut self, id: Id<Pod>, touched: &mut Touched) {
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
}

/// Heap bytes of a pod's record, and its place in its content.
fn pod_bytes(pod: &Pod) -> usize {
    (size_of_val(&*pod.container_ids) + 8).next_multiple_of(16) + size_of::<Id<Pod>>()
}

/// Of two reports about one container the one that names a manifest: runtimes change
/// the form when they restart (CRI-O), or report nothing for a while.
pub(super) fn best_digest(
    known: Option<&RunningDigest>,
    reported: Option<RunningDigest>,
) -> Option<RunningDigest> {
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

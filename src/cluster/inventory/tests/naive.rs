//! The inventory without any of its cleverness: whole objects in maps, every answer
//! computed from all of them. What [`super::property`] compares with.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use crate::{
    cluster::{
        Kind, Lifecycle, Usage,
        inventory::{pod::best_digest, workload::template_lifecycle},
        model::{ContainerType, Controller, Meta, Object, Pod, Workload},
    },
    image::{Reference, RepositoryName, RunningDigest},
};

/// All of a row but its numbers, and its numbers: pods, ready pods, since.
pub(super) type Row = (
    [String; 4],
    ContainerType,
    String,
    Option<RunningDigest>,
    Lifecycle,
);
pub(super) type Numbers = (i64, i64, Timestamp);

#[derive(Debug, Default)]
pub(super) struct Naive {
    pods: BTreeMap<String, (Pod<'static>, Vec<Option<RunningDigest>>)>,
    workloads: BTreeMap<String, Workload<'static>>,
    nodes: BTreeSet<String>,
    /// Who controls an object that was seen, as long as something refers to it.
    controllers: BTreeMap<String, Option<Controller<'static>>>,
    /// Kind and name of everything that was ever named.
    names: BTreeMap<String, (String, String)>,
}

impl Naive {
    pub(super) fn apply(&mut self, object: &Object<'static>) {
        let meta = object.meta();
        let uid = meta.uid.to_string();
        self.learn(meta, object);
        match object {
            Object::Pod(pod) => {
                let running = self.running(pod);
                self.pods.insert(uid, (pod.clone(), running));
            }
            Object::Workload(workload) => {
                self.workloads.insert(uid, workload.clone());
            }
            Object::Node(_) => {
                self.nodes.insert(uid);
            }
        }
        self.forget();
    }

    pub(super) fn delete(&mut self, kind: Kind, uid: &str) {
        match kind {
            Kind::Pod => {
                self.pods.remove(uid);
            }
            Kind::Node => {
                self.nodes.remove(uid);
            }
            _ => {
                self.workloads.remove(uid);
            }
        }
        self.forget();
    }

    /// Objects of a kind, as they were last applied.
    pub(super) fn objects(&self, kind: Kind) -> Vec<Object<'static>> {
        let pods = self.pods.values().map(|(pod, _)| Object::Pod(pod.clone()));
        let workloads = self.workloads.values().filter(|workload| workload.kind == kind);
        match kind {
            Kind::Pod => pods.collect(),
            _ => workloads.cloned().map(Object::Workload).collect(),
        }
    }

    fn learn(&mut self, meta: &Meta<'static>, object: &Object<'static>) {
        let kind = match object {
            Object::Pod(_) => Kind::Pod,
            Object::Workload(workload) => workload.kind,
            Object::Node(_) => return,
        };
        let controller = meta
            .controller
            .clone()
            .filter(|controller| controller.kind != "Node");
        let uid = meta.uid.to_string();
        self.names
            .insert(uid.clone(), (kind.name().to_owned(), meta.name.to_string()));
        if let Some(controller) = &controller {
            let name = (controller.kind.to_string(), controller.name.to_string());
            self.names.insert(controller.uid.to_string(), name);
        }
        self.controllers.insert(uid, controller);
    }

    /// Drops what is known of owners that nothing refers to any more.
    fn forget(&mut self) {
        let referred = self.referred();
        self.controllers
            .retain(|uid, _| referred.contains(uid) || self.pods.contains_key(uid));
    }

    fn owner_of(&self, pod: &Pod<'static>) -> String {
        let controller = self.controllers[&*pod.meta.uid].as_ref();
        controller.map_or_else(
            || pod.meta.uid.to_string(),
            |controller| controller.uid.to_string(),
        )
    }

    /// Uids of all owners that objects lead to.
    fn referred(&self) -> BTreeSet<String> {
        let pods = self.pods.values().map(|(pod, _)| self.owner_of(pod));
        let mut open: Vec<String> = pods.chain(self.workloads.keys().cloned()).collect();
        let mut referred = BTreeSet::new();
        while let Some(uid) = open.pop() {
            if let Some(Some(controller)) = self.controllers.get(&uid) {
                open.push(controller.uid.to_string());
            }
            referred.insert(uid);
        }
        referred
    }

    fn top(&self, mut uid: String) -> (String, String) {
        while let Some(Some(controller)) = self.controllers.get(&uid) {
            uid = controller.uid.to_string();
        }
        self.names[&uid].clone()
    }

    fn running(&self, pod: &Pod<'static>) -> Vec<Option<RunningDigest>> {
        fn status<'a>(pod: &'a Pod<'_>, kind: ContainerType, name: &str) -> (&'a str, &'a str) {
            let mut statuses = pod.statuses.iter();
            let status = statuses.find(|status| status.kind == kind && status.name == name);
            status.map_or(("", ""), |status| (&*status.container_id, &*status.image_id))
        }
        let old = self.pods.get(&*pod.meta.uid);
        let containers = pod.containers.iter().map(|container| {
            let (container_id, image_id) = status(pod, container.kind, &container.name);
            let known = old.and_then(|(old, running)| {
                let place = old
                    .containers
                    .iter()
                    .position(|other| other.kind == container.kind && other.name == container.name)?;
                let (old_id, _) = status(old, container.kind, &container.name);
                (old_id == container_id && !old_id.is_empty()).then_some(running[place].as_ref()?)
            });
            best_digest(known, RunningDigest::parse(image_id))
        });
        containers.collect()
    }

    pub(super) fn uses(&self, repository: &RepositoryName) -> HashMap<Row, Numbers> {
        let mut rows = HashMap::new();
        let mut add = |meta: &Meta<'_>,
                       owner: String,
                       container: &str,
                       kind,
                       image: &str,
                       running,
                       lifecycle,
                       pods,
                       ready| {
            let Ok(reference) = image.parse::<Reference>() else {
                return;
            };
            if reference.repository != *repository {
                return;
            }
            let (owner_kind, owner_name) = self.top(owner);
            let names = [
                meta.namespace.to_string(),
                owner_kind,
                owner_name,
                container.to_owned(),
            ];
            let since = Timestamp::from_second(meta.created).unwrap();
            let numbers: &mut Numbers = rows
                .entry((names, kind, image.to_owned(), running, lifecycle))
                .or_insert((0, 0, since));
            numbers.0 += pods;
            numbers.1 += ready;
            numbers.2 = numbers.2.min(since);
        };
        for (pod, running) in self.pods.values() {
            let lifecycle = if pod.finished {
                Lifecycle::Finished
            } else {
                Lifecycle::Running
            };
            let ready = i64::from(pod.ready && !pod.meta.deleting);
            for (container, running) in pod.containers.iter().zip(running) {
                let (name, image) = (&container.name, &container.image);
                add(
                    &pod.meta,
                    self.owner_of(pod),
                    name,
                    container.kind,
                    image,
                    running.clone(),
                    lifecycle,
                    1,
                    ready,
                );
            }
        }
        for (uid, workload) in &self.workloads {
            let meta = &workload.meta;
            let lifecycle = template_lifecycle(workload.kind, meta.controller.is_some(), workload.finished);
            for container in &workload.containers {
                let (name, image) = (&container.name, &container.image);
                add(
                    meta,
                    uid.clone(),
                    name,
                    container.kind,
                    image,
                    None,
                    lifecycle,
                    0,
                    0,
                );
            }
        }
        rows
    }

    pub(super) fn usage(&self) -> Usage {
        let count = |number: usize| i64::try_from(number).unwrap();
        let pods = self.pods.values().map(|(pod, _)| (&pod.meta, &pod.containers));
        let workloads = self
            .workloads
            .values()
            .map(|workload| (&workload.meta, &workload.containers));
        let all: Vec<_> = pods.clone().chain(workloads).collect();
        let images = all.iter().flat_map(|(_, containers)| containers.iter());
        let containers = pods.flat_map(|(_, containers)| containers);
        let tops = self.referred().into_iter();
        Usage {
            nodes: count(self.nodes.len()),
            namespaces: count(
                all.iter()
                    .map(|(meta, _)| &meta.namespace)
                    .collect::<BTreeSet<_>>()
                    .len(),
            ),
            workloads: count(
                tops.filter(|uid| !matches!(self.controllers.get(uid), Some(Some(_))))
                    .count(),
            ),
            pods: count(self.pods.len()),
            containers: count(
                containers
                    .filter(|container| container.kind != ContainerType::ImageVolume)
                    .count(),
            ),
            images: count(
                images
                    .map(|container| &container.image)
                    .collect::<BTreeSet<_>>()
                    .len(),
            ),
        }
    }
}

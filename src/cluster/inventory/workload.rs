use super::{
    Inventory, Lifecycle, Mark, Touched,
    content::NewPart,
    owner::{Owner, Template},
    seconds,
    table::Id,
    uid::Uid,
};
use crate::cluster::{Kind, model};

impl Inventory {
    pub(super) fn apply_workload(&mut self, workload: &model::Workload<'_>, touched: &mut Touched) {
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
            mark: Mark::seen_again(self.owners.get(id).template.map(|old| old.mark)),
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

    pub(super) fn remove_template(&mut self, id: Id<Owner>, touched: &mut Touched) {
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
    pub(super) fn touch_dependents(&self, id: Id<Owner>, touched: &mut Touched) {
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
}

/// A `ReplicaSet` under a Deployment repeats its current template or an older one, which
/// the Deployment does not run by itself any more; so does a custom object that something
/// controls, and a Job that has ended.
pub(super) fn template_lifecycle(kind: Kind, is_controlled: bool, is_finished: bool) -> Lifecycle {
    match kind {
        Kind::CronJob => Lifecycle::Scheduled,
        Kind::ReplicaSet | Kind::Custom(_) if is_controlled => Lifecycle::Revision,
        Kind::Job if is_finished => Lifecycle::Revision,
        _ => Lifecycle::Template,
    }
}

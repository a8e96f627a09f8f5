//! Who a pod belongs to: owners by uid, each with its own controller, followed to the
//! top. An owner is known from the first owner reference that names it; its own
//! controller only once the owner itself was seen.

use std::sync::Arc;

use super::{Lifecycle, Mark};
use super::{
    content::Content,
    table::{Id, Interner, Keyed},
    text::{Name, Names, Namespace, cut, text_bytes},
    uid::Uid,
};
use crate::cluster::Kind;

/// Longer chains of owners are cut: real ones have at most four, and a remote may
/// build any.
const MAX_DEPTH: usize = 16;

/// Something that owns pods, lives as long as a pod, a dependent or its own object
/// refers to it: so its place in the chain outlives the object, and its last pods do
/// not change their workload while they go.
#[derive(Debug)]
pub(super) struct Owner {
    uid: Uid,
    pub(super) kind: Id<Name>,
    /// Kept of topmost owners only, which are shown: there are many more `ReplicaSets`
    /// than Deployments.
    pub(super) name: Option<Id<Name>>,
    controller: Option<Id<Owner>>,
    /// Where it is one of the six kinds and was seen.
    pub(super) template: Option<Template>,
}

impl Keyed for Owner {
    type Key = Uid;

    fn key(&self) -> &Uid {
        &self.uid
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Template {
    pub(super) namespace: Id<Namespace>,
    pub(super) content: Id<Content>,
    /// Seconds since 1970.
    pub(super) created: u32,
    pub(super) lifecycle: Lifecycle,
    pub(super) kind: Kind,
    pub(super) mark: Mark,
}

#[derive(Debug, Default)]
pub(super) struct Owners {
    /// Kinds and names.
    names: Names,
    by_uid: Interner<Owner>,
    /// Heap bytes of the texts.
    text_bytes: usize,
}

impl Owners {
    /// One more reference to an owner, known so far by what an owner reference says.
    pub(super) fn acquire(&mut self, uid: Uid, kind: &str, name: &str) -> Id<Owner> {
        let Self {
            names,
            by_uid,
            text_bytes,
        } = self;
        let (id, _) = by_uid.acquire(&uid, || Owner {
            uid,
            kind: acquire_name(names, text_bytes, kind),
            name: Some(acquire_name(names, text_bytes, name)),
            controller: None,
            template: None,
        });
        id
    }

    /// One reference less; the last also lets go of the owner's own controller.
    pub(super) fn release(&mut self, id: Id<Owner>) {
        let mut next = Some(id);
        while let Some(owner) = next.and_then(|id| self.by_uid.release(id)) {
            self.release_name(owner.kind);
            if let Some(name) = owner.name {
                self.release_name(name);
            }
            next = owner.controller;
        }
    }

    /// Says who controls an owner whose object was seen with this name; whether that is
    /// news. Takes over the reference to the controller. What would close a circle, or
    /// stands under too long a chain, is left out.
    pub(super) fn set_controller(
        &mut self,
        id: Id<Owner>,
        name: &str,
        controller: Option<Id<Owner>>,
    ) -> bool {
        let refused = controller.filter(|&controller| {
            self.chain(controller).count() == MAX_DEPTH || self.chain(controller).any(|above| above == id)
        });
        if let Some(refused) = refused {
            self.release(refused);
        }
        let new = controller.filter(|_| refused.is_none());
        let name = match (new, self.by_uid.get(id).name) {
            (Some(_), Some(name)) => {
                self.release_name(name);
                None
            }
            (None, None) => Some(acquire_name(&mut self.names, &mut self.text_bytes, name)),
            (_, kept) => kept,
        };
        let owner = self.by_uid.get_mut(id);
        owner.name = name;
        let old = std::mem::replace(&mut owner.controller, new);
        if let Some(old) = old {
            self.release(old);
        }
        old != new
    }

    pub(super) fn find(&self, uid: &Uid) -> Option<Id<Owner>> {
        self.by_uid.find(uid)
    }

    pub(super) fn get(&self, id: Id<Owner>) -> &Owner {
        self.by_uid.get(id)
    }

    pub(super) fn share(&mut self, id: Id<Owner>) -> Id<Owner> {
        self.by_uid.share(id)
    }

    /// Replaces an owner's template; the old one.
    pub(super) fn set_template(&mut self, id: Id<Owner>, template: Option<Template>) -> Option<Template> {
        std::mem::replace(&mut self.by_uid.get_mut(id).template, template)
    }

    /// The owner, its controller, and so on to the top.
    pub(super) fn chain(&self, id: Id<Owner>) -> impl Iterator<Item = Id<Owner>> {
        std::iter::successors(Some(id), |&id| self.by_uid.get(id).controller).take(MAX_DEPTH)
    }

    /// The topmost owner.
    pub(super) fn top(&self, id: Id<Owner>) -> &Owner {
        self.by_uid.get(self.chain(id).last().unwrap_or(id))
    }

    /// Whether anything but its own template refers to it.
    pub(super) fn has_dependents(&self, id: Id<Owner>) -> bool {
        self.by_uid.references(id) > u32::from(self.by_uid.get(id).template.is_some())
    }

    /// A kind's or an owner's name; empty where a chain was cut before the top.
    pub(super) fn name(&self, id: Option<Id<Name>>) -> Arc<str> {
        id.map(|id| Arc::clone(&self.names.get(id).0)).unwrap_or_default()
    }

    pub(super) fn templates(&self) -> impl Iterator<Item = (Id<Owner>, &Template)> {
        self.by_uid
            .iter()
            .filter_map(|(id, owner)| Some((id, owner.template.as_ref()?)))
    }

    pub(super) fn templates_mut(&mut self) -> impl Iterator<Item = &mut Template> {
        self.by_uid
            .values_mut()
            .filter_map(|owner| owner.template.as_mut())
    }

    /// Owners that nothing controls.
    pub(super) fn workloads(&self) -> usize {
        self.by_uid
            .iter()
            .filter(|(_, owner)| owner.controller.is_none())
            .count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.len() == 0 && self.by_uid.len() == 0 && self.text_bytes == 0
    }

    pub(super) fn trim(&mut self) {
        self.names.trim();
        self.by_uid.trim();
    }

    pub(super) fn bytes(&self) -> usize {
        self.names.bytes() + self.by_uid.bytes() + self.text_bytes
    }

    fn release_name(&mut self, id: Id<Name>) {
        if let Some(name) = self.names.release(id) {
            self.text_bytes -= text_bytes(&name.0);
        }
    }
}

fn acquire_name(names: &mut Names, bytes: &mut usize, text: &str) -> Id<Name> {
    let text = cut(text);
    let (id, is_new) = names.acquire(text, || Name(text.into()));
    if is_new {
        *bytes += text_bytes(text);
    }
    id
}

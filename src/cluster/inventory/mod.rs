//! What one cluster runs and could run, kept small: a pod costs its uid, five ids and
//! a hash for each container; all it has in common with others is stored once.
//!
//! Written by the watch, one object at a time; read by [`Inventory::uses`] and its
//! sisters, which answer in plain values. Knows no Kubernetes client.

mod answer;
mod content;
mod node;
mod owner;
mod pod;
mod query;
mod shared;
mod table;
mod text;
mod touched;
mod uid;
mod workload;

use hashbrown::DefaultHashBuilder;

use self::{
    content::Contents,
    node::Node,
    owner::{Owners, Template},
    pod::Pod,
    table::{Id, Interner, Table},
    text::{Namespace, cut, text_bytes},
    uid::Uid,
};
use super::{
    Kind,
    model::{Meta, Object},
};

pub use answer::{Lifecycle, Usage, WorkloadUse};
pub use shared::SharedInventory;
pub use touched::Touched;

/// In which complete lists an object is.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// In the one being read.
    seen: bool,
    /// In the last one that was complete.
    listed: bool,
}

impl Mark {
    /// Of an object that is applied, with the mark it had.
    fn seen_again(before: Option<Self>) -> Self {
        Self {
            seen: true,
            listed: before.is_some_and(|before| before.listed),
        }
    }
}

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

impl Inventory {
    /// A complete list of a kind begins: objects that are not applied until
    /// [`Inventory::finish`] will be gone. May be called again to start over.
    pub fn begin(&mut self, kind: Kind) {
        self.each_mark(kind, |mark| mark.seen = false);
    }

    /// The list is complete: what it did not hold was deleted while nobody watched.
    pub fn finish(&mut self, kind: Kind, touched: &mut Touched) {
        self.retain(kind, |mark| mark.seen, touched);
        self.each_mark(kind, |mark| mark.listed = true);
    }

    /// Goes back to the objects of the last complete list, as they are known now, and
    /// gives back the memory that the others took.
    pub fn forget_unlisted(&mut self, kind: Kind, touched: &mut Touched) {
        self.retain(kind, |mark| mark.listed, touched);
        self.pods.trim();
        self.owners.trim();
        self.contents.trim();
        self.namespaces.trim();
        self.nodes.trim();
    }

    fn each_mark(&mut self, kind: Kind, change: impl Fn(&mut Mark)) {
        match kind {
            Kind::Pod => self.pods.values_mut().for_each(|pod| change(&mut pod.mark)),
            Kind::Node => self.nodes.values_mut().for_each(|node| change(&mut node.mark)),
            kind => self
                .owners
                .templates_mut()
                .filter(|template| template.kind == kind)
                .for_each(|template| change(&mut template.mark)),
        }
    }

    /// Removes the objects of a kind of whose marks the predicate does not hold.
    fn retain(&mut self, kind: Kind, stays: impl Fn(Mark) -> bool, touched: &mut Touched) {
        match kind {
            Kind::Pod => {
                for id in which(self.pods.iter(), |pod| !stays(pod.mark)) {
                    self.remove_pod(id, touched);
                }
            }
            Kind::Node => {
                for id in which(self.nodes.iter(), |node| !stays(node.mark)) {
                    self.remove_node(id, touched);
                }
            }
            kind => {
                let goes = |template: &Template| template.kind == kind && !stays(template.mark);
                for id in which(self.owners.templates(), goes) {
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

fn which<'a, T: 'a, I>(records: impl Iterator<Item = (I, &'a T)>, is: impl Fn(&T) -> bool) -> Vec<I> {
    records
        .filter(|(_, record)| is(record))
        .map(|(id, _)| id)
        .collect()
}

/// Seconds since 1970 in four bytes, which last until 2106.
fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

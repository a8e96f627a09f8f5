use std::net::IpAddr;

use super::{
    Inventory, Mark, Touched,
    table::{Id, Keyed},
    uid::Uid,
};
use crate::cluster::model;

#[derive(Debug)]
pub(super) struct Node {
    uid: Uid,
    pub(super) addresses: Box<[IpAddr]>,
    pub(super) mark: Mark,
}

impl Keyed for Node {
    type Key = Uid;

    fn key(&self) -> &Uid {
        &self.uid
    }
}

impl Inventory {
    pub(super) fn apply_node(&mut self, node: &model::Node<'_>, touched: &mut Touched) {
        let uid = Uid::read(&node.meta.uid);
        let (id, is_new) = self.nodes.find_or_insert(&uid, || Node {
            uid,
            addresses: Box::default(),
            mark: Mark::seen_again(None),
        });
        let record = self.nodes.get_mut(id);
        record.mark.seen = true;
        if is_new || *record.addresses != *node.addresses {
            self.owned_bytes += size_of_val(&*node.addresses);
            self.owned_bytes -= size_of_val(&*record.addresses);
            record.addresses = node.addresses.as_slice().into();
            touched.all();
        }
    }

    pub(super) fn remove_node(&mut self, id: Id<Node>, touched: &mut Touched) {
        let node = self.nodes.remove(id);
        self.owned_bytes -= size_of_val(&*node.addresses);
        touched.all();
    }
}

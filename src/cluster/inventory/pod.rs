use super::{
    content::Content,
    owner::Owner,
    table::{Id, Keyed},
    text::Namespace,
    uid::Uid,
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
    /// In the list being read.
    pub(super) seen: bool,
}

impl Keyed for Pod {
    type Key = Uid;

    fn key(&self) -> &Uid {
        &self.uid
    }
}

//! What is read of a cluster's objects, whatever format they came in. Texts are
//! borrowed from the bytes received wherever these hold them as they are.

use std::{borrow::Cow, net::IpAddr};

use super::Kind;

/// An object as it was sent, less all that nothing reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object<'a> {
    Pod(Pod<'a>),
    Workload(Workload<'a>),
    Node(Node<'a>),
}

impl<'a> Object<'a> {
    #[must_use]
    pub fn meta(&self) -> &Meta<'a> {
        match self {
            Self::Pod(Pod { meta, .. })
            | Self::Workload(Workload { meta, .. })
            | Self::Node(Node { meta, .. }) => meta,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta<'a> {
    pub uid: Cow<'a, str>,
    pub name: Cow<'a, str>,
    /// Empty for a node.
    pub namespace: Cow<'a, str>,
    pub resource_version: Cow<'a, str>,
    /// Seconds since 1970; 0 where it is absent.
    pub created: i64,
    /// A deletion timestamp is set: it goes as soon as its finalizers and grace period allow.
    pub deleting: bool,
    pub controller: Option<Controller<'a>>,
}

/// The owner reference that is marked as the controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Controller<'a> {
    pub uid: Cow<'a, str>,
    pub kind: Cow<'a, str>,
    pub name: Cow<'a, str>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod<'a> {
    pub meta: Meta<'a>,
    pub containers: Vec<Container<'a>>,
    pub statuses: Vec<ContainerStatus<'a>>,
    /// Its phase is `Succeeded` or `Failed`.
    pub finished: bool,
    /// Its condition `Ready` is `True`.
    pub ready: bool,
}

/// What an object says about pods to come: one of the six kinds with a pod template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload<'a> {
    pub kind: Kind,
    pub meta: Meta<'a>,
    /// Of its pod template.
    pub containers: Vec<Container<'a>>,
    /// A Job that is `Complete` or `Failed`; false for the other kinds.
    pub finished: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node<'a> {
    pub meta: Meta<'a>,
    /// Those of its addresses that are IP addresses, in the order reported.
    pub addresses: Vec<IpAddr>,
}

/// Something in a pod that has an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container<'a> {
    pub kind: ContainerType,
    /// Name of the container, or of the volume.
    pub name: Cow<'a, str>,
    /// As written in the spec.
    pub image: Cow<'a, str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStatus<'a> {
    pub kind: ContainerType,
    pub name: Cow<'a, str>,
    /// `imageID`, or an image volume's `imageRef`; empty until it is known.
    pub image_id: Cow<'a, str>,
    /// With the runtime's scheme, for example `containerd://4cd4…`; empty until it is
    /// known, and for image volumes.
    pub container_id: Cow<'a, str>,
}

/// The places in a pod that name an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContainerType {
    Container,
    Init,
    Ephemeral,
    ImageVolume,
}

//! What a cluster is to consist of.

use anyhow::Result;

use crate::cluster::Cluster;
use crate::registry::Registry;

/// What runs the pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nodes {
    /// Nothing: pods stay Pending.
    #[default]
    None,
    /// One node with kubelet, containerd, runc, CNI and kube-proxy. Needs root.
    Real,
    /// That many nodes of kwok: pods run at once, without containers.
    Simulated(usize),
}

/// See [`Cluster::builder`].
#[derive(Clone, Debug, Default)]
pub struct ClusterBuilder {
    pub(crate) nodes: Nodes,
    pub(crate) registries: Vec<Registry>,
    /// Host in image references, and the name of the registry that serves it.
    pub(crate) image_hosts: Vec<(String, String)>,
    pub(crate) audit: bool,
    pub(crate) api_server_args: Vec<String>,
    pub(crate) without_root: bool,
}

impl ClusterBuilder {
    /// Which nodes it has.
    #[must_use]
    pub fn nodes(mut self, nodes: Nodes) -> Self {
        self.nodes = nodes;
        self
    }

    /// Adds an image registry. The first is the one meant where none is named.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registries.push(registry);
        self
    }

    /// Lets a real node pull images named after `host`, such as
    /// `registry.example.com`, from the registry of that name.
    #[must_use]
    pub fn map_image_host(mut self, host: &str, registry: &str) -> Self {
        self.image_hosts.push((host.to_owned(), registry.to_owned()));
        self
    }

    /// Writes an audit log of every request, without bodies.
    #[must_use]
    pub fn audit_log(mut self) -> Self {
        self.audit = true;
        self
    }

    /// Adds a flag to the API server's. Of a flag given twice the last counts.
    #[must_use]
    pub fn api_server_arg(mut self, arg: &str) -> Self {
        self.api_server_args.push(arg.to_owned());
        self
    }

    /// Makes do without root's rights even where there are: everything listens on
    /// the machine's loopback, in a user namespace. Without root this is so anyway.
    #[must_use]
    pub fn without_root(mut self) -> Self {
        self.without_root = true;
        self
    }

    /// Starts it: [`Cluster::start`].
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn start(self) -> Result<Cluster> {
        Cluster::start(self).await
    }
}

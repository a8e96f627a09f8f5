//! A Kubernetes cluster and image registries from native processes, for tests,
//! benchmarks and the demo. Nothing is a mock: etcd, the control plane, the
//! registries and, as root, a node with kubelet and containerd are the real ones.
//! Without root, or where thousands of pods are wanted, nodes are simulated.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use local_cluster::{Cluster, Image, Nodes, Registry};
//!
//! let cluster = Cluster::builder()
//!     .nodes(Nodes::Real)
//!     .registry(Registry::v3("registry"))
//!     .map_image_host("registry.example.com", "registry")
//!     .start()
//!     .await?;
//! cluster.push_image(&Image::busybox()?, "shop/web", "v1").await?;
//! cluster.kubectl(&["create", "deployment", "web", "--image=registry.example.com/shop/web:v1"]).await?;
//! cluster.end().await;
//! # Ok(())
//! # }
//! ```
//!
//! Each program's settings are in one file: `control_plane.rs`, `node.rs`,
//! `registry.rs`, `simulated.rs` with `kwok/`. Which comes after which is in
//! `start.rs`. What holds a cluster together and takes it away is in `namespace.rs`
//! with `namespace/`.

mod access;
mod builder;
mod clients;
mod cluster;
mod control_plane;
mod image;
pub mod named;
mod namespace;
mod network;
mod node;
mod pki;
mod postgres;
mod process;
mod programs;
mod public_client;
mod registry;
mod simulated;
mod start;
mod wait;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

pub use access::{Access, Credentials};
pub use builder::{ClusterBuilder, Nodes};
pub use clients::output;
pub use cluster::{Cluster, SavedState};
pub use image::{Image, PushedImage};
pub use network::Network;
pub use node::NODE_NAME;
pub use pki::KeyedCertificate;
pub use postgres::PostgresServer;
pub use process::Program;
pub use programs::{Programs, static_busybox};
pub use public_client::PublicClient;
pub use registry::{NotificationEndpoint, Registry, RegistryVersion};
pub use wait::wait_until;

/// Where programs and the state of named clusters are kept between runs:
/// `LOCAL_CLUSTER_CACHE`, or a folder of the project's below the user's cache.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = set("LOCAL_CLUSTER_CACHE") {
        return Ok(folder);
    }
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let cache = cache.context("neither XDG_CACHE_HOME nor HOME is set: set LOCAL_CLUSTER_CACHE")?;
    Ok(cache.join("image-usage-operator"))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

//! How a cluster comes up: which part after which, and what each waits for.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::net::{TcpStream, UnixStream};

use crate::access::{Access, RegistryAddress};
use crate::builder::{ClusterBuilder, Nodes};
use crate::cluster::Cluster;
use crate::image::Image;
use crate::namespace::{Guardian, Isolation};
use crate::network::Network;
use crate::node::{self, PAUSE};
use crate::pki::{Authority, random_token};
use crate::process::Processes;
use crate::programs::{Programs, static_busybox};
use crate::registry::{self, Registry};
use crate::{control_plane, simulated};

/// How long any one part may take to become ready. Generous: several clusters
/// may be starting on a small machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The registry that serves the node's own images, so that what happens in the
/// others is only what their users did.
const SYSTEM_REGISTRY: &str = "system-registry";

/// The programs that such a cluster is made of.
fn needed(options: &ClusterBuilder) -> Vec<&'static str> {
    let mut names = vec!["unshare", "nsenter", "ip", "kubectl"];
    names.extend([
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ]);
    match options.nodes {
        Nodes::None => (),
        Nodes::Simulated(_) => names.push("kwok"),
        Nodes::Real => names.extend(node::PROGRAMS),
    }
    for registry in &options.registries {
        names.extend(["crane", registry.version.program()]);
    }
    names.sort_unstable();
    names.dedup();
    names
}

impl Cluster {
    /// Starts a cluster and waits until it is ready.
    ///
    /// # Errors
    /// When programs are missing, when there is no root for a real node, or when a
    /// part does not become ready: then the folder is kept, and the error names
    /// the part's log and its last lines.
    pub async fn start(options: ClusterBuilder) -> Result<Self> {
        let begun = Instant::now();
        let mut cluster = Self::lay_ground(&options)?;
        cluster.timings.push(("namespaces", begun.elapsed()));
        match cluster.bring_up(&options, begun).await {
            Ok(()) => {
                cluster.started = true;
                Ok(cluster)
            }
            Err(error) => {
                cluster.keep_folder();
                Err(error.context(format!(
                    "failed to start a cluster; kept {}",
                    cluster.folder.display()
                )))
            }
        }
    }

    /// Folder, addresses and namespaces, with nothing in them.
    fn lay_ground(options: &ClusterBuilder) -> Result<Self> {
        let isolation = if options.without_root {
            Isolation::Rootless
        } else {
            Isolation::available()
        };
        let real = options.nodes == Nodes::Real;
        ensure!(
            !real || isolation == Isolation::Full,
            "a real node needs root; without it, use simulated nodes"
        );
        let programs = Programs::here()?;
        programs.check(&needed(options))?;
        let (network, lock) = Network::claim(isolation)?;
        let folder = tempfile::Builder::new()
            .prefix("local-cluster-")
            .tempdir()?
            .keep();
        for name in ["logs", "pids", "pki", "data"] {
            std::fs::create_dir(folder.join(name))?;
        }
        let (guardian, namespace) = Guardian::start(&folder, isolation, lock, &network.link())?;
        network.connect(&namespace)?;

        let api_port = network.port(6443)?;
        let mut registries = Vec::new();
        for (registry, preferred) in options.registries.iter().zip(5000..) {
            let host = format!("{}:{}", network.inner, network.port(preferred)?);
            registries.push(RegistryAddress {
                name: registry.name.clone(),
                host,
            });
        }
        let system_registry = real.then(|| format!("{}:5999", network.inner));
        let access = Access {
            authority: Authority::new()?,
            admin_token: random_token()?,
            network,
            namespace: namespace.clone(),
            api_port,
            registries,
            system_registry,
            programs,
            folder: folder.clone(),
        };
        control_plane::write_identities(&access)?;
        Ok(Self {
            processes: Processes::new(&folder, namespace),
            access,
            registries: options.registries.clone(),
            guardian: Some(guardian),
            timings: Vec::new(),
            started: false,
        })
    }

    async fn bring_up(&mut self, options: &ClusterBuilder, begun: Instant) -> Result<()> {
        let network = &self.access.network;
        let etcd_port = network.port(2379)?;
        let audit_log = options.audit.then(|| self.access.audit_log_path());
        let api_server = control_plane::api_server(
            &self.access,
            etcd_port,
            audit_log.as_deref(),
            &options.api_server_args,
        )?;
        self.processes
            .start(control_plane::etcd(&self.access, etcd_port, network.port(2380)?))
            .await?;
        self.processes.start(api_server).await?;
        for (registry, address) in self.registries.iter().zip(&self.access.registries) {
            self.processes
                .start(registry::program(&self.access, registry, &address.host)?)
                .await?;
        }
        if options.nodes == Nodes::Real {
            self.start_runtime(options).await?;
        }

        self.wait_for_api().await?;
        self.timings.push(("API server", begun.elapsed()));
        self.processes
            .start(control_plane::controller_manager(&self.access))
            .await?;
        self.processes
            .start(control_plane::scheduler(&self.access))
            .await?;
        match options.nodes {
            Nodes::Real => {
                // kubelet ends at once where nothing listens.
                self.wait_for_runtime().await?;
                self.processes.start(node::kubelet(&self.access)).await?;
                self.processes.start(node::kube_proxy(&self.access)).await?;
            }
            Nodes::Simulated(count) => {
                self.processes.start(simulated::kwok(&self.access)?).await?;
                self.access.apply(&simulated::nodes(count)).await?;
            }
            Nodes::None => {}
        }
        for address in &self.access.registries {
            self.wait_for_registry(&address.name, &address.host).await?;
        }
        // Pods of the namespace default can be made from here on.
        self.wait_for(
            "kube-controller-manager",
            "the default service account",
            async || self.access.kubectl(&["get", "serviceaccount", "default"]).await,
        )
        .await?;
        self.timings.push(("control plane", begun.elapsed()));
        self.wait_for_nodes(options).await?;
        self.timings.push(("nodes Ready", begun.elapsed()));
        Ok(())
    }

    /// containerd, and the registry with the one image that it needs itself.
    async fn start_runtime(&self, options: &ClusterBuilder) -> Result<()> {
        let access = &self.access;
        let host = access
            .system_registry
            .clone()
            .context("a real node has a system registry")?;
        let registry = Registry::v3(SYSTEM_REGISTRY);
        self.processes
            .start(registry::program(access, &registry, &host)?)
            .await?;
        node::write_config(access, &host)?;
        for address in &access.registries {
            node::map_image_host(&access.folder, &address.host, &address.host)?;
        }
        node::map_image_host(&access.folder, &host, &host)?;
        for (image_host, registry) in &options.image_hosts {
            self.map_image_host(image_host, registry)?;
        }
        self.processes.start(node::containerd(access)).await?;
        self.wait_for_registry(SYSTEM_REGISTRY, &host).await?;
        let pause = Image::scratch()
            .copy("/bin/busybox", &static_busybox()?, 0o755)
            .entrypoint(&["/bin/busybox", "sleep", "infinity"]);
        let (repository, tag) = PAUSE;
        access.push_image_to(&host, &pause, repository, tag).await?;
        Ok(())
    }

    pub(crate) async fn wait_for_api(&self) -> Result<()> {
        let address = (self.access.network.inner, self.access.api_port);
        self.wait_for("kube-apiserver", "the API server to be ready", || async {
            TcpStream::connect(address).await?;
            self.access.kubectl(&["get", "--raw", "/readyz"]).await
        })
        .await?;
        Ok(())
    }

    pub(crate) async fn wait_for_runtime(&self) -> Result<()> {
        let socket = self.access.namespace.path(node::CONTAINERD_SOCKET);
        self.wait_for("containerd", "containerd to listen", || async {
            UnixStream::connect(&socket)
                .await
                .with_context(|| format!("{} does not answer", socket.display()))
        })
        .await?;
        Ok(())
    }

    pub(crate) async fn wait_for_registry(&self, name: &str, host: &str) -> Result<()> {
        self.wait_for(name, "the registry to listen", || async {
            Ok(TcpStream::connect(host).await?)
        })
        .await?;
        Ok(())
    }

    async fn wait_for_nodes(&self, options: &ClusterBuilder) -> Result<()> {
        let (wanted, program) = match options.nodes {
            Nodes::Real => (1, "kubelet"),
            Nodes::Simulated(count) => (count, "kwok"),
            Nodes::None => return Ok(()),
        };
        let path = r#"jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}"#;
        self.wait_for(program, "the nodes to be Ready", || async {
            let states = self.access.kubectl(&["get", "nodes", "--output", path]).await?;
            let ready = states.split_whitespace().filter(|state| *state == "True").count();
            if ready == wanted {
                Ok(())
            } else {
                Err(anyhow!("{ready} of {wanted} nodes are Ready"))
            }
        })
        .await
    }

    async fn wait_for<T, Answer: Future<Output = Result<T>>>(
        &self,
        program: &str,
        what: &str,
        probe: impl FnMut() -> Answer,
    ) -> Result<T> {
        self.processes.wait(PATIENCE, program, what, probe).await
    }
}

//! A running cluster: its parts one by one, and its end.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::access::Access;
use crate::builder::ClusterBuilder;
use crate::control_plane;
use crate::namespace::Guardian;
use crate::node;
use crate::process::{Processes, Program};
use crate::registry::{self, NotificationEndpoint, Registry};

/// A running cluster. Everything it started ends with [`end`](Self::end), or when
/// this is dropped: then something went wrong, as when a test fails, and its logs
/// are kept.
///
/// What one can do with it is mostly in [`Access`], to which this dereferences.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) access: Access,
    pub(crate) processes: Processes,
    pub(crate) registries: Vec<Registry>,
    /// `None` once ended.
    pub(crate) guardian: Option<Guardian>,
    pub(crate) timings: Vec<(&'static str, Duration)>,
    /// Whether it ever was ready.
    pub(crate) started: bool,
}

/// What a cluster held: see [`Cluster::save_state`].
#[derive(Debug)]
pub struct SavedState {
    copy: TempDir,
}

impl Deref for Cluster {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl Cluster {
    /// Describes a cluster: one registry-less control plane without nodes, to which
    /// the builder adds.
    #[must_use]
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// How long after the start each stage was reached.
    #[must_use]
    pub fn timings(&self) -> &[(&'static str, Duration)] {
        &self.timings
    }

    /// Lets a real node pull images named after `image_host` from one of the
    /// cluster's registries. Counts from the next pull on.
    ///
    /// # Errors
    /// When there is no such registry.
    pub fn map_image_host(&self, image_host: &str, registry: &str) -> Result<()> {
        let host = self
            .registry_host_of(registry)
            .with_context(|| format!("there is no registry {registry}"))?;
        node::map_image_host(&self.access.folder, image_host, host)
    }

    /// Has a registry send its notifications elsewhere, by a restart. What it has
    /// not delivered is lost, as with any restart of it.
    ///
    /// # Errors
    /// When there is no such registry, or it does not come back.
    pub async fn set_notifications(
        &mut self,
        registry: &str,
        endpoints: Vec<NotificationEndpoint>,
    ) -> Result<()> {
        let host = self.registry_host_of(registry).map(str::to_owned);
        let host = host.with_context(|| format!("there is no registry {registry}"))?;
        let known = self.registries.iter_mut().find(|known| known.name == registry);
        let known = known.with_context(|| format!("there is no registry {registry}"))?;
        known.endpoints = endpoints;
        registry::write_config(&self.access, known, &host)?;
        self.restart(registry).await
    }

    /// Names of the programs, for [`stop`](Self::stop) and [`restart`](Self::restart).
    pub async fn program_names(&self) -> Vec<String> {
        self.processes.names().await
    }

    /// Ends one program, such as `kube-apiserver`, and leaves the others.
    ///
    /// # Errors
    /// When there is no such program.
    pub async fn stop(&self, program: &str) -> Result<()> {
        self.processes.stop(program).await
    }

    /// The same by a signal that it cannot handle.
    ///
    /// # Errors
    /// When there is no such program.
    pub async fn kill(&self, program: &str) -> Result<()> {
        self.processes.kill(program).await
    }

    /// Ends a program if it runs, starts it as before, and waits until it answers,
    /// where it is one that others call.
    ///
    /// # Errors
    /// When there is no such program, or it does not come back.
    pub async fn restart(&self, program: &str) -> Result<()> {
        self.restart_with(program, |_| ()).await
    }

    /// The same, started in another way.
    ///
    /// # Errors
    /// When there is no such program, or it does not come back.
    pub async fn restart_with(&self, program: &str, change: impl FnOnce(&mut Program)) -> Result<()> {
        self.processes.restart(program, change).await?;
        match program {
            "kube-apiserver" => self.wait_for_api().await,
            "containerd" => self.wait_for_runtime().await,
            _ => match self.access.registry_host_of(program) {
                Some(host) => self.wait_for_registry(program, host).await,
                None => Ok(()),
            },
        }
    }

    /// Restarts the API server and etcd, and keeps what they hold between the two.
    ///
    /// # Errors
    /// When it cannot be copied, or one of them does not come back.
    pub async fn save_state(&self) -> Result<SavedState> {
        self.stop("kube-apiserver").await?;
        self.stop("etcd").await?;
        let copy = tempfile::tempdir_in(&self.access.folder)?;
        control_plane::copy_state(&control_plane::state_folder(&self.access), copy.path())?;
        self.restart("etcd").await?;
        self.restart("kube-apiserver").await?;
        Ok(SavedState { copy })
    }

    /// Takes the cluster back to what it was, as one does with a backup: all that came since
    /// is gone, and versions of objects are counted up again from where they were then.
    ///
    /// # Errors
    /// When it cannot be copied back, or a part of the control plane does not come back.
    pub async fn restore_state(&self, state: &SavedState) -> Result<()> {
        self.stop("kube-apiserver").await?;
        self.stop("etcd").await?;
        let folder = control_plane::state_folder(&self.access);
        std::fs::remove_dir_all(&folder)?;
        control_plane::copy_state(state.copy.path(), &folder)?;
        self.restart("etcd").await?;
        self.restart("kube-apiserver").await?;
        // They would wait for changes after versions that are still to come.
        self.restart("kube-controller-manager").await?;
        self.restart("kube-scheduler").await
    }

    /// Runs a program of one's own inside, which ends with the cluster.
    ///
    /// # Errors
    /// When one of that name runs already.
    pub async fn run(&self, name: &str, path: &Path, args: &[&str]) -> Result<()> {
        self.processes
            .start(Program::new(name, path.to_owned()).args(args.iter().copied()))
            .await
    }

    /// Keeps logs and configuration when the cluster ends.
    pub fn keep_folder(&self) {
        // If even this cannot be written, there is nothing worth keeping.
        let _ = std::fs::write(self.access.folder.join("keep"), "");
    }

    /// Ends the cluster, waits until nothing of it is left, and removes its folder.
    pub async fn end(mut self) {
        if let Some(mut guardian) = self.guardian.take() {
            // It cannot panic, and if it did, the guardian has ended all the same.
            let _ = tokio::task::spawn_blocking(move || guardian.end()).await;
        }
        self.processes.reap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(mut guardian) = self.guardian.take() else {
            return;
        };
        if self.started {
            // Nobody said that it went well.
            self.keep_folder();
            eprintln!(
                "logs of the cluster are kept in {}",
                self.access.folder.join("logs").display()
            );
        }
        guardian.end();
        self.processes.reap();
    }
}

//! The programs that a cluster is made of: which they are, and where.
//!
//! Those written in Go are built by [`build`] from modules pinned in
//! `tools/go.mod`; the rest are Debian's, see [`debian`].

mod build;
mod debian;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Where the programs are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// The programs for this version of `tools/go.mod`, there or not.
    ///
    /// # Errors
    /// Without a cache folder or a home folder.
    pub fn here() -> Result<Self> {
        Ok(Self {
            folder: build::folder()?,
        })
    }

    /// Builds and installs what is missing, and tells `say` what and why.
    ///
    /// # Errors
    /// When something cannot be built, or not be installed without root.
    pub fn setup(say: impl Fn(&str)) -> Result<Self> {
        debian::install(&say)?;
        build::build_missing(&say)?;
        Self::here()
    }

    /// Fails, naming what is missing of these and the command that gets it.
    pub(crate) fn check(&self, names: &[&str]) -> Result<()> {
        let missing: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| !self.path(name).exists())
            .collect();
        ensure!(
            missing.is_empty(),
            "programs are missing: {}. Get them with: cargo run -p local-cluster -- setup",
            missing.join(", ")
        );
        Ok(())
    }

    /// The folder of the programs built from Go.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.folder
    }

    /// One of the programs, ours or the system's.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        let ours = self.folder.join(name);
        if ours.exists() {
            ours
        } else {
            debian::find(name).unwrap_or(ours)
        }
    }

    /// The same for words of a command: a bare name of ours becomes its path.
    pub(crate) fn resolve(&self, program: &OsStr) -> PathBuf {
        let ours = self.folder.join(program);
        if ours.exists() { ours } else { program.into() }
    }

    /// Ours, and the folders where Debian puts programs for root.
    pub(crate) fn path_variable(&self) -> OsString {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let mut path = self.folder.clone().into_os_string();
        for part in [
            OsStr::new(":"),
            &inherited,
            OsStr::new(":/usr/sbin:/sbin:/usr/bin:/bin"),
        ] {
            path.push(part);
        }
        path
    }

    /// Where Debian's CNI plugins are.
    pub(crate) fn cni_dir() -> &'static Path {
        Path::new("/usr/lib/cni")
    }

    /// The version of Kubernetes that `tools/go.mod` pins, such as `v1.36.3`.
    #[must_use]
    pub fn kubernetes_version() -> &'static str {
        build::version_of("k8s.io/kubernetes")
    }
}

/// A busybox that needs no libraries, for images. Its path.
///
/// # Errors
/// When it is not installed.
pub fn static_busybox() -> Result<PathBuf> {
    let path = PathBuf::from("/bin/busybox");
    ensure!(path.exists(), "busybox is missing (package busybox-static)");
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_kubernetes_is_read_from_the_modules() {
        let version = Programs::kubernetes_version();
        assert!(
            version.starts_with("v1.") && version.split('.').count() == 3,
            "{version}"
        );
    }

    #[test]
    fn whatever_a_real_node_needs_is_built_or_installed_by_setup() {
        for name in crate::node::PROGRAMS {
            assert!(
                build::knows(name) || debian::knows(name),
                "nobody provides {name}"
            );
        }
    }
}

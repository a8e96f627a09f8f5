//! The outer namespaces that hold a whole cluster, and the guardian that ends them.
//!
//! One process of ours, `guardian.sh`, stands outside. It holds the reading end
//! of a pipe whose writing end is in this process, and so does the first process of
//! the pid namespace, `init.sh`. When the pipe closes, on purpose, by a panic or
//! because this process was killed, `init.sh` ends, and with it every program,
//! container and shim; mounts, network devices and namespaces end with the last of
//! them. Then the guardian removes the cgroup folders and the cluster's own folder.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// How much of the machine a cluster has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// Its own network, processes and mounts. Needs root, and real nodes need it.
    Full,
    /// Its own processes and mounts, in a user namespace. The network is the
    /// machine's: everything listens on loopback, on ports that were free.
    /// For simulated nodes where there is no root.
    Rootless,
}

impl Isolation {
    /// The most this process may have.
    #[must_use]
    pub fn available() -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Full
        } else {
            Self::Rootless
        }
    }

    fn unshare_flags(self) -> &'static [&'static str] {
        match self {
            Self::Full => &["--net", "--pid", "--mount"],
            Self::Rootless => &["--user", "--map-current-user", "--pid", "--mount"],
        }
    }
}

/// Where a cluster's namespaces are, for entering them. Plain data, so that
/// another process can enter them too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Namespace {
    pub(crate) isolation: Isolation,
    /// Process id of `unshare`, which is itself in the mount and network
    /// namespaces, and whose children are in the pid namespace.
    holder: u32,
}

impl Namespace {
    /// The words to put before a command, so that it runs inside.
    pub(crate) fn enter(&self) -> Vec<String> {
        let of = |what: &str| format!("/proc/{}/ns/{what}", self.holder);
        let mut words = vec!["nsenter".to_owned()];
        if self.isolation == Isolation::Rootless {
            words.extend([
                format!("--user={}", of("user")),
                "--preserve-credentials".to_owned(),
            ]);
        } else {
            words.push(format!("--net={}", of("net")));
        }
        words.extend([
            format!("--mount={}", of("mnt")),
            format!("--pid={}", of("pid_for_children")),
            "--".to_owned(),
        ]);
        words
    }

    /// A path of the cluster's own mounts, as seen from outside.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.holder))
    }

    /// Process id to name as a network namespace to `ip link … netns`.
    pub(crate) fn holder(&self) -> u32 {
        self.holder
    }
}

/// The writing end of the guardian's pipe. Dropping it ends the cluster.
#[derive(Debug)]
pub(crate) struct Guardian {
    child: Child,
    folder: PathBuf,
}

impl Guardian {
    /// Makes the namespaces. `lock` is held until the last trace is removed.
    pub(crate) fn start(
        folder: &Path,
        isolation: Isolation,
        lock: Option<File>,
        link: &str,
    ) -> Result<(Self, Namespace)> {
        let write = |name: &str, text: &str| {
            std::fs::write(folder.join(name), text).with_context(|| format!("failed to write {name}"))
        };
        write("guardian.sh", include_str!("namespace/guardian.sh"))?;
        write("init.sh", include_str!("namespace/init.sh"))?;
        if isolation == Isolation::Full {
            write("own-network", "")?;
        }
        let mut command = Command::new("sh");
        command
            .arg(folder.join("guardian.sh"))
            .arg(folder)
            .arg(link)
            .args(isolation.unshare_flags())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(lock.map_or_else(Stdio::null, Stdio::from))
            .stderr(File::create(folder.join("logs/guardian.log"))?)
            // Ctrl-C at a terminal reaches the whole foreground group: not this one.
            .process_group(0);
        let child = command.spawn().context("failed to start the guardian (sh)")?;
        let mut guardian = Self {
            child,
            folder: folder.to_owned(),
        };
        let holder = guardian.wait_ready()?;
        Ok((guardian, Namespace { isolation, holder }))
    }

    fn wait_ready(&mut self) -> Result<u32> {
        let begun = Instant::now();
        while !self.folder.join("ready").exists() {
            let log = std::fs::read_to_string(self.folder.join("logs/namespace.log")).unwrap_or_default();
            if begun.elapsed() > Duration::from_secs(10) || log.contains("unshare:") {
                bail!(
                    "failed to make the cluster's namespaces with unshare, which needs root \
                     or user namespaces: {}",
                    log.trim()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let text = std::fs::read_to_string(self.folder.join("namespace.pid"))?;
        text.trim()
            .parse()
            .context("failed to read the namespace's process id")
    }

    /// Ends everything in the namespaces and waits until all of it is gone.
    pub(crate) fn end(&mut self) {
        drop(self.child.stdin.take());
        // The guardian always ends: it waits only for killed processes.
        let _ = self.child.wait();
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.end();
    }
}

//! Clusters that outlive the shell that started them, found again by name.
//!
//! A supervisor process owns the cluster and holds a lock as long as it does. What
//! others need to use the cluster is in a file beside the lock.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal};
use tokio::signal::unix::{SignalKind, signal};

use crate::access::Access;
use crate::builder::ClusterBuilder;
use crate::cluster::Cluster;

/// How long a supervisor may take to end its cluster before it is killed, after
/// which the cluster ends by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// The place of one name, whether a cluster of that name runs or not.
#[derive(Clone, Debug)]
pub struct Named {
    name: String,
    folder: PathBuf,
}

impl Named {
    /// The place of this name.
    ///
    /// # Errors
    /// When the name is not made of lower-case letters, digits and hyphens.
    pub fn new(name: &str) -> Result<Self> {
        let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        ensure!(
            !name.is_empty() && name.chars().all(allowed),
            "a cluster's name has only lower-case letters, digits and hyphens, unlike {name:?}"
        );
        Ok(Self {
            name: name.to_owned(),
            folder: clusters()?.join(name),
        })
    }

    /// All names that have a place.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn all() -> Result<Vec<Self>> {
        let mut found = Vec::new();
        let folder = clusters()?;
        if folder.exists() {
            for entry in std::fs::read_dir(folder)? {
                found.extend(entry?.file_name().to_str().and_then(|name| Self::new(name).ok()));
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The running cluster.
    ///
    /// # Errors
    /// When none of this name runs, or it is not ready yet.
    pub fn access(&self) -> Result<Access> {
        ensure!(
            self.is_running(),
            "no cluster named {} runs; see: local-cluster status",
            self.name
        );
        let text = std::fs::read_to_string(self.folder.join("state.json"))
            .with_context(|| format!("the cluster {} is still starting", self.name))?;
        serde_json::from_str(&text).context("failed to read the cluster's state")
    }

    /// Whether a supervisor of this name lives.
    #[must_use]
    pub fn is_running(&self) -> bool {
        File::open(self.folder.join("lock")).is_ok_and(|lock| lock.try_lock_shared().is_err())
    }

    /// Owns a cluster until it is told to end by a signal. `ready` is called once
    /// the cluster is.
    ///
    /// # Errors
    /// When one of this name runs already, or it does not start.
    pub async fn supervise(&self, options: ClusterBuilder, ready: impl FnOnce(&Cluster)) -> Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let lock = open(&self.folder.join("lock"))?;
        ensure!(
            lock.try_lock().is_ok(),
            "a cluster named {} runs already",
            self.name
        );
        let _ = std::fs::remove_file(self.folder.join("state.json"));
        std::fs::write(self.folder.join("pid"), std::process::id().to_string())?;

        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut told_to_end = async || {
            tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => (), _ = hangup.recv() => () }
        };
        let cluster = tokio::select! {
            cluster = Cluster::start(options) => cluster?,
            () = told_to_end() => bail!("interrupted while starting"),
        };
        self.write_state(&cluster)?;
        ready(&cluster);
        told_to_end().await;
        cluster.end().await;
        // The lock goes last: whoever sees it free finds nothing left.
        let _ = std::fs::remove_dir_all(&self.folder);
        drop(lock);
        Ok(())
    }

    fn write_state(&self, cluster: &Access) -> Result<()> {
        use std::io::Write as _;
        let unfinished = self.folder.join("state.json.new");
        let mut file = open(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(cluster)?)?;
        std::fs::rename(&unfinished, self.folder.join("state.json")).context("failed to write the state")
    }

    /// Starts a supervisor that lives on by itself: this program with `args`, which
    /// must come to [`supervise`](Self::supervise). Returns once the cluster is ready.
    ///
    /// # Errors
    /// When it does not become ready, with what the supervisor wrote.
    pub fn detach(&self, args: &[String]) -> Result<Access> {
        ensure!(!self.is_running(), "a cluster named {} runs already", self.name);
        std::fs::create_dir_all(&self.folder)?;
        let state = self.folder.join("state.json");
        let _ = std::fs::remove_file(&state);
        let log = self.folder.join("log");
        let written = File::create(&log)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(written.try_clone()?)
            .stderr(written)
            .spawn()
            .context("failed to start the supervisor")?;
        while !state.exists() {
            if child.try_wait()?.is_some() {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("{}", text.trim().trim_start_matches("error: "));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.access()
    }

    /// Ends the cluster of this name, if there is one, and waits until it is gone.
    /// Returns whether there was one.
    ///
    /// # Errors
    /// When its supervisor cannot be reached.
    pub fn down(&self) -> Result<bool> {
        let was_running = self.is_running();
        if was_running {
            let folder = self.access().ok().map(|access| access.folder);
            self.signal(Signal::TERM)?;
            if !wait(|| !self.is_running()) {
                self.signal(Signal::KILL)?;
            }
            let gone = wait(|| !self.is_running() && folder.as_ref().is_none_or(|folder| !folder.exists()));
            ensure!(gone, "the cluster {} did not end", self.name);
        }
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder)?;
        }
        Ok(was_running)
    }

    /// Only the living holder of the lock is ever signalled.
    fn signal(&self, signal: Signal) -> Result<()> {
        let text =
            std::fs::read_to_string(self.folder.join("pid")).context("failed to find the supervisor")?;
        let pid = text
            .trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .context("failed to read its process id")?;
        if self.is_running() {
            rustix::process::kill_process(pid, signal).context("failed to signal the supervisor")?;
        }
        Ok(())
    }
}

/// Leaves the session of the shell, so that its end is not ours.
///
/// # Errors
/// When this process leads a group already, and so has left.
pub fn leave_session() -> Result<()> {
    rustix::process::setsid()
        .map(|_| ())
        .context("failed to leave the shell's session")
}

fn clusters() -> Result<PathBuf> {
    Ok(crate::cache_folder()?.join("clusters"))
}

/// For this user alone: the state holds credentials.
fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path);
    file.with_context(|| format!("failed to open {}", path.display()))
}

fn wait(mut until: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !until() {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path() {
        for name in ["", ".", "..", "a/b", "/tmp", "A", "a b"] {
            assert!(Named::new(name).is_err(), "{name:?}");
        }
    }
}

//! A `PostgreSQL` server for tests: real, with every commit on disk, on loopback alone.

use std::{
    io::Write,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait_until;

/// Where Debian puts the programs.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// The unprivileged user that Debian's package brings: the server refuses root.
const USER: &str = "postgres";
/// How long it may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps the server, and the folder, no longer than the one who started it: its standard
/// input ends with that process, however that ends.
const GUARDIAN: &str = include_str!("postgres.sh");

/// A running server. It ends with the value, and at the latest with this process.
#[derive(Debug)]
pub struct PostgresServer {
    folder: PathBuf,
    port: u16,
    guardian: Child,
}

impl PostgresServer {
    /// Starts a server with its data in a temporary folder.
    ///
    /// # Errors
    /// Without the programs of Debian's package `postgresql-15`.
    pub async fn start() -> Result<Self> {
        Self::start_with(&std::env::temp_dir(), &[]).await
    }

    /// Starts a server with its data in a new folder inside of `parent`, and these settings.
    ///
    /// # Errors
    /// Without the programs of Debian's package `postgresql-15`.
    pub async fn start_with(parent: &Path, settings: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("postgres-")
            .tempdir_in(parent)?
            .keep();
        let owner = owner()?;
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group))?;
        }
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARDIAN, "postgres", PROGRAMS])
            .arg(&folder)
            .arg(port.to_string());
        for setting in settings {
            command.args(["-c", setting]);
        }
        if let Some((user, group)) = owner {
            command.gid(group).uid(user);
        }
        let guardian = command
            .current_dir(&folder)
            .stdin(Stdio::piped())
            // Ctrl-C at a terminal is for the owner.
            .process_group(0)
            .spawn()
            .context("failed to start a shell")?;
        let mut server = Self {
            folder,
            port,
            guardian,
        };
        server.begin().await?;
        Ok(server)
    }

    /// Of one of its databases, for its superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{USER}@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes the user that servers run as the owner of a file or folder.
    ///
    /// # Errors
    /// When that is not allowed.
    pub fn give(path: &Path) -> Result<()> {
        if let Some((user, group)) = owner()? {
            chown(path, Some(user), Some(group))?;
        }
        Ok(())
    }

    /// Starts it again after [`end`](Self::end).
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn begin(&mut self) -> Result<()> {
        self.tell("start")?;
        self.wait("the server to start", Self::is_ready).await
    }

    /// Ends it as an administrator would: connections are cut, what is committed stays.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn end(&mut self) -> Result<()> {
        self.tell("stop")?;
        self.wait("the server to stop", |folder| !pid_file(folder).exists())
            .await
    }

    /// Lets none of its processes run until [`resume`](Self::resume).
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it run again.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let leader = self.leader().context("the server does not run")?;
        for process in std::iter::once(leader).chain(children(leader)?) {
            if let Some(pid) = Pid::from_raw(process) {
                // One that has just ended needs no signal.
                let _ = kill_process(pid, signal);
            }
        }
        Ok(())
    }

    fn leader(&self) -> Option<i32> {
        let text = std::fs::read_to_string(pid_file(&self.folder)).ok()?;
        text.lines().next()?.parse().ok()
    }

    /// The server writes how it is into the last line of its file.
    fn is_ready(folder: &Path) -> bool {
        std::fs::read_to_string(pid_file(folder))
            .is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
    }

    fn tell(&mut self, word: &str) -> Result<()> {
        let input = self.guardian.stdin.as_mut().context("the guardian is gone")?;
        writeln!(input, "{word}").context("the guardian is gone")
    }

    async fn wait(&mut self, what: &str, is_there: impl Fn(&Path) -> bool) -> Result<()> {
        let waited = wait_until(PATIENCE, what, || {
            let (is_there, ended) = (is_there(&self.folder), self.guardian.try_wait());
            async move {
                if let Some(status) = ended? {
                    return Ok(Err(anyhow!("the server's guardian ended with {status}")));
                }
                ensure!(is_there, "not yet");
                Ok(Ok(()))
            }
        })
        .await;
        waited
            .and_then(|waited| waited)
            .map_err(|error| anyhow!("{error:#}{}", self.log()))
    }

    /// The end of its log, for an error message.
    fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(15)..].join("\n    ");
        format!("\n    {last}")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // One that stands still would not hear that it is to end.
        let _ = self.resume();
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
    }
}

fn pid_file(folder: &Path) -> PathBuf {
    folder.join("data/postmaster.pid")
}

/// Whom the server runs as, where we are root.
fn owner() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let entry = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(USER);
        let (user, group) = (fields.nth(1)?, fields.next()?);
        is_it.then(|| Some((user.parse().ok()?, group.parse().ok()?)))?
    });
    ensure!(
        entry.is_some() && Path::new(PROGRAMS).join("postgres").exists(),
        "PostgreSQL is missing. Get it with: cargo run -p local-cluster -- setup"
    );
    Ok(entry)
}

/// The processes whose parent is this one.
fn children(parent: i32) -> Result<Vec<i32>> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        // One that has just ended has no file any more.
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        // After the name in brackets: state, parent.
        let of = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1));
        let name = path.file_name().and_then(|name| name.to_str());
        if of == Some(parent.to_string().as_str())
            && let Some(process) = name.and_then(|name| name.parse().ok())
        {
            children.push(process);
        }
    }
    Ok(children)
}

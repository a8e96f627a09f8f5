//! The programs of one cluster: started inside its namespaces, each with a log
//! of its own, each stopped and restarted by name.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::namespace::Namespace;
use crate::wait::wait_until;

/// How long a program may take to end, unless it says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Unique in the cluster; also the name of its log.
    pub name: String,
    /// What is executed.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables beside those inherited.
    pub env: Vec<(String, String)>,
    /// How long it may take to end by itself before it is killed.
    pub patience: Duration,
}

impl Program {
    pub(crate) fn new(name: &str, path: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            path,
            args: Vec::new(),
            env: Vec::new(),
            patience: PATIENCE,
        }
    }

    pub(crate) fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn arg(self, arg: impl Into<String>) -> Self {
        self.args([arg.into()])
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }
}

#[derive(Debug)]
struct Entry {
    program: Program,
    /// `nsenter`, which lives as long as the program. `None` once stopped.
    child: Option<Child>,
}

/// All programs of a cluster.
#[derive(Debug)]
pub(crate) struct Processes {
    folder: PathBuf,
    namespace: Namespace,
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl Processes {
    pub(crate) fn new(folder: &Path, namespace: Namespace) -> Self {
        Self {
            folder: folder.to_owned(),
            namespace,
            entries: Mutex::default(),
        }
    }

    /// Starts a program, replacing one of that name that has ended.
    pub(crate) async fn start(&self, program: Program) -> Result<()> {
        let mut entries = self.entries.lock().await;
        if let Some(entry) = entries.get_mut(&program.name)
            && let Some(child) = &mut entry.child
            && child.try_wait()?.is_none()
        {
            bail!("{} is already running", program.name);
        }
        let child = self.spawn(&program)?;
        entries.insert(
            program.name.clone(),
            Entry {
                program,
                child: Some(child),
            },
        );
        Ok(())
    }

    fn spawn(&self, program: &Program) -> Result<Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log(&program.name))?;
        let enter = self.namespace.enter();
        // The shell leaves its process id, as seen inside, and becomes the program.
        let script = r#"echo $$ >"$0"; exec "$@""#;
        Command::new(&enter[0])
            .args(&enter[1..])
            .args(["sh", "-c", script])
            .arg(self.pid_file(&program.name))
            .arg(&program.path)
            .args(&program.args)
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C at a terminal is for the owner, who ends these in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("failed to start {}", program.path.display()))
    }

    /// Asks a program to end, and kills it if it does not.
    pub(crate) async fn stop(&self, name: &str) -> Result<()> {
        self.end(name, "TERM").await
    }

    /// Kills a program without asking.
    pub(crate) async fn kill(&self, name: &str) -> Result<()> {
        self.end(name, "KILL").await
    }

    async fn end(&self, name: &str, signal: &str) -> Result<()> {
        let mut entries = self.entries.lock().await;
        let entry = entries
            .get_mut(name)
            .ok_or_else(|| anyhow!("there is no program {name}"))?;
        let Some(mut child) = entry.child.take() else {
            return Ok(());
        };
        self.signal(name, signal).await;
        if tokio::time::timeout(entry.program.patience, child.wait())
            .await
            .is_err()
        {
            self.signal(name, "KILL").await;
            child.wait().await?;
        }
        Ok(())
    }

    async fn signal(&self, name: &str, signal: &str) {
        let enter = self.namespace.enter();
        // Fails only when the program has already ended.
        let _ = Command::new(&enter[0])
            .args(&enter[1..])
            .args(["sh", "-c", r#"kill -"$1" "$(cat "$0")""#])
            .arg(self.pid_file(name))
            .arg(signal)
            .stderr(Stdio::null())
            .status()
            .await;
    }

    /// Stops a program, lets `change` edit how it is run, and starts it again.
    pub(crate) async fn restart(&self, name: &str, change: impl FnOnce(&mut Program)) -> Result<()> {
        self.stop(name).await?;
        let mut entries = self.entries.lock().await;
        let entry = entries
            .get_mut(name)
            .ok_or_else(|| anyhow!("there is no program {name}"))?;
        change(&mut entry.program);
        entry.child = Some(self.spawn(&entry.program)?);
        Ok(())
    }

    /// Names of the programs that were started, running or not.
    pub(crate) async fn names(&self) -> Vec<String> {
        self.entries.lock().await.keys().cloned().collect()
    }

    /// Fails when a program that should be running has ended.
    pub(crate) async fn check(&self) -> Result<()> {
        for (name, entry) in self.entries.lock().await.iter_mut() {
            if let Some(child) = &mut entry.child
                && let Some(status) = child.try_wait()?
            {
                bail!("{name} ended with {status}{}", self.tail(name));
            }
        }
        Ok(())
    }

    /// Waits for a condition, but not for longer than every program lives.
    pub(crate) async fn wait<T, Answer: Future<Output = Result<T>>>(
        &self,
        deadline: Duration,
        name: &str,
        what: &str,
        mut probe: impl FnMut() -> Answer,
    ) -> Result<T> {
        let waiting = wait_until(deadline, what, || {
            let answer = probe();
            async {
                match self.check().await {
                    Ok(()) => answer.await.map(Ok),
                    Err(ended) => Ok(Err(ended)),
                }
            }
        });
        waiting
            .await
            .map_err(|error| anyhow!("{error:#}{}", self.tail(name)))?
    }

    /// Collects what is left of programs that were killed with their namespace.
    pub(crate) fn reap(&mut self) {
        let begun = Instant::now();
        for child in self
            .entries
            .get_mut()
            .values_mut()
            .filter_map(|entry| entry.child.as_mut())
        {
            while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("logs/{name}.log"))
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("pids/{name}"))
    }

    /// The end of a program's log, for an error message.
    fn tail(&self, name: &str) -> String {
        let path = self.log(name);
        let bytes = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(15)..].join("\n    ");
        format!("\n  log: {}\n    {last}", path.display())
    }
}

//! The operator as a process of its own, outside of pods: quick to start, to kill and to start again.

mod deliveries;
mod http;
mod objects;

use std::{
    fs::OpenOptions,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use local_cluster::{Access, NotificationEndpoint, wait_until};
use tempfile::TempDir;
use tokio::process::{Child, Command};

pub use deliveries::{accepted, push_envelope, wait_for_path};
pub use http::{Answer, request};
pub use objects::{
    ask, condition, create_namespace, create_secret, deployment, image_registry, in_cluster,
    kubeconfig_authorization, usage_report,
};

use crate::{NAMESPACE, TOKEN, operator_binary};

const READY_WITHIN: Duration = Duration::from_secs(30);
/// What a pod is given between SIGTERM and SIGKILL, less a margin.
const STOP_WITHIN: Duration = Duration::from_secs(25);
const DEFINITIONS_WITHIN: Duration = Duration::from_secs(30);
/// Below the range that outgoing connections take their ports from, so that it is free again after a kill.
const WEBHOOK_PORT: u16 = 8080;
const HEALTH_PORT: u16 = 8081;

/// The operator on a cluster. Its data folder and addresses stay the same from start to start; dropped, it is
/// killed.
#[derive(Debug)]
pub struct Operator {
    kubeconfig: String,
    environment: Vec<(String, String)>,
    webhook: SocketAddr,
    health: SocketAddr,
    data: TempDir,
    log: PathBuf,
    child: Option<Child>,
}

/// Applies the custom resource definitions as they are in `crds/`.
pub async fn install_definitions(home: &Access) -> Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds");
    home.kubectl(&[
        "apply",
        "--server-side",
        "--force-conflicts",
        "--filename",
        folder,
    ])
    .await?;
    await_definitions(home).await
}

/// Waits until the three kinds are served.
pub async fn await_definitions(home: &Access) -> Result<()> {
    let timeout = format!("--timeout={}s", DEFINITIONS_WITHIN.as_secs());
    let mut args = vec!["wait", "--for=condition=Established", &timeout];
    args.extend([
        "customresourcedefinition/clusterauthorizations.imageusage.dev",
        "customresourcedefinition/imageregistries.imageusage.dev",
        "customresourcedefinition/imageusagereports.imageusage.dev",
    ]);
    home.kubectl(&args).await?;
    Ok(())
}

impl Operator {
    /// Installs the definitions and the operator's namespace with the webhook's token, and starts the operator as
    /// the cluster's administrator.
    pub async fn start(home: &Access) -> Result<Self> {
        let mut operator = Self::prepare(home).await?;
        operator.up().await?;
        Ok(operator)
    }

    /// The same, and does not start the operator yet.
    pub async fn prepare(home: &Access) -> Result<Self> {
        install_definitions(home).await?;
        create_namespace(home, NAMESPACE).await?;
        create_secret(home, NAMESPACE, "registry-webhook", "token", TOKEN).await?;
        Self::new(home)
    }

    /// One that has not been started yet, with the administrator's kubeconfig.
    pub fn new(home: &Access) -> Result<Self> {
        let address = home.network().host_address();
        let data = tempfile::tempdir_in(home.dir())?;
        Ok(Self {
            kubeconfig: std::fs::read_to_string(home.kubeconfig_path())?,
            environment: Vec::new(),
            webhook: SocketAddr::new(IpAddr::V4(address), port(address, WEBHOOK_PORT)?),
            health: SocketAddr::new(IpAddr::V4(address), port(address, HEALTH_PORT)?),
            data,
            log: home.dir().join("logs/operator.log"),
            child: None,
        })
    }

    /// Speaks to the API server with this kubeconfig.
    #[must_use]
    pub fn kubeconfig(mut self, text: String) -> Self {
        self.kubeconfig = text;
        self
    }

    /// With this variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn up(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_ready().await
    }

    /// Starts it and does not wait.
    pub fn spawn(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the operator runs already");
        let kubeconfig = self.data.path().join("kubeconfig");
        std::fs::write(&kubeconfig, &self.kubeconfig)?;
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        // It ends with this process, however that ends.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(operator_binary()?)
            .arg("run")
            .env_clear()
            .env("OPERATOR_KUBECONFIG", kubeconfig)
            .env("POD_NAMESPACE", NAMESPACE)
            .env("DATA_DIR", self.data.path().join("data"))
            .env("WEBHOOK_ADDRESS", self.webhook.to_string())
            .env("HEALTH_ADDRESS", self.health.to_string())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        self.child = Some(
            command
                .spawn()
                .context("failed to start the operator (package util-linux)")?,
        );
        Ok(())
    }

    /// Waits for `/readyz`.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let health = self.health;
        let child = self.child.as_mut().context("the operator does not run")?;
        let ready = wait_until(READY_WITHIN, "the operator to be ready", || {
            let ended = child.try_wait();
            async move {
                if let Some(status) = ended? {
                    return Ok(Err(anyhow!("the operator ended with {status}")));
                }
                let answer = request(health, "GET", "/readyz", None, "").await?;
                ensure!(answer.status == 200, "{}", answer.body);
                Ok(Ok(()))
            }
        })
        .await;
        ready
            .and_then(|ready| ready)
            .map_err(|error| self.explained(&error))
    }

    /// Kills it: SIGKILL.
    pub async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the operator does not run")?;
        if let Some(status) = child.try_wait()? {
            bail!(
                "the operator had ended by itself with {status}; log: {}",
                self.log.display()
            );
        }
        child.kill().await?;
        Ok(())
    }

    /// Asks it to stop, SIGTERM, and sees it end well and in time.
    pub async fn stop(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the operator does not run")?;
        let pid = child
            .id()
            .context("the operator had ended by itself")?
            .to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await?;
        let Ok(status) = tokio::time::timeout(STOP_WITHIN, child.wait()).await else {
            bail!(
                "{}",
                self.explained(&anyhow!("the operator did not stop within {STOP_WITHIN:?}"))
            );
        };
        let status: ExitStatus = status?;
        ensure!(
            status.success(),
            "{}",
            self.explained(&anyhow!("the operator stopped with {status}"))
        );
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let mut child = self.child.take().context("the operator does not run")?;
        let Ok(status) = tokio::time::timeout(READY_WITHIN, child.wait()).await else {
            bail!(
                "{}",
                self.explained(&anyhow!("the operator did not end within {READY_WITHIN:?}"))
            );
        };
        Ok(status?)
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }

    /// Where registries deliver.
    #[must_use]
    pub fn webhook(&self) -> SocketAddr {
        self.webhook
    }

    /// For a registry's configuration: delivers to this path, with the token.
    #[must_use]
    pub fn notifications(&self, path: &str) -> NotificationEndpoint {
        NotificationEndpoint::new("operator", &format!("http://{}{path}", self.webhook)).bearer(TOKEN)
    }

    /// What `/metrics` says.
    pub async fn metrics(&self) -> Result<String> {
        Ok(request(self.health, "GET", "/metrics", None, "").await?.body)
    }

    /// The sum of a metric over those of its label sets that contain `labels`.
    pub async fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let text = self.metrics().await?;
        let samples = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (set, value) = rest.rsplit_once(' ')?;
            ((set.is_empty() || set.starts_with('{')) && set.contains(labels))
                .then(|| value.parse::<f64>().ok())?
        });
        Ok(samples.sum())
    }

    /// All that it has logged, over all its starts.
    pub fn log(&self) -> Result<String> {
        std::fs::read_to_string(&self.log).with_context(|| format!("failed to read {}", self.log.display()))
    }

    /// Where it logs.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    fn explained(&self, error: &anyhow::Error) -> anyhow::Error {
        let text = self.log().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(10)..].join("\n    ");
        anyhow!("{error:#}\n  log: {}\n    {last}", self.log.display())
    }
}

/// `preferred` on an address that is the cluster's own, otherwise a free one.
fn port(address: Ipv4Addr, preferred: u16) -> Result<u16> {
    if address.is_loopback() {
        return Ok(TcpListener::bind((address, 0))?.local_addr()?.port());
    }
    Ok(preferred)
}

//! `local-cluster`: sets up and runs clusters from a shell.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use local_cluster::named::{Named, leave_session};
use local_cluster::{Access, Cluster, Image, Nodes, NotificationEndpoint, Programs, Registry};

/// A real Kubernetes cluster and image registry from native processes.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build and install the programs that clusters are made of
    Setup,
    /// Print the folder of the programs
    Programs,
    /// Start a cluster and own it until interrupted
    Up(Up),
    /// End a cluster and everything it started
    Down(Down),
    /// List the clusters
    Status,
    /// Print variables for a shell: eval "$(local-cluster env --name NAME)"
    Env(Name),
    /// Run a command inside a cluster's namespaces
    Exec(Exec),
    /// Run a command as a client with an address of its own
    PublicClient(PublicClient),
    /// Make a small image and push it to a cluster's registry; print its digest
    Push(Push),
}

#[derive(Args)]
struct Name {
    /// Name of the cluster
    #[arg(long, default_value = "local")]
    name: String,
}

#[derive(Args)]
struct Up {
    #[command(flatten)]
    name: Name,
    /// real, simulated=N or none
    #[arg(long, default_value = "real", value_parser = parse_nodes)]
    nodes: Nodes,
    /// Image registry: v3, v2 or none. Its name is "registry"
    #[arg(long, default_value = "v3")]
    registry: String,
    /// Host in image references that the registry serves to the node
    #[arg(long)]
    image_host: Vec<String>,
    /// Where the registry sends its notifications; {webhook-address} stands for
    /// the service address that `env` shows as `WEBHOOK_ADDRESS`
    #[arg(long)]
    notify: Option<String>,
    /// Header of the notifications, as "Name: value"
    #[arg(long, requires = "notify")]
    notify_header: Vec<String>,
    /// Write an audit log of the API server
    #[arg(long)]
    audit: bool,
    /// Return once it is ready, and let it live until `down`
    #[arg(long)]
    detach: bool,
    /// What --detach starts
    #[arg(long, hide = true)]
    supervisor: bool,
}

#[derive(Args)]
struct Down {
    /// Name of the cluster; may be given several times
    #[arg(long, default_value = "local")]
    name: Vec<String>,
    /// End every cluster of this user, whoever started it
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
struct Exec {
    #[command(flatten)]
    name: Name,
    #[arg(last = true, required = true)]
    words: Vec<String>,
}

#[derive(Args)]
struct PublicClient {
    #[command(flatten)]
    name: Name,
    /// Address that the cluster's servers see
    #[arg(long, default_value = "203.0.113.7")]
    address: Ipv4Addr,
    #[arg(last = true, required = true)]
    words: Vec<String>,
}

#[derive(Args)]
struct Push {
    #[command(flatten)]
    name: Name,
    /// A static binary, run as the image's entry point; without one it is a busybox that sleeps
    #[arg(long)]
    binary: Option<PathBuf>,
    /// A file of this machine to add, as FROM=/to
    #[arg(long)]
    file: Vec<String>,
    /// A label, as name=value
    #[arg(long)]
    label: Vec<String>,
    /// User and group it runs as
    #[arg(long, default_value = "65532:65532")]
    user: String,
    /// Push to the registry of the node's own images, which sends no notifications
    #[arg(long)]
    system_registry: bool,
    /// repository:tag
    target: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup => {
            let programs = Programs::setup(|line| eprintln!("{line}"))?;
            println!("programs are in {}", programs.dir().display());
        }
        Command::Programs => println!("{}", Programs::here()?.dir().display()),
        Command::Up(up) => up.run().await?,
        Command::Down(Down { all: true, .. }) => {
            for named in Named::all()? {
                down(&named)?;
            }
        }
        Command::Down(Down { name, .. }) => {
            for name in name {
                down(&Named::new(&name)?)?;
            }
        }
        Command::Status => status()?,
        Command::Env(name) => print_environment(&name.access()?),
        Command::Exec(exec) => {
            let (program, args) = split(&exec.words);
            become_command(exec.name.access()?.exec_in_network(program), args)?;
        }
        Command::PublicClient(client) => {
            let (program, args) = split(&client.words);
            let access = client.name.access()?;
            become_command(access.public_client(client.address).await?.command(program), args)?;
        }
        Command::Push(push) => push.run().await?,
    }
    Ok(())
}

impl Name {
    fn access(&self) -> Result<Access> {
        Named::new(&self.name)?.access()
    }
}

impl Up {
    async fn run(&self) -> Result<()> {
        let named = Named::new(&self.name.name)?;
        if self.detach {
            let words = std::env::args().skip(1).filter(|word| word != "--detach");
            let words: Vec<String> = words.chain(["--supervisor".to_owned()]).collect();
            print_summary(&named, &named.detach(&words)?);
            return Ok(());
        }
        if self.supervisor {
            leave_session()?;
        }
        let shown = named.clone();
        named
            .supervise(self.options()?, |cluster| {
                print_summary(&shown, cluster);
                println!("it ends when this is interrupted");
            })
            .await
    }

    fn options(&self) -> Result<local_cluster::ClusterBuilder> {
        let mut builder = Cluster::builder().nodes(self.nodes);
        if self.audit {
            builder = builder.audit_log();
        }
        let mut registry = match self.registry.as_str() {
            "v3" => Registry::v3("registry"),
            "v2" => Registry::v2("registry"),
            "none" => return Ok(builder),
            other => bail!("a registry is v3, v2 or none, not {other:?}"),
        };
        if let Some(url) = &self.notify {
            let mut endpoint = NotificationEndpoint::new("webhook", url);
            for header in &self.notify_header {
                let (name, value) = pair(header, ":")?;
                endpoint = endpoint.header(name, value.trim());
            }
            registry = registry.notify(endpoint);
        }
        builder = builder.registry(registry);
        for host in &self.image_host {
            builder = builder.map_image_host(host, "registry");
        }
        Ok(builder)
    }
}

impl Push {
    async fn run(&self) -> Result<()> {
        let access = self.name.access()?;
        let mut image = match &self.binary {
            None => Image::busybox()?,
            Some(binary) => {
                let name = binary
                    .file_name()
                    .and_then(|name| name.to_str())
                    .context("a binary has a name")?;
                let path = format!("/{name}");
                Image::scratch().copy(&path, binary, 0o755).entrypoint(&[&path])
            }
        };
        for file in &self.file {
            let (from, to) = pair(file, "=")?;
            image = image.copy(to, &PathBuf::from(from), 0o644);
        }
        for label in &self.label {
            let (name, value) = pair(label, "=")?;
            image = image.label(name, value);
        }
        let host = if self.system_registry {
            access
                .system_registry_host()
                .context("only a cluster with a real node has a system registry")?
        } else {
            access.registry_host()
        };
        let (repository, tag) = pair(&self.target, ":")?;
        let pushed = access
            .push_image_to(host, &image.user(&self.user), repository, tag)
            .await?;
        println!("{}@{}", pushed.reference, pushed.digest);
        Ok(())
    }
}

fn parse_nodes(text: &str) -> Result<Nodes> {
    match (text, text.strip_prefix("simulated=")) {
        ("real", _) => Ok(Nodes::Real),
        ("none", _) => Ok(Nodes::None),
        (_, Some(count)) => Ok(Nodes::Simulated(count.parse()?)),
        _ => Err(anyhow!("nodes are real, simulated=N or none")),
    }
}

fn pair<'a>(text: &'a str, separator: &str) -> Result<(&'a str, &'a str)> {
    text.split_once(separator)
        .with_context(|| format!("{text:?} has no {separator:?}"))
}

fn split(words: &[String]) -> (&String, &[String]) {
    words.split_first().expect("clap requires one word at least")
}

/// Replaces this process, so that signals, terminal and exit status are the command's.
fn become_command(mut command: tokio::process::Command, args: &[String]) -> Result<()> {
    let error = command.args(args).as_std_mut().exec();
    Err(error).context("failed to run the command")
}

fn down(named: &Named) -> Result<()> {
    let was_running = named.down()?;
    println!(
        "{}: {}",
        named.name(),
        if was_running { "ended" } else { "was not running" }
    );
    Ok(())
}

fn status() -> Result<()> {
    for named in Named::all()? {
        match named.access() {
            Ok(access) => print_summary(&named, &access),
            Err(why) => println!("{}: {why}", named.name()),
        }
    }
    Ok(())
}

fn print_summary(named: &Named, access: &Access) {
    println!(
        "{}: {}, logs in {}",
        named.name(),
        access.api_url(),
        access.dir().join("logs").display()
    );
}

fn print_environment(access: &Access) {
    let mut variables = BTreeMap::from([
        ("KUBECONFIG", access.kubeconfig_path().display().to_string()),
        ("API_URL", access.api_url()),
        ("WEBHOOK_ADDRESS", access.network().webhook_address().to_string()),
        ("HOST_ADDRESS", access.network().host_address().to_string()),
    ]);
    if let Some(host) = access.first_registry_host() {
        variables.insert("REGISTRY", host.to_owned());
    }
    if let Some(host) = access.system_registry_host() {
        variables.insert("SYSTEM_REGISTRY", host.to_owned());
    }
    for (name, value) in variables {
        println!("export {name}='{value}'");
    }
    println!("export PATH='{}':\"$PATH\"", access.programs().dir().display());
}

//! A cluster ends with its owner, however the owner ends.

mod common;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};
use common::{Traces, is_root};
use local_cluster::named::Named;
use local_cluster::{Access, Cluster, Image, wait_until};

const SOON: Duration = Duration::from_secs(20);
const START: Duration = Duration::from_mins(2);

/// A name that no other run on this machine uses.
fn name(test: &str) -> String {
    format!("test-{test}-{}", std::process::id())
}

/// A process that owns a cluster. A test that fails takes both with it.
struct Owner(Child);

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn local_cluster(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-cluster"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

async fn started(owner: &mut Owner, named: &Named) -> Result<Access> {
    wait_until(START, "the cluster", || {
        let ended = owner.0.try_wait();
        assert!(matches!(ended, Ok(None)), "the owner ended: {ended:?}");
        std::future::ready(named.access())
    })
    .await
}

async fn nothing_is_left(traces: &Traces) -> Result<()> {
    wait_until(SOON, "nothing to be left", async || {
        let found = traces.found();
        ensure!(found.is_empty(), "{found:#?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_killed_owner_leaves_no_process_container_mount_link_cgroup_or_folder() -> Result<()> {
    if !is_root() {
        return Ok(());
    }
    let name = name("killed");
    let named = Named::new(&name)?;
    let mut owner = Owner(local_cluster(&["up", "--name", &name, "--nodes", "real"]).spawn()?);
    let access = started(&mut owner, &named).await?;

    let pushed = access.push_image(&Image::busybox()?, "left/over", "v1").await?;
    let folder = access.dir().file_name().unwrap().to_str().unwrap().to_owned();
    let mark = format!("sleep infinity; : {folder}");
    let image = format!("--image={}", pushed.reference);
    access
        .kubectl(&["run", "left-over", &image, "--command", "--", "sh", "-c", &mark])
        .await?;
    access
        .kubectl(&["wait", "--for=condition=Ready", "pod/left-over", "--timeout=30s"])
        .await?;
    let public = access.public_client("203.0.113.99".parse()?).await?;
    public.crane(&["digest", &pushed.reference]).await?;
    let path = "jsonpath={.status.containerStatuses[0].containerID}";
    let container = access
        .kubectl(&["get", "pod", "left-over", "--output", path])
        .await?;
    let containers = [container.trim_start_matches("containerd://").to_owned()];

    // Were there nothing to find, finding nothing would prove nothing.
    let traces = Traces::of(&access, &containers);
    let found = traces.found();
    let expected = [
        "kubelet",
        "containerd-shim-runc-v2",
        "sh -c sleep infinity",
        "/sys/fs/cgroup",
        "/sys/class/net",
    ];
    for expected in expected {
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{expected} is not among {found:#?}"
        );
    }
    drop(owner);
    nothing_is_left(&traces).await?;
    assert!(!named.is_running());
    assert!(!named.down()?, "down only tidies up");
    Ok(())
}

#[tokio::test]
async fn an_interrupted_owner_ends_its_cluster_before_itself() -> Result<()> {
    let name = name("interrupted");
    let named = Named::new(&name)?;
    let mut owner = Owner(local_cluster(&["up", "--name", &name, "--nodes", "none"]).spawn()?);
    let access = started(&mut owner, &named).await?;
    let traces = Traces::of(&access, &[]);
    Command::new("kill")
        .args(["-INT", &owner.0.id().to_string()])
        .status()?;
    assert!(owner.0.wait()?.success());
    assert_eq!(traces.found(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_detached_cluster_lives_until_down() -> Result<()> {
    let name = name("detached");
    let named = Named::new(&name)?;
    let up = ["up", "--name", &name, "--nodes", "none", "--registry", "none"];
    assert!(local_cluster(&up).arg("--detach").status()?.success());
    assert!(
        !local_cluster(&up).stderr(Stdio::null()).status()?.success(),
        "the name is taken"
    );
    let access = named.access()?;
    assert!(access.kubectl(&["get", "--raw", "/readyz"]).await?.contains("ok"));
    let environment = local_cluster(&["env", "--name", &name])
        .stdout(Stdio::piped())
        .output()?;
    assert!(String::from_utf8(environment.stdout)?.contains("export KUBECONFIG="));

    let traces = Traces::of(&access, &[]);
    assert!(local_cluster(&["down", "--name", &name]).status()?.success());
    assert_eq!(traces.found(), Vec::<String>::new());
    assert!(named.access().is_err());
    Ok(())
}

#[tokio::test]
async fn a_panic_ends_the_cluster_and_keeps_its_logs() -> Result<()> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async {
        let cluster = Cluster::builder().start().await.unwrap();
        let _ = sender.send((Traces::of(&cluster, &[]), cluster.dir().to_owned()));
        panic!("as a failed test does");
    });
    let (traces, folder) = receiver.await?;
    assert!(task.await.unwrap_err().is_panic());
    assert!(folder.join("logs/kube-apiserver.log").exists());
    assert!(!folder.join("data").exists(), "the bulk is not kept");
    std::fs::remove_dir_all(folder)?;
    assert_eq!(traces.found(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_does_not_start_says_why_and_where_the_log_is() {
    let start = Cluster::builder().api_server_arg("--no-such-flag").start();
    let error = format!("{:#}", start.await.expect_err("no API server has that flag"));
    assert!(error.contains("unknown flag: --no-such-flag"), "{error}");
    let log = error
        .split_whitespace()
        .find(|word| word.ends_with("kube-apiserver.log"))
        .expect("a log is named");
    let folder = std::path::Path::new(log)
        .ancestors()
        .nth(2)
        .expect("the log is in the cluster's folder");
    assert!(folder.join("logs").exists());
    std::fs::remove_dir_all(folder).expect("the folder was kept");
}

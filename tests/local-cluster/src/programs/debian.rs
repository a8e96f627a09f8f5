//! Programs that Debian packages better than we would build them.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// A program that is the system's.
struct Tool {
    program: &'static str,
    package: &'static str,
    why: &'static str,
    need: Need,
}

#[derive(PartialEq, Eq)]
enum Need {
    /// Every cluster needs it.
    Always,
    /// Only real nodes, and so only root.
    RealNode,
}

const fn tool(program: &'static str, package: &'static str, why: &'static str, need: Need) -> Tool {
    Tool {
        program,
        package,
        why,
        need,
    }
}

const TOOLS: &[Tool] = &[
    tool(
        "unshare",
        "util-linux",
        "makes a cluster's namespaces",
        Need::Always,
    ),
    tool("ip", "iproute2", "lays a cluster's network", Need::Always),
    tool(
        "/bin/busybox",
        "busybox-static",
        "is the content of test images",
        Need::Always,
    ),
    tool(
        "docker-registry",
        "docker-registry",
        "is the older distribution registry",
        Need::Always,
    ),
    tool(
        "skopeo",
        "skopeo",
        "is a registry client of another make",
        Need::Always,
    ),
    tool(
        "/usr/lib/postgresql/15/bin/postgres",
        "postgresql-15",
        "is the database of the tests of its store",
        Need::Always,
    ),
    tool("runc", "runc", "starts containers", Need::RealNode),
    tool(
        "/usr/lib/cni/bridge",
        "containernetworking-plugins",
        "connects pods",
        Need::RealNode,
    ),
    tool("conntrack", "conntrack", "kube-proxy calls it", Need::RealNode),
    tool("nft", "nftables", "kube-proxy calls it", Need::RealNode),
    tool("mount", "mount", "kubelet calls it", Need::RealNode),
];

#[cfg(test)]
pub(super) fn knows(name: &str) -> bool {
    TOOLS.iter().any(|tool| tool.program == name)
}

/// Looks where Debian puts programs for everybody and for root.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let inherited = std::env::var("PATH").unwrap_or_default();
    let folders = inherited
        .split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"]);
    folders
        .map(|folder| PathBuf::from(folder).join(program))
        .find(|path| path.is_file())
}

/// Installs what is missing where we may, otherwise says how to.
pub(super) fn install(say: &dyn Fn(&str)) -> Result<()> {
    let root = rustix::process::geteuid().is_root();
    let wanted = TOOLS.iter().filter(|tool| root || tool.need == Need::Always);
    let missing: Vec<&Tool> = wanted.filter(|tool| find(tool.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages = Vec::new();
    for Tool {
        program,
        package,
        why,
        need: _,
    } in missing
    {
        say(&format!("missing: package {package}, because {program} {why}"));
        packages.push(*package);
    }
    let install = ["install", "--yes", "--no-install-recommends"];
    if !root {
        bail!(
            "only root can install packages; run: sudo apt-get update && sudo apt-get {} {}",
            install.join(" "),
            packages.join(" ")
        );
    }
    apt(say, &["update"])?;
    apt(say, &[&install[..], &packages].concat())
}

fn apt(say: &dyn Fn(&str), args: &[&str]) -> Result<()> {
    say(&format!("running apt-get {}", args.join(" ")));
    let output = Command::new("apt-get")
        .args(args)
        .stdin(Stdio::null())
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Run level 1 tells the packages' scripts not to start services: the
        // registry package brings one that nobody here asked for.
        .env("RUNLEVEL", "1")
        .output()
        .context("failed to run apt-get: this setup knows Debian and its kin only")?;
    ensure!(
        output.status.success(),
        "apt-get {} failed: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

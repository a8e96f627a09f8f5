//! Programs built from Go modules, once, into a cache folder outside the tree.
//!
//! The folder's name is a hash of everything that decides what the programs are,
//! so that a change of `tools/go.mod` leaves the programs of another checkout alone.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use sha2::{Digest as _, Sha256};

const GO_MOD: &str = include_str!("../../tools/go.mod");
const GO_SUM: &str = include_str!("../../tools/go.sum");
const TOOLS_GO: &str = include_str!("../../tools/tools.go");

/// Counts changes of how the programs are built, other than of the modules.
const RECIPE: &str = "1 CGO_ENABLED=0 -trimpath -s -w";

struct GoProgram {
    name: &'static str,
    /// The module whose version is shown.
    module: &'static str,
    /// The package below the module.
    package: &'static str,
    why: &'static str,
}

const fn go(name: &'static str, module: &'static str, package: &'static str, why: &'static str) -> GoProgram {
    GoProgram {
        name,
        module,
        package,
        why,
    }
}

/// In the order in which they are wanted: the one that takes longest first.
const PROGRAMS: &[GoProgram] = &[
    go(
        "kube-apiserver",
        "k8s.io/kubernetes",
        "/cmd/kube-apiserver",
        "serves the cluster's API",
    ),
    go(
        "etcd",
        "go.etcd.io/etcd/server/v3",
        "",
        "stores the cluster's objects",
    ),
    go(
        "kube-controller-manager",
        "k8s.io/kubernetes",
        "/cmd/kube-controller-manager",
        "makes pods of Deployments",
    ),
    go(
        "kube-scheduler",
        "k8s.io/kubernetes",
        "/cmd/kube-scheduler",
        "chooses nodes",
    ),
    go("kubectl", "k8s.io/kubernetes", "/cmd/kubectl", "the client"),
    go(
        "registry",
        "github.com/distribution/distribution/v3",
        "/cmd/registry",
        "the image registry",
    ),
    go(
        "crane",
        "github.com/google/go-containerregistry",
        "/cmd/crane",
        "pushes and pulls images",
    ),
    go(
        "containerd",
        "github.com/containerd/containerd/v2",
        "/cmd/containerd",
        "runs containers on the real node",
    ),
    go(
        "containerd-shim-runc-v2",
        "github.com/containerd/containerd/v2",
        "/cmd/containerd-shim-runc-v2",
        "holds one pod's containers",
    ),
    go("kubelet", "k8s.io/kubernetes", "/cmd/kubelet", "the real node"),
    go(
        "kube-proxy",
        "k8s.io/kubernetes",
        "/cmd/kube-proxy",
        "gives Services their addresses",
    ),
    go("helm", "helm.sh/helm/v4", "/cmd/helm", "installs the operator"),
    go("kwok", "sigs.k8s.io/kwok", "/cmd/kwok", "simulates nodes"),
    go(
        "helm3",
        "helm.sh/helm/v3",
        "/cmd/helm",
        "installs the operator, as many still do",
    ),
];

/// The folder of the programs, there or not.
pub(super) fn folder() -> Result<PathBuf> {
    Ok(crate::cache_folder()?.join("programs").join(fingerprint()))
}

fn fingerprint() -> String {
    let mut hash = Sha256::new();
    for part in [GO_MOD, GO_SUM, TOOLS_GO, RECIPE, std::env::consts::ARCH] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    crate::hex(&hash.finalize()[..8])
}

/// The version that `tools/go.mod` pins for a module.
pub(super) fn version_of(module: &str) -> &'static str {
    let mut lines = GO_MOD.lines().map(str::trim);
    let line = lines.find_map(|line| line.strip_prefix(module)?.strip_prefix(' '));
    line.expect("every module named here is required in tools/go.mod")
        .trim()
}

#[cfg(test)]
pub(super) fn knows(name: &str) -> bool {
    PROGRAMS.iter().any(|program| program.name == name)
}

fn missing(folder: &Path) -> impl Iterator<Item = &'static str> {
    let folder = folder.to_owned();
    PROGRAMS
        .iter()
        .map(|program| program.name)
        .filter(move |name| !folder.join(name).exists())
}

/// Builds one by one what is not there. Two runs at once do not get in each
/// other's way: the second waits, and finds everything there.
pub(super) fn build_missing(say: &dyn Fn(&str)) -> Result<()> {
    let folder = folder()?;
    if missing(&folder).next().is_none() {
        return Ok(());
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let _lock = lock(say, &folder)?;
    let source = folder.join("source");
    std::fs::create_dir_all(&source)?;
    for (name, text) in [("go.mod", GO_MOD), ("go.sum", GO_SUM), ("tools.go", TOOLS_GO)] {
        std::fs::write(source.join(name), text)?;
    }
    let names: Vec<&str> = missing(&folder).collect();
    if names.is_empty() {
        return Ok(());
    }
    say(&format!(
        "building {} programs into {} (once)",
        names.len(),
        folder.display()
    ));
    let begun = Instant::now();
    let wanted = PROGRAMS.iter().filter(|program| names.contains(&program.name));
    for (index, program) in wanted.enumerate() {
        let version = version_of(program.module);
        say(&format!(
            "[{}/{}] {} {version}: {}",
            index + 1,
            names.len(),
            program.name,
            program.why
        ));
        let begun = Instant::now();
        build(program, &source, &folder)?;
        say(&format!("      built in {} s", begun.elapsed().as_secs()));
    }
    say(&format!("all programs built in {} s", begun.elapsed().as_secs()));
    Ok(())
}

fn lock(say: &dyn Fn(&str), folder: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("lock"))?;
    if file.try_lock().is_err() {
        say("waiting for another run that is building the same programs");
        file.lock()?;
    }
    Ok(file)
}

fn build(program: &GoProgram, source: &Path, folder: &Path) -> Result<()> {
    let unfinished = folder.join(format!(".{}.new", program.name));
    let version = version_of("k8s.io/kubernetes");
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    // Without these, clients see v0.0.0.
    let set = "-X k8s.io/component-base/version";
    let flags = format!("-s -w {set}.gitVersion={version} {set}.gitMajor={major} {set}.gitMinor={minor}");
    let output = Command::new("go")
        .args(["build", "-trimpath", "-ldflags", &flags, "-o"])
        .arg(&unfinished)
        .arg(format!("{}{}", program.module, program.package))
        .current_dir(source)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .env("GOWORK", "off")
        .output()
        .context("failed to run go: Go is needed to build the cluster's programs")?;
    ensure!(
        output.status.success(),
        "failed to build {}: {}",
        program.name,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    std::fs::rename(&unfinished, folder.join(program.name))
        .with_context(|| format!("failed to put {} in its place", program.name))
}

//! A real node: containerd, runc, CNI, kubelet and kube-proxy.

use std::path::Path;

use anyhow::{Context, Result};

use crate::access::Access;
use crate::control_plane::own_kubeconfig;
use crate::process::Program;
use crate::programs::Programs;

/// The one real node's name.
pub const NODE_NAME: &str = "node-1";

/// What it is made of, and what those call.
pub(crate) const PROGRAMS: &[&str] = &[
    "containerd",
    "containerd-shim-runc-v2",
    "runc",
    "/usr/lib/cni/bridge",
    "kubelet",
    "kube-proxy",
    "conntrack",
    "nft",
    "mount",
    "registry",
    "crane",
    "/bin/busybox",
];

/// Repository and tag of the image that holds a pod's namespaces.
pub(crate) const PAUSE: (&str, &str) = ("pause", "1");

/// Writes the configuration of all of a node's programs.
pub(crate) fn write_config(access: &Access, system_registry: &str) -> Result<()> {
    let folder = &access.folder;
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).with_context(|| format!("failed to write {name}"))
    };
    std::fs::create_dir_all(folder.join("cni"))?;
    write("containerd.toml", &containerd_config(access, system_registry))?;
    write("cni/10-bridge.conflist", &cni_config(access))?;
    write("kubelet.yaml", &kubelet_config(access))?;
    write("kube-proxy.yaml", &kube_proxy_config(access))?;
    write("resolv.conf", "")
}

/// Lets the node pull images named after `host` from a registry of the cluster,
/// by plain http. Read at every pull.
pub(crate) fn map_image_host(folder: &Path, host: &str, registry: &str) -> Result<()> {
    let folder = folder.join("certs.d").join(host);
    std::fs::create_dir_all(&folder)?;
    let text = format!(
        "server = \"http://{registry}\"\n\n\
         [host.\"http://{registry}\"]\n\
         capabilities = [\"pull\", \"resolve\"]\n"
    );
    std::fs::write(folder.join("hosts.toml"), text).with_context(|| format!("failed to map {host}"))
}

fn containerd_config(access: &Access, system_registry: &str) -> String {
    let folder = access.folder.display();
    let (repository, tag) = PAUSE;
    format!(
        r#"version = 3
root = "{folder}/data/containerd"
state = "/run/containerd"

[grpc]
address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/data/containerd-opt"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{system_registry}/{repository}:{tag}"

[plugins."io.containerd.cri.v1.images".registry]
config_path = "{folder}/certs.d"

[plugins."io.containerd.cri.v1.runtime"]
# Lowering a score is not permitted in many containers and virtual machines, and
# runc dies of the attempt.
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{cni}"]
conf_dir = "{folder}/cni"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
"#,
        socket = CONTAINERD_SOCKET,
        cni = Programs::cni_dir().display(),
    )
}

/// Below `/run`, which is the cluster's own.
pub(crate) const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";

fn cni_config(access: &Access) -> String {
    // Addresses of pods are unique among the clusters of a machine and routed by
    // it, so nothing needs to be masqueraded.
    let config = serde_json::json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "pods0",
            "isGateway": true,
            "ipMasq": false,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "dataDir": access.folder.join("data/cni"),
                "ranges": [[{"subnet": access.network.pod_range()}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    });
    format!("{config:#}\n")
}

fn kubelet_config(access: &Access) -> String {
    let folder = access.folder.display();
    format!(
        r#"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {address}
containerRuntimeEndpoint: unix://{CONTAINERD_SOCKET}
podLogsDir: {folder}/data/pod-logs
volumePluginDir: {folder}/data/volume-plugins
# Its port can be reached only inside the cluster's network.
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
serverTLSBootstrap: false
tlsCertFile: {folder}/pki/apiserver.crt
tlsPrivateKeyFile: {folder}/pki/apiserver.key
# No DNS: pods have dnsPolicy Default and this empty file.
resolvConf: {folder}/resolv.conf
clusterDomain: cluster.local
# The machine may have either version of cgroups, and the node shares it.
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
localStorageCapacityIsolation: false
evictionHard: {{memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%", pid.available: "0%"}}
imageGCHighThresholdPercent: 100
# A test waits for these.
syncFrequency: 5s
fileCheckFrequency: 5s
nodeStatusUpdateFrequency: 5s
registryPullQPS: 0
serializeImagePulls: false
eventRecordQPS: 0
logging: {{verbosity: 2}}
"#,
        address = access.network.inner,
    )
}

fn kube_proxy_config(access: &Access) -> String {
    format!(
        r#"apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {{kubeconfig: {kubeconfig}}}
hostnameOverride: {NODE_NAME}
bindAddress: {address}
healthzBindAddress: ""
metricsBindAddress: ""
# Settings of the machine's connection tracking are not the cluster's to change.
conntrack: {{maxPerCore: 0, min: 0}}
nftables: {{syncPeriod: 5s, minSyncPeriod: 100ms}}
"#,
        kubeconfig = own_kubeconfig(access, "kube-proxy").display(),
        address = access.network.inner,
    )
}

pub(crate) fn containerd(access: &Access) -> Program {
    let config = access.folder.join("containerd.toml").display().to_string();
    Program::new("containerd", access.programs.path("containerd"))
        .args(["--config".to_owned(), config])
        // It looks for its shim and for runc by name.
        .env("PATH", access.programs.path_variable().to_string_lossy())
}

pub(crate) fn kubelet(access: &Access) -> Program {
    let folder = access.folder.display();
    Program::new("kubelet", access.programs.path("kubelet"))
        .args([
            format!("--config={folder}/kubelet.yaml"),
            format!("--kubeconfig={}", own_kubeconfig(access, "kubelet").display()),
            format!("--root-dir={folder}/data/kubelet"),
            format!("--cert-dir={folder}/data/kubelet-certificates"),
            format!("--hostname-override={NODE_NAME}"),
            format!("--node-ip={}", access.network.inner),
        ])
        .env("PATH", access.programs.path_variable().to_string_lossy())
}

pub(crate) fn kube_proxy(access: &Access) -> Program {
    let config = access.folder.join("kube-proxy.yaml").display().to_string();
    Program::new("kube-proxy", access.programs.path("kube-proxy"))
        .args([format!("--config={config}")])
        .env("PATH", access.programs.path_variable().to_string_lossy())
}

//! etcd, kube-apiserver, kube-controller-manager and kube-scheduler.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::access::{Access, Credentials, kubeconfig};
use crate::pki::{self, random_token};
use crate::process::Program;

/// Parts of the cluster that have an identity of their own: name, user, groups.
const IDENTITIES: &[(&str, &str, &str)] = &[
    ("kube-controller-manager", "system:kube-controller-manager", ""),
    ("kube-scheduler", "system:kube-scheduler", ""),
    ("kube-proxy", "system:kube-proxy", ""),
    ("kubelet", "system:node:node-1", "system:nodes"),
    ("kwok", "kwok", "system:masters"),
];

/// Writes the cluster's certificates, tokens and kubeconfigs.
pub(crate) fn write_identities(access: &Access) -> Result<()> {
    let folder = &access.folder;
    let network = &access.network;
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    let addresses = [
        network.inner.into(),
        network.service_address(1).into(),
        [127, 0, 0, 1].into(),
    ];
    let pki = folder.join("pki");
    pki::write_pair(&pki, "ca", &access.authority.ca)?;
    pki::write_pair(&pki, "apiserver", &access.authority.server(&names, &addresses)?)?;
    pki::write_signing_keys(&pki, "service-accounts")?;

    let mut tokens = format!("{},admin,admin,\"system:masters\"\n", access.admin_token);
    let write_kubeconfig = |name: &str, token: &str| {
        let text = kubeconfig(
            &access.api_url(),
            access.ca_pem(),
            &Credentials::Token(token.to_owned()),
        );
        std::fs::write(folder.join(format!("{name}.kubeconfig")), text)
    };
    write_kubeconfig("admin", &access.admin_token)?;
    for (name, user, groups) in IDENTITIES {
        let token = random_token()?;
        writeln!(tokens, "{token},{user},{name},\"{groups}\"")?;
        write_kubeconfig(name, &token)?;
    }
    std::fs::write(pki.join("tokens.csv"), tokens).context("failed to write the API server's tokens")
}

/// etcd, which forgets everything with the cluster and so never syncs to disk.
pub(crate) fn etcd(access: &Access, client_port: u16, peer_port: u16) -> Program {
    let client = format!("http://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    Program::new("etcd", access.programs.path("etcd")).args([
        "--name=local".to_owned(),
        format!("--data-dir={}", state_folder(access).display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=local={peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--quota-backend-bytes=8589934592".to_owned(),
        "--log-level=warn".to_owned(),
    ])
}

/// Where etcd keeps what the cluster holds.
pub(crate) fn state_folder(access: &Access) -> PathBuf {
    access.folder.join("data/etcd")
}

/// Copies such a folder while nothing uses it.
pub(crate) fn copy_state(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("failed to read {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_state(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

/// kube-apiserver with RBAC and, where asked for, an audit log.
pub(crate) fn api_server(
    access: &Access,
    etcd_port: u16,
    audit_log: Option<&Path>,
    extra: &[String],
) -> Result<Program> {
    let network = &access.network;
    let pki = |name: &str| access.folder.join("pki").join(name).display().to_string();
    // It refuses to advertise loopback. In that case nothing uses what it advertises.
    let advertised = if network.own {
        network.inner
    } else {
        network.service_address(1)
    };
    let mut program = Program::new("kube-apiserver", access.programs.path("kube-apiserver"));
    // Asked to end, it waits a minute for the watches of the others to go away.
    program.patience = Duration::from_secs(1);
    let mut program = program.args([
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        format!("--bind-address={}", network.inner),
        format!("--advertise-address={advertised}"),
        format!("--secure-port={}", access.api_port),
        format!("--tls-cert-file={}", pki("apiserver.crt")),
        format!("--tls-private-key-file={}", pki("apiserver.key")),
        format!("--client-ca-file={}", pki("ca.crt")),
        format!("--token-auth-file={}", pki("tokens.csv")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", pki("service-accounts.pub")),
        format!(
            "--service-account-signing-key-file={}",
            pki("service-accounts.key")
        ),
        format!("--service-cluster-ip-range={}", network.service_range()),
        "--allow-privileged".to_owned(),
        // kubectl logs, exec and port-forward go to the node's address.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
    ]);
    if let Some(log) = audit_log {
        let policy = access.folder.join("audit-policy.yaml");
        std::fs::write(&policy, AUDIT_POLICY)?;
        program = program.args([
            format!("--audit-policy-file={}", policy.display()),
            format!("--audit-log-path={}", log.display()),
        ]);
    }
    Ok(program.args(extra))
}

const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
";

/// kube-controller-manager: every controller that does not manage a real network or cloud.
pub(crate) fn controller_manager(access: &Access) -> Program {
    let pki = |name: &str| access.folder.join("pki").join(name).display().to_string();
    Program::new(
        "kube-controller-manager",
        access.programs.path("kube-controller-manager"),
    )
    .args([
        format!(
            "--kubeconfig={}",
            own_kubeconfig(access, "kube-controller-manager").display()
        ),
        "--controllers=*,-nodeipam,-cloud-node-lifecycle-controller".to_owned(),
        "--use-service-account-credentials".to_owned(),
        format!(
            "--service-account-private-key-file={}",
            pki("service-accounts.key")
        ),
        format!("--root-ca-file={}", pki("ca.crt")),
        format!("--cluster-signing-cert-file={}", pki("ca.crt")),
        format!("--cluster-signing-key-file={}", pki("ca.key")),
        format!(
            "--flex-volume-plugin-dir={}",
            access.folder.join("data/volume-plugins").display()
        ),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // Its own limit is what makes it slow to start.
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ])
}

/// kube-scheduler as it comes.
pub(crate) fn scheduler(access: &Access) -> Program {
    Program::new("kube-scheduler", access.programs.path("kube-scheduler")).args([
        format!(
            "--kubeconfig={}",
            own_kubeconfig(access, "kube-scheduler").display()
        ),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ])
}

/// The kubeconfig of one of the cluster's own parts.
pub(crate) fn own_kubeconfig(access: &Access, name: &str) -> PathBuf {
    access.folder.join(format!("{name}.kubeconfig"))
}

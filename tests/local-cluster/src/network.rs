//! Addresses of one cluster, and the wire that leads into it.
//!
//! Every cluster on a machine has a number of its own, held by a lock, and from
//! it a link, a pod range and a service range that no other cluster has, so that
//! clusters reach each other's servers through the machine. Inside there are
//! routes to the clusters' ranges only: nothing in a cluster can reach beyond
//! the machine. The machine's own forwarding switch and firewall stay as they are;
//! forwarding is on for the clusters' links alone.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::namespace::{Isolation, Namespace};

/// First two octets of the links, the pods and the services of all clusters.
const LINKS: [u8; 2] = [10, 213];
const PODS: [u8; 2] = [10, 214];
const SERVICES: [u8; 2] = [10, 215];

/// Where lock files tell clusters of one machine apart.
const LOCKS: &str = "/run/lock/local-cluster";

/// Where one cluster is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Network {
    /// Unique among the clusters of this machine.
    pub(crate) number: u8,
    /// The address that the cluster's servers listen on.
    pub(crate) inner: Ipv4Addr,
    /// Whether `inner` is the cluster's own, rather than the machine's loopback.
    pub(crate) own: bool,
}

impl Network {
    /// Takes a free number, and the lock that keeps it.
    pub(crate) fn claim(isolation: Isolation) -> Result<(Self, Option<File>)> {
        if isolation == Isolation::Rootless {
            return Ok((
                Self {
                    number: 0,
                    inner: Ipv4Addr::LOCALHOST,
                    own: false,
                },
                None,
            ));
        }
        std::fs::create_dir_all(LOCKS).with_context(|| format!("failed to create {LOCKS}"))?;
        let routes = Command::new("ip")
            .args(["-4", "route", "show", "table", "all"])
            .output();
        let routes = routes.context("failed to run ip (package iproute2)")?.stdout;
        let routes = String::from_utf8_lossy(&routes).into_owned();
        for number in 0..=u8::MAX {
            let path = PathBuf::from(LOCKS).join(number.to_string());
            let lock = OpenOptions::new().append(true).create(true).open(path)?;
            if lock.try_lock().is_err() {
                continue;
            }
            let network = Self {
                number,
                inner: at(LINKS, number, 2),
                own: true,
            };
            let taken = [LINKS, PODS, SERVICES]
                .iter()
                .any(|[a, b]| routes.contains(&format!("{a}.{b}.{number}.")));
            if !taken {
                return Ok((network, Some(lock)));
            }
        }
        bail!("failed to find a free range of addresses: all 256 are in use");
    }

    /// Name of the outer end of the link.
    pub(crate) fn link(&self) -> String {
        if self.own {
            format!("lc{}", self.number)
        } else {
            String::new()
        }
    }

    /// The machine's address on the link: where a program outside listens to be
    /// reached from inside. Loopback where the cluster has no network of its own.
    #[must_use]
    pub fn host_address(&self) -> Ipv4Addr {
        if self.own {
            at(LINKS, self.number, 1)
        } else {
            Ipv4Addr::LOCALHOST
        }
    }

    /// Range of the pods' addresses.
    #[must_use]
    pub fn pod_range(&self) -> String {
        format!("{}/24", at(PODS, self.number, 0))
    }

    /// Range of the services' cluster addresses.
    #[must_use]
    pub fn service_range(&self) -> String {
        format!("{}/24", at(SERVICES, self.number, 0))
    }

    /// One address of the service range. Up to 16 Kubernetes takes its own, so a
    /// fixed one is best chosen from 200 up.
    #[must_use]
    pub fn service_address(&self, last: u8) -> Ipv4Addr {
        at(SERVICES, self.number, last)
    }

    /// The service address set aside for whoever receives the registries'
    /// notifications: known before the receiver is installed, so that the registries
    /// can be told of it when they start.
    #[must_use]
    pub fn webhook_address(&self) -> Ipv4Addr {
        self.service_address(200)
    }

    /// A port to listen on: `preferred` in a network of its own, otherwise a free one.
    pub(crate) fn port(&self, preferred: u16) -> Result<u16> {
        if self.own {
            return Ok(preferred);
        }
        let listener = std::net::TcpListener::bind((self.inner, 0)).context("failed to find a free port")?;
        Ok(listener.local_addr()?.port())
    }

    /// Lays the link between the machine and the namespace, and its routes.
    pub(crate) fn connect(&self, namespace: &Namespace) -> Result<()> {
        if !self.own {
            return Ok(());
        }
        let (link, outer, inner) = (self.link(), self.host_address(), self.inner);
        ip_batch(
            &[],
            &format!(
                "link add {link} type veth peer name eth0 netns {holder}\n\
                 address add {outer}/30 dev {link}\n\
                 link set {link} up\n\
                 route add {pods} via {inner}\n\
                 route add {services} via {inner}\n",
                holder = namespace.holder(),
                pods = self.pod_range(),
                services = self.service_range(),
            ),
        )?;
        std::fs::write(format!("/proc/sys/net/ipv4/conf/{link}/forwarding"), "1")
            .context("failed to switch on forwarding for the cluster's link")?;
        let range = |[a, b]: [u8; 2]| format!("{a}.{b}.0.0/16");
        ip_batch(
            &namespace.enter(),
            &format!(
                "address add {inner}/30 dev eth0\n\
                 link set eth0 up\n\
                 route add {links} via {outer}\n\
                 route add {pods} via {outer}\n\
                 route add {services} via {outer}\n",
                links = range(LINKS),
                pods = range(PODS),
                services = range(SERVICES),
            ),
        )?;
        run_inside(namespace, "echo 1 >/proc/sys/net/ipv4/ip_forward")
    }
}

fn at([a, b]: [u8; 2], number: u8, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, number, last)
}

/// Runs lines of `ip -batch`, behind the words that enter a namespace.
fn ip_batch(enter: &[String], lines: &str) -> Result<()> {
    let words: Vec<&str> = enter
        .iter()
        .map(String::as_str)
        .chain(["ip", "-batch", "-"])
        .collect();
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to run ip (package iproute2)")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(lines.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "failed to lay the cluster's network: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Runs a line of shell inside, and waits for it.
pub(crate) fn run_inside(namespace: &Namespace, line: &str) -> Result<()> {
    let enter = namespace.enter();
    let output = Command::new(&enter[0])
        .args(&enter[1..])
        .args(["sh", "-c", line])
        .output()?;
    ensure!(
        output.status.success(),
        "failed to run {line:?} in the cluster's namespaces: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_of_a_cluster_carries_its_number() {
        let network = Network {
            number: 7,
            inner: at(LINKS, 7, 2),
            own: true,
        };
        assert_eq!(network.host_address().to_string(), "10.213.7.1");
        assert_eq!(network.inner.to_string(), "10.213.7.2");
        assert_eq!(network.pod_range(), "10.214.7.0/24");
        assert_eq!(network.service_range(), "10.215.7.0/24");
        assert_eq!(network.webhook_address().to_string(), "10.215.7.200");
        assert_eq!(network.link(), "lc7");
    }
}

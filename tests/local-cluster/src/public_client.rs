//! A client with an address of its own choosing, in a network of its own.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use tokio::process::Command;

use crate::access::Access;
use crate::clients::output;

/// Makes the client's network inside the cluster's, and a process that keeps it.
/// The process is killed with the cluster's other processes.
///
///   $0 folder of process ids, $1 the client's address, $2 the cluster's, $3 name of the link
const OPEN: &str = r#"
set -e
unshare --net sh -c 'echo $$ >"$0.new"; exec sleep infinity' "$0/$3" >/dev/null 2>&1 </dev/null &
until [ -s "$0/$3.new" ]; do sleep 0.01; done
pid=$(cat "$0/$3.new")
ip link add "$3" type veth peer name eth0 netns "$pid"
ip link set "$3" up
ip route add "$1/32" dev "$3"
nsenter --net="/proc/$pid/ns/net" ip -batch - <<END
link set lo up
address add $1/32 dev eth0
link set eth0 up
route add $2/32 dev eth0
route add default via $2
END
mv "$0/$3.new" "$0/$3"
"#;

/// See [`Access::public_client`].
#[derive(Clone, Debug)]
pub struct PublicClient {
    access: Access,
    address: Ipv4Addr,
    /// Holds the process id, as seen inside the cluster, of the network's keeper.
    pid_file: PathBuf,
}

impl PublicClient {
    pub(crate) async fn open(access: &Access, address: Ipv4Addr) -> Result<Self> {
        ensure!(
            access.network.own,
            "a public client needs a cluster with a network of its own, and so root"
        );
        // Names of network devices have at most 15 letters.
        let link = format!("pub{:08x}", u32::from(address));
        let folder = access.folder.join("pids");
        let pid_file = folder.join(&link);
        let client = Self {
            access: access.clone(),
            address,
            pid_file,
        };
        if !client.pid_file.exists() {
            let mut command = access.exec_in_network("sh");
            command.args(["-c", OPEN]).arg(&folder);
            command.args([address.to_string(), access.network.inner.to_string(), link]);
            output(command, None).await?;
        }
        Ok(client)
    }

    /// The address that servers see.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A command that runs in the client's network.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.access.exec_in_network("sh");
        command
            .args(["-c", r#"exec nsenter --net="/proc/$(cat "$0")/ns/net" -- "$@""#])
            .arg(&self.pid_file)
            .arg(self.access.programs.resolve(program.as_ref()));
        command
    }

    /// Runs crane as this client, allowing plain http.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn crane<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        let mut command = self.command("crane");
        command.arg("--insecure").args(args);
        output(command, None).await
    }
}

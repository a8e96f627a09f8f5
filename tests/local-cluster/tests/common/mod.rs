//! Shared by the tests: a place for notifications to go, and a look at what a
//! cluster leaves on the machine.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use local_cluster::Access;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Takes a registry's notifications.
pub struct Sink {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Debug)]
struct Request {
    authorization: String,
    events: Vec<Value>,
}

impl Sink {
    pub async fn listen(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let sink = Self {
            url,
            requests: requests.clone(),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, requests.clone()));
            }
        });
        sink
    }

    /// Events so far of one repository, blobs aside.
    pub fn events(&self, repository: &str) -> Vec<Event> {
        let requests = self.requests.lock().unwrap();
        let all = requests
            .iter()
            .flat_map(|request| &request.events)
            .map(Event::read);
        all.filter(|event| event.repository == repository && event.is_manifest)
            .collect()
    }

    pub fn authorizations(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap()
            .iter()
            .map(|request| request.authorization.clone())
            .collect()
    }
}

/// What the tests look at in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub action: String,
    pub method: String,
    pub repository: String,
    pub tag: String,
    pub digest: String,
    /// Without the port.
    pub client: String,
    is_manifest: bool,
}

impl Event {
    fn read(event: &Value) -> Self {
        let text = |pointer: &str| {
            event
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let address = text("/request/addr");
        Self {
            action: text("/action"),
            method: text("/request/method"),
            repository: text("/target/repository"),
            tag: text("/target/tag"),
            digest: text("/target/digest"),
            client: address
                .rsplit_once(':')
                .map_or("", |(address, _port)| address)
                .to_owned(),
            is_manifest: text("/target/mediaType").contains("manifest"),
        }
    }
}

/// One HTTP/1.1 connection, with just enough of the protocol for distribution.
async fn serve(stream: TcpStream, requests: Arc<Mutex<Vec<Request>>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut length, mut authorization) = (0, String::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap();
                }
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    value.clone_into(&mut authorization);
                }
                _ if line.trim_end().is_empty() => break,
                _ => (),
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let events = body["events"].as_array().unwrap().clone();
        requests.lock().unwrap().push(Request {
            authorization,
            events,
        });
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await?;
    }
}

/// What a cluster has on the machine, noted while it runs.
pub struct Traces {
    /// Unique, and part of all its paths.
    name: String,
    places: Vec<PathBuf>,
    /// As `/proc/<pid>/ns/pid` shows it.
    pid_namespace: PathBuf,
}

impl Traces {
    /// `containers` are ids, as containerd knows them.
    pub fn of(access: &Access, containers: &[String]) -> Self {
        let folder = access.dir();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let link = format!("lc{}", access.address().octets()[2]);
        let mut places = vec![folder.to_owned(), Path::new("/sys/class/net").join(link)];
        let roots = std::fs::read_dir("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        for root in roots.chain([PathBuf::from("/sys/fs/cgroup")]) {
            places.extend(containers.iter().map(|id| root.join("k8s.io").join(id)));
        }
        let etcd = format!("--data-dir={}", folder.join("data/etcd").display());
        let mut inside =
            processes().filter(|process| process.command.starts_with('/') && process.command.contains(&etcd));
        let pid_namespace = inside.next().expect("etcd runs").pid_namespace;
        Self {
            name,
            places,
            pid_namespace,
        }
    }

    /// All of it that is there now.
    pub fn found(&self) -> Vec<String> {
        let ours = |process: &Process| {
            process.pid_namespace == self.pid_namespace || process.command.contains(&self.name)
        };
        let mut found: Vec<String> = processes().filter(ours).map(|process| process.command).collect();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        found.extend(
            mounts
                .lines()
                .filter(|line| line.contains(&self.name))
                .map(str::to_owned),
        );
        let places = self.places.iter().filter(|place| place.exists());
        found.extend(places.map(|place| place.display().to_string()));
        found
    }
}

struct Process {
    command: String,
    pid_namespace: PathBuf,
}

/// Every process but this one.
fn processes() -> impl Iterator<Item = Process> {
    let own = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let others = entries.filter(move |entry| entry.file_name().to_str().is_some_and(|name| name != own));
    others.filter_map(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        Some(Process {
            command,
            pid_namespace: std::fs::read_link(entry.path().join("ns/pid")).ok()?,
        })
    })
}

/// Whether the tests that need root can run, saying so when they cannot.
pub fn is_root() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
    if !root {
        eprintln!("not tried: this needs root");
    }
    root
}

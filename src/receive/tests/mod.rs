//! The server on a real listener, spoken to in bytes.

mod authentication;
mod formats;
mod handshake;
mod limits;
mod refusals;
mod remote;
mod signing;
mod storing;
mod tls;
mod tokens;
mod topics;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    Authentication, Directory, Limits, Method, Rate, ReceiveMetrics, Receiver, Source, SourcePath, Tls, serve,
};
use crate::{
    dialect::Format,
    store::{Appended, Delivery, EventLog, RegistryKey, StoreError},
};

const PATH: &str = "/v1/events/team/registry/notifications";
const TOKEN: &str = "0123456789abcdef-first";
/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// A HEAD, two GETs and a blob, by distribution.
const PULL: &[u8] = include_bytes!("../../../tests/fixtures/events/distribution/pull-by-containerd.json");

struct Server {
    address: SocketAddr,
    directory: Arc<Directory>,
    metrics: ReceiveMetrics,
    cancel: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start(log: Arc<dyn EventLog>) -> Self {
        Self::with_limits(log, Limits::default()).await
    }

    async fn with_limits(log: Arc<dyn EventLog>, limits: Limits) -> Self {
        Self::with_tls(log, limits, None).await
    }

    async fn with_tls(log: Arc<dyn EventLog>, limits: Limits, tls: Option<Arc<Tls>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let directory = Arc::new(Directory::default());
        let cancel = CancellationToken::new();
        let receiver = Receiver::with_limits(directory.clone(), log, limits);
        let metrics = receiver.metrics().clone();
        let task = tokio::spawn(serve(listener, tls, receiver, cancel.clone()));
        let server = Self {
            address,
            directory,
            metrics,
            cancel,
            task,
        };
        server.open("notifications", &[TOKEN]);
        server
    }

    fn open(&self, source: &str, tokens: &[&str]) {
        self.open_by(source, Method::Bearer, tokens);
    }

    fn open_by(&self, source: &str, method: Method, secrets: &[&str]) {
        self.open_format(source, Format::Distribution, method, secrets);
    }

    fn open_format(&self, source: &str, format: Format, method: Method, secrets: &[&str]) {
        self.insert(source, format, method, secrets, None);
    }

    fn limit(&self, source: &str, rate: Rate) {
        self.insert(source, Format::Distribution, Method::Bearer, &[TOKEN], Some(rate));
    }

    fn insert(&self, source: &str, format: Format, method: Method, secrets: &[&str], rate: Option<Rate>) {
        let source = Source {
            registry: registry(),
            name: source.to_owned(),
            format,
            authentication: Authentication {
                method,
                secrets: secrets.iter().map(|secret| SecretString::from(*secret)).collect(),
            },
            rate,
        };
        self.directory.insert(path(&source.name), source);
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    async fn send(&self, head: &str, body: &[u8]) -> Answer {
        let mut client = self.connect().await;
        client.send(head, body).await;
        client.answer().await
    }

    /// Delivers a body as distribution does.
    async fn deliver(&self, body: &[u8]) -> Answer {
        self.send(&head(TOKEN, body.len()), body).await
    }
}

fn registry() -> RegistryKey {
    RegistryKey {
        namespace: "team".to_owned(),
        name: "registry".to_owned(),
        uid: "1".to_owned(),
    }
}

fn path(source: &str) -> SourcePath {
    SourcePath {
        namespace: "team".to_owned(),
        name: "registry".to_owned(),
        source: source.to_owned(),
    }
}

/// The head of a delivery to [`PATH`].
fn head(token: &str, length: usize) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// The body in chunks of this size, as HTTP writes it.
fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut written = Vec::new();
    for chunk in body.chunks(size) {
        written.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        written.extend(chunk);
        written.extend(b"\r\n");
    }
    written.extend(b"0\r\n\r\n");
    written
}

struct Client(TcpStream);

/// A response: its status, its head in lower case, its body.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Client {
    /// What the server no longer reads is no error: its answer counts.
    async fn send(&mut self, head: &str, body: &[u8]) {
        self.0.write_all(head.as_bytes()).await.unwrap();
        let _ = self.0.write_all(body).await;
    }

    /// The next response on this connection, its body read.
    async fn answer(&mut self) -> Answer {
        let answer = async {
            let mut read = Vec::new();
            let head = loop {
                let byte = self.0.read_u8().await.expect("an answer");
                read.push(byte);
                if read.ends_with(b"\r\n\r\n") {
                    break String::from_utf8(read).unwrap();
                }
            };
            let lower = head.to_ascii_lowercase();
            let length: usize = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.unwrap();
            Answer {
                status: head[9..12].parse().unwrap(),
                head: lower,
                body: String::from_utf8(body).unwrap(),
            }
        };
        tokio::time::timeout(DEADLINE, answer)
            .await
            .expect("an answer in time")
    }

    /// Waits until the server has closed the connection.
    async fn closed(&mut self) {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(DEADLINE, self.0.read_to_end(&mut rest)).await;
        let _ = read.expect("closed in time");
    }
}

/// A log that remembers how much it was given, and fails or waits when told to.
#[derive(Default)]
struct Stub {
    deliveries: AtomicUsize,
    /// Noted as refused without it.
    refused: AtomicUsize,
    failing: AtomicBool,
    /// When there, each append waits for a permit.
    gate: Option<Semaphore>,
}

impl Stub {
    fn gated() -> Arc<Self> {
        Arc::new(Self {
            gate: Some(Semaphore::new(0)),
            ..Self::default()
        })
    }

    fn let_one_through(&self) {
        self.gate.as_ref().unwrap().add_permits(1);
    }

    fn deliveries(&self) -> usize {
        self.deliveries.load(Ordering::SeqCst)
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

impl EventLog for Stub {
    fn append(&self, delivery: Delivery) -> BoxFuture<'_, Result<Appended, StoreError>> {
        Box::pin(async move {
            self.deliveries.fetch_add(1, Ordering::SeqCst);
            if let Some(gate) = &self.gate {
                gate.acquire().await.unwrap().forget();
            }
            if self.failing.load(Ordering::SeqCst) {
                return Err(StoreError::Write("disk full".to_owned()));
            }
            let stored = i64::try_from(delivery.events.len()).unwrap();
            Ok(Appended {
                stored,
                ..Appended::default()
            })
        })
    }

    fn refused(&self, key: &RegistryKey, source: &str, _received: Timestamp, _reason: &'static str) {
        assert_eq!((key, source), (&registry(), "notifications"));
        self.refused.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until it holds.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

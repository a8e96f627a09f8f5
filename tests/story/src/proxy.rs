//! A proxy between the operator and a cluster that it reads: what it is asked and answered passes through as it is,
//! until the proxy is told to bring a fault into it.

mod answer;
mod forged;
mod line;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use local_cluster::Access;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::line::Line;

/// Name of the pod that [`Fault::EndlessList`] repeats; its digits, wherever they stand in the pod, are counted up.
pub const ENDLESS: &str = "endless-0000000000";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Connections are reset: those that there are, and new ones.
    Reset,
    /// Connections stay, new ones are accepted; no byte passes.
    Blackhole,
    /// Those connections that there are have lost their other side and are not told. New ones work.
    HalfOpen,
    /// One byte a second passes, either way.
    Trickle,
    /// Each watch brings an event of 512 MiB.
    HugeLine,
    /// Each answer that is no watch has 512 MiB.
    HugeAnswer,
    /// Pods have to be listed again, and the list repeats [`ENDLESS`] for ever.
    EndlessList,
    /// 401 for all.
    Unauthorized,
    /// 410 for each watch, as the status of the answer and as an event by turns.
    Expired,
    /// 429 for all.
    Throttled {
        retry_after: Duration,
    },
}

impl Fault {
    /// Whether requests are answered in the cluster's stead.
    fn is_of_answers(self) -> bool {
        !matches!(
            self,
            Self::None | Self::Reset | Self::Blackhole | Self::HalfOpen | Self::Trickle
        )
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    /// Method and path; a watch ends in `?watch`.
    pub what: String,
    /// What went wrong at that time.
    pub fault: Fault,
}

/// Ends with all its connections when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    certificate: String,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    cluster: SocketAddr,
    connector: ClientTls,
    line: watch::Sender<Line>,
    accepted: AtomicU64,
    asked: Mutex<Vec<Asked>>,
}

struct ClientTls(TlsConnector);

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientTls")
    }
}

impl Proxy {
    /// Starts one that a pod or process may take for `cluster`'s API server.
    pub async fn start(cluster: &Access) -> Result<Self> {
        let listener = TcpListener::bind((cluster.network().host_address(), 0)).await?;
        let address = listener.local_addr()?;
        let own = rcgen::generate_simple_self_signed([address.ip().to_string()])?;
        let mut server =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(
                    vec![own.cert.der().clone()],
                    PrivateKeyDer::from_pem_slice(own.signing_key.serialize_pem().as_bytes())?,
                )?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(cluster.ca_pem().as_bytes())?)?;
        let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let url = cluster.api_url();
        let upstream = url.strip_prefix("https://").context("an API server speaks TLS")?;
        let shared = Arc::new(Shared {
            cluster: upstream.parse()?,
            connector: ClientTls(TlsConnector::from(Arc::new(client))),
            line: watch::Sender::new(Line::default()),
            accepted: AtomicU64::default(),
            asked: Mutex::default(),
        });
        let listening = tokio::spawn(listen(
            listener,
            TlsAcceptor::from(Arc::new(server)),
            Arc::clone(&shared),
        ));
        Ok(Self {
            address,
            certificate: own.cert.pem(),
            shared,
            listening,
        })
    }

    /// A kubeconfig that leads here; the token is the cluster's to judge.
    #[must_use]
    pub fn kubeconfig(&self, token: &str) -> String {
        use base64::Engine as _;
        let authority = base64::engine::general_purpose::STANDARD.encode(&self.certificate);
        let server = format!("https://{}", self.address);
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "far", "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": "far", "user": {"token": token}}],
            "contexts": [{"name": "far", "context": {"cluster": "far", "user": "far"}}],
            "current-context": "far",
        })
        .to_string()
    }

    /// Brings in a fault, or with [`Fault::None`] takes it away. What a connection lost it does not get back.
    pub fn switch(&self, fault: Fault) {
        let accepted = self.shared.accepted.load(Ordering::Relaxed);
        self.shared.line.send_modify(|line| {
            // Streams that go on untouched, or are forged, end here.
            if fault.is_of_answers() || line.fault.is_of_answers() {
                line.cut = accepted;
            }
            if fault == Fault::HalfOpen {
                line.deserted = accepted;
            }
            line.fault = fault;
        });
    }

    /// Every request since then, in their order.
    #[must_use]
    pub fn asked_since(&self, begin: Instant) -> Vec<Asked> {
        let asked = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|asked| asked.at >= begin).cloned().collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        self.line.borrow().fault
    }

    fn server_name(&self) -> ServerName<'static> {
        ServerName::IpAddress(self.cluster.ip().into())
    }
}

/// Until it is aborted, which ends the connections too.
async fn listen(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((tcp, _)) = accepted {
                let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
                connections.spawn(connection(tcp, number, acceptor.clone(), Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(tcp: TcpStream, number: u64, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let line = shared.line.subscribe();
    line::carry(tcp, number, line, async move |inner| {
        // Whoever breaks off a connection, on either side, need not be told.
        let Ok(tls) = acceptor.accept(inner).await else {
            return;
        };
        let service = service_fn(move |request| answer::answer(Arc::clone(&shared), request));
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(tls), service)
            .await;
    })
    .await;
}

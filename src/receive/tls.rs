//! TLS of the webhook server. Its certificate and what it believes are read from a folder (a mounted Secret of type
//! kubernetes.io/tls) at the start and whenever they change.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
/// Certificates that sign those of clients; without it no client is asked for one.
const CLIENT_CA: &str = "ca.crt";

/// How often the files are looked at. A kubelet takes about a minute to bring a changed Secret.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Why the files of a folder cannot be used. Quotes nothing of them.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("failed to read {file}: {source}")]
    Read { file: &'static str, source: io::Error },
    #[error("{0} has no PEM section of the kind it needs")]
    NotPem(&'static str),
    #[error("{CERTIFICATE} and {KEY} cannot be used together: {0}")]
    Certificate(rustls::Error),
    #[error("the certificates of {CLIENT_CA} cannot be used")]
    ClientCa,
}

/// What connections are opened with.
#[derive(Debug)]
pub struct Tls {
    folder: PathBuf,
    current: RwLock<(Hash, Arc<ServerConfig>)>,
}

type Hash = [u8; 32];

/// Names of the certificate that a client has shown and proven to have, of its subject alternative names.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientNames(pub(super) Arc<[String]>);

impl Tls {
    /// Reads `tls.crt` and `tls.key`, and `ca.crt` where it is there.
    pub fn open(folder: PathBuf) -> Result<Self, TlsError> {
        let files = Files::read(&folder)?;
        let current = RwLock::new((files.hash(), files.config()?));
        Ok(Self { folder, current })
    }

    /// Takes what the folder has then, until cancelled. What cannot be used leaves all as it was.
    pub async fn follow(&self, cancel: CancellationToken) {
        let mut refused = None;
        while cancel
            .run_until_cancelled(tokio::time::sleep(LOOK_EVERY))
            .await
            .is_some()
        {
            // Two small files, now and then.
            match self.refresh() {
                Ok(true) => info!("the webhook server has a new certificate"),
                Ok(false) => {}
                Err(error) => {
                    let told = error.to_string();
                    if refused.as_ref() != Some(&told) {
                        warn!(%error, "the webhook server keeps its certificate");
                    }
                    refused = Some(told);
                    continue;
                }
            }
            refused = None;
        }
    }

    /// Whether the folder had something new.
    pub(super) fn refresh(&self) -> Result<bool, TlsError> {
        let files = Files::read(&self.folder)?;
        let hash = files.hash();
        if self.current.read().unwrap_or_else(PoisonError::into_inner).0 == hash {
            return Ok(false);
        }
        let config = files.config()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (hash, config);
        Ok(true)
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, ClientNames)> {
        let config = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            current.1.clone()
        };
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let names = certificates.and_then(<[_]>::first).map(names).unwrap_or_default();
        Ok((stream, ClientNames(names.into())))
    }
}

struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    fn read(folder: &std::path::Path) -> Result<Self, TlsError> {
        let read = |file| fs::read(folder.join(file)).map_err(|source| TlsError::Read { file, source });
        let client_ca = match read(CLIENT_CA) {
            Ok(bytes) => Some(bytes),
            Err(TlsError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            certificate: read(CERTIFICATE)?,
            key: read(KEY)?,
            client_ca,
        })
    }

    fn hash(&self) -> Hash {
        let Self {
            certificate,
            key,
            client_ca,
        } = self;
        let mut hasher = Sha256::new();
        for file in [Some(certificate), Some(key), client_ca.as_ref()] {
            let file = Sha256::digest(file.map_or(&[][..], Vec::as_slice));
            hasher.update(file);
        }
        hasher.finalize().into()
    }

    fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&self.certificate, CERTIFICATE)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| TlsError::NotPem(KEY))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Certificate)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(client_ca) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(client_ca, CLIENT_CA)? {
                    roots.add(certificate).map_err(|_| TlsError::ClientCa)?;
                }
                // Sources without one authenticate in another way.
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|_| TlsError::ClientCa)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(TlsError::Certificate)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(pem: &[u8], file: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError::NotPem(file)),
    }
}

/// DNS names and URIs among the subject alternative names. The common name is none (RFC 9525, 2).
fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else {
        return Vec::new();
    };
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternative.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect()
}

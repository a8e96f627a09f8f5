//! The server with TLS, its certificate exchanged while it runs, and clients with certificates of their own.

use std::{fs, io, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{PULL, Server, Stub, TOKEN, head};
use crate::receive::{Limits, Method, Tls};

struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
struct Leaf {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> Leaf {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { certificate, key }
    }

    fn server(&self) -> Leaf {
        self.sign("localhost", ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn client(&self, name: &str) -> Leaf {
        self.sign(name, ExtendedKeyUsagePurpose::ClientAuth)
    }
}

impl Leaf {
    fn write(&self, folder: &Path) {
        fs::write(folder.join("tls.crt"), self.certificate.pem()).unwrap();
        fs::write(folder.join("tls.key"), self.key.serialize_pem()).unwrap();
    }
}

/// The status of a delivery to a server whose certificate `believed` signs, by a client with this certificate.
async fn deliver(
    server: &Server,
    believed: &Authority,
    client: Option<&Leaf>,
    token: &str,
) -> io::Result<u16> {
    let mut roots = RootCertStore::empty();
    roots.add(believed.certificate.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some(Leaf { certificate, key }) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let stream = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let head = head(token, PULL.len()).replace("Host: x", "Host: x\r\nConnection: close");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(PULL).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    Ok(std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap())
}

async fn start(tls: &Arc<Tls>) -> Server {
    Server::with_tls(Arc::new(Stub::default()), Limits::default(), Some(tls.clone())).await
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Authority::new(), Authority::new());
    first.server().write(folder.path());
    let tls = Arc::new(Tls::open(folder.path().to_owned()).unwrap());
    let server = start(&tls).await;
    assert_eq!(deliver(&server, &first, None, TOKEN).await.unwrap(), 202);
    assert_eq!(deliver(&server, &first, None, "wrong").await.unwrap(), 401);
    deliver(&server, &second, None, TOKEN).await.unwrap_err();
    assert!(!tls.refresh().unwrap(), "nothing is new");

    second.server().write(folder.path());
    assert!(tls.refresh().unwrap());
    assert_eq!(deliver(&server, &second, None, TOKEN).await.unwrap(), 202);

    // A key of another certificate, and none at all: what was there goes on.
    fs::write(
        folder.path().join("tls.key"),
        KeyPair::generate().unwrap().serialize_pem(),
    )
    .unwrap();
    tls.refresh().unwrap_err();
    fs::remove_file(folder.path().join("tls.key")).unwrap();
    let error = tls.refresh().unwrap_err();
    assert!(error.to_string().contains("tls.key"), "{error}");
    assert_eq!(deliver(&server, &second, None, TOKEN).await.unwrap(), 202);
}

#[tokio::test]
async fn without_usable_files_the_server_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let refused = || Tls::open(folder.path().to_owned()).unwrap_err().to_string();
    assert!(refused().contains("tls.crt"));
    authority.server().write(folder.path());
    fs::write(folder.path().join("ca.crt"), "no certificate").unwrap();
    assert!(refused().contains("ca.crt"));
    fs::write(folder.path().join("ca.crt"), authority.certificate.pem()).unwrap();
    Tls::open(folder.path().to_owned()).unwrap();
}

#[tokio::test]
async fn who_speaks_plainly_to_a_server_with_tls_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new().server().write(folder.path());
    let server = start(&Arc::new(Tls::open(folder.path().to_owned()).unwrap())).await;
    let mut client = server.connect().await;
    client.send(&head(TOKEN, PULL.len()), PULL).await;
    client.closed().await;
}

#[tokio::test]
async fn a_client_is_known_by_a_name_of_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, stranger) = (Authority::new(), Authority::new());
    ours.server().write(folder.path());
    fs::write(folder.path().join("ca.crt"), ours.certificate.pem()).unwrap();
    let server = start(&Arc::new(Tls::open(folder.path().to_owned()).unwrap())).await;
    let names = vec!["registry.example.com".to_owned(), "second.example.com".to_owned()];
    server.open_by("notifications", Method::ClientCertificate { names }, &[]);
    for (client, expected) in [
        (Some(ours.client("registry.example.com")), 202),
        (Some(ours.client("second.example.com")), 202),
        (Some(ours.client("other.example.com")), 401),
        (Some(ours.client("sub.registry.example.com")), 401),
        (None, 401),
    ] {
        let status = deliver(&server, &ours, client.as_ref(), TOKEN).await.unwrap();
        assert_eq!(status, expected);
    }
    let unbelieved = stranger.client("registry.example.com");
    deliver(&server, &ours, Some(&unbelieved), TOKEN)
        .await
        .unwrap_err();

    // A source that authenticates in another way needs none.
    server.open("notifications", &[TOKEN]);
    assert_eq!(deliver(&server, &ours, None, TOKEN).await.unwrap(), 202);
}

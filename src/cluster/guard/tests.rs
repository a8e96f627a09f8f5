use std::{convert::Infallible, error::Error, time::Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::cluster::kubeconfig::{Kubeconfig, Timeouts};

const TOKEN: &str = "TOP-SECRET-0a1b2c3d4e";
const HOST: &str = "cluster.example.com";
const CA: &str = include_str!("../../../tests/fixtures/kubeconfigs/server/ca.pem");
const OTHER_CA: &str = include_str!("../../../tests/fixtures/kubeconfigs/server/other-ca.pem");
const CERTIFICATE: &str = include_str!("../../../tests/fixtures/kubeconfigs/server/server.pem");
const KEY: &str = include_str!("../../../tests/fixtures/kubeconfigs/server/server.key");

fn nets(nets: &[&str]) -> Vec<IpNet> {
    nets.iter().map(|net| net.parse().unwrap()).collect()
}

/// The guard of an operator whose cluster has the usual service range.
fn guard(allowed: &[&str]) -> Guard {
    Guard::new(Rules {
        allowed: nets(allowed),
        in_cluster: nets(&["10.96.0.0/12", "fd00:96::/112"]),
        cluster_domain: "cluster.local".to_owned(),
    })
}

/// Every name has these addresses.
fn resolver(addresses: &[&str]) -> impl Resolver {
    let addresses: Vec<SocketAddr> = addresses
        .iter()
        .map(|address| SocketAddr::new(address.parse().unwrap(), 0))
        .collect();
    tower::service_fn(move |_: Name| future::ready(Ok::<_, Infallible>(addresses.clone().into_iter())))
}

#[test]
fn an_address_literal_is_checked_without_a_resolver() {
    let guard = guard(&["10.96.7.7/32", "127.0.0.2/32"]);
    for (server, permitted) in [
        ("https://203.0.113.9:6443", true),
        ("https://10.0.0.7:6443", true),
        ("https://192.168.49.2:8443", true),
        ("https://[2001:db8::7]:6443", true),
        ("https://cluster.example.com", true),
        ("https://127.0.0.1:6443", false),
        ("https://169.254.169.254/latest", false),
        ("https://[::1]:6443", false),
        ("https://[::ffff:169.254.169.254]", false),
        ("https://[fe80::1]", false),
        // the operator's own cluster
        ("https://10.96.0.1", false),
        ("https://[::ffff:10.96.0.1]", false),
        ("https://[fd00:96::1]", false),
        // what the configuration allows
        ("https://10.96.7.7", true),
        ("https://[::ffff:10.96.7.7]", true),
        ("https://127.0.0.2:6443", true),
    ] {
        let checked = guard.check(&server.parse().unwrap());
        assert_eq!(checked.is_ok(), permitted, "{server}");
    }
}

#[tokio::test]
async fn a_name_keeps_only_its_permitted_addresses() {
    /// Name, addresses, and those that are left; none are left where all are refused.
    type Row = (
        &'static str,
        &'static [&'static str],
        Option<&'static [&'static str]>,
    );

    let table: [Row; 11] = [
        (HOST, &["203.0.113.9"], Some(&["203.0.113.9"])),
        (HOST, &["10.0.0.7", "fd00::7"], Some(&["10.0.0.7", "fd00::7"])),
        (
            HOST,
            &["169.254.169.254", "203.0.113.9", "::1"],
            Some(&["203.0.113.9"]),
        ),
        (HOST, &["127.0.0.1"], None),
        (HOST, &["10.96.0.10"], None),
        (HOST, &["10.96.7.7"], Some(&["10.96.7.7"])),
        // names of the operator's own cluster, whatever their address
        ("vault.security.svc", &["192.0.2.7"], None),
        ("vault.security.svc.cluster.local.", &["192.0.2.7"], None),
        ("10-0-0-7.team.Pod.Cluster.Local", &["10.0.0.7"], None),
        ("vcluster.team.svc", &["10.96.7.7"], Some(&["10.96.7.7"])),
        ("notsvc.example.com", &["192.0.2.7"], Some(&["192.0.2.7"])),
    ];
    for (name, addresses, expected) in table {
        let mut guarded = GuardedResolver {
            guard: guard(&["10.96.7.7/32"]),
            resolver: resolver(addresses),
        };
        let resolved = guarded.call(name.parse().unwrap()).await;
        match expected {
            Some(expected) => {
                let ips: Vec<String> = resolved
                    .unwrap()
                    .map(|address| address.ip().to_string())
                    .collect();
                assert_eq!(ips, expected, "{name}");
            }
            None => assert!(
                resolved.unwrap_err().is::<AddressNotAllowed>(),
                "{name} {addresses:?}"
            ),
        }
    }
}

#[tokio::test]
async fn a_name_without_addresses_is_not_resolved() {
    let mut guarded = GuardedResolver {
        guard: guard(&[]),
        resolver: resolver(&[]),
    };
    let error = guarded.call(HOST.parse().unwrap()).await.unwrap_err();
    assert_eq!(reason(&*error), "NameNotResolved");
}

/// An API server on loopback that gives every request the same answer.
struct Server {
    port: u16,
    requests: mpsc::UnboundedReceiver<String>,
}

async fn serve(answer: &'static str) -> Server {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, sender) = (acceptor.clone(), sender.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                sender.send(String::from_utf8(request).unwrap()).unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                // Open until the client goes: a missing rest is a silence, not an end.
                let _ = stream.read_u8().await;
            });
        }
    });
    Server { port, requests }
}

fn config(server: &str, ca: &str) -> kube::Config {
    let ca = BASE64_STANDARD.encode(ca);
    let document = format!(
        "clusters: [{{name: a, cluster: {{server: '{server}', certificate-authority-data: {ca}}}}}]\n\
         users: [{{name: b, user: {{token: {TOKEN}}}}}]\n\
         contexts: [{{name: c, context: {{cluster: a, user: b}}}}]\n"
    );
    Kubeconfig::from_kubeconfig(document.as_bytes())
        .unwrap()
        .into_config(Timeouts {
            connect: Duration::from_millis(500),
            read: Some(Duration::from_millis(500)),
            write: Duration::from_millis(500),
        })
}

impl Server {
    fn config(&self) -> kube::Config {
        config(&format!("https://{HOST}:{}/k8s/clusters/c-1", self.port), CA)
    }

    fn client(&self) -> kube::Client {
        client::build(self.config(), &guard(&["127.0.0.1/32"]), resolver(&["127.0.0.1"])).unwrap()
    }
}

/// All that an error shows, with its sources.
fn shown(error: &dyn Error) -> String {
    let mut text = format!("{error:?}");
    let mut next = Some(error);
    while let Some(error) = next {
        text = format!("{text}\n{error}");
        next = error.source();
    }
    text
}

#[tokio::test]
async fn a_request_carries_the_token_to_the_server_it_is_meant_for() {
    let mut server = serve("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
    let request = http::Request::get("/readyz?verbose").body(Vec::new()).unwrap();
    assert_eq!(server.client().request_text(request).await.unwrap(), "hello");

    let seen = server.requests.recv().await.unwrap();
    assert!(
        seen.starts_with("GET /k8s/clusters/c-1/readyz?verbose HTTP/1.1\r\n"),
        "{seen}"
    );
    assert!(
        seen.contains(&format!("authorization: Bearer {TOKEN}\r\n")),
        "{seen}"
    );
}

#[tokio::test]
async fn a_refused_address_is_not_connected_to_and_known_by_its_error() {
    let mut server = serve("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let client = client::build(server.config(), &guard(&[]), resolver(&["127.0.0.1"])).unwrap();
    let error = client.apiserver_version().await.unwrap_err();
    assert_eq!(reason(&error), ADDRESS_NOT_ALLOWED);
    assert!(!shown(&error).contains("127.0.0.1"), "{}", shown(&error));
    assert!(server.requests.try_recv().is_err());

    let literal = config(&format!("https://127.0.0.1:{}", server.port), CA);
    let error = guarded_client(literal, &guard(&[])).err().unwrap();
    assert_eq!(error.reason(), ADDRESS_NOT_ALLOWED);
}

#[tokio::test]
async fn the_connector_checks_each_address_it_is_given() {
    let server = serve("").await;
    let mut connector = guard(&[]).connector();
    let uri = format!("https://127.0.0.1:{}", server.port).parse().unwrap();
    assert!(connector.call(uri).await.unwrap_err().is::<AddressNotAllowed>());
}

#[tokio::test]
async fn the_text_of_a_failure_never_reaches_an_error() {
    for (answer, code, expected) in [
        (
            "HTTP/1.1 500 Oops\r\ncontent-length: 21\r\n\r\nTOP-SECRET-0a1b2c3d4e",
            500,
            "ServerError",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 71\r\n\r\n\
             {\"kind\":\"Status\",\"message\":\"TOP-SECRET-0a1b2c3d4e\",\"code\":403,\"a\":\"bb\"}",
            403,
            "Forbidden",
        ),
        // endless: neither read nor waited for
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 9999999999\r\n\r\nTOP-SECRET-0a1b2c3d4e",
            404,
            "RequestRefused",
        ),
        // followed by nobody, and no empty list either
        (
            "HTTP/1.1 302 Found\r\nlocation: https://169.254.169.254/\r\ncontent-length: 2\r\n\r\n{}",
            502,
            "ServerError",
        ),
    ] {
        let server = serve(answer).await;
        let error = server.client().apiserver_version().await.unwrap_err();
        assert!(!shown(&error).contains(TOKEN), "{}", shown(&error));
        assert_eq!(reason(&error), expected);
        let kube::Error::Api(status) = error else {
            panic!("{}", shown(&error));
        };
        assert_eq!(status.code, code);
    }
}

#[tokio::test]
async fn a_server_that_another_authority_vouches_for_is_not_trusted() {
    let server = serve("").await;
    let config = config(&format!("https://{HOST}:{}", server.port), OTHER_CA);
    let client = client::build(config, &guard(&["127.0.0.1/32"]), resolver(&["127.0.0.1"])).unwrap();
    let error = client.apiserver_version().await.unwrap_err();
    assert_eq!(reason(&error), "CertificateNotTrusted", "{}", shown(&error));
    assert!(!shown(&error).contains(TOKEN));
}

#[tokio::test]
async fn a_failed_connection_has_a_reason() {
    let server = serve("").await;
    let unused = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for (host, port, expected) in [
        (HOST, unused, "ConnectionRefused"),
        ("other.example.com", server.port, "CertificateNameMismatch"),
    ] {
        let config = config(&format!("https://{host}:{port}"), CA);
        let client = client::build(config, &guard(&["127.0.0.1/32"]), resolver(&["127.0.0.1"])).unwrap();
        let error = client.apiserver_version().await.unwrap_err();
        assert_eq!(reason(&error), expected, "{}", shown(&error));
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    // takes connections and answers no handshake
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let no_answer = serve("").await;
    let half_an_answer = serve("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await;
    for port in [port, no_answer.port, half_an_answer.port] {
        let config = config(&format!("https://{HOST}:{port}"), CA);
        let begun = Instant::now();
        let client = client::build(config, &guard(&["127.0.0.1/32"]), resolver(&["127.0.0.1"])).unwrap();
        let error = client.apiserver_version().await.unwrap_err();
        assert_eq!(reason(&error), "TimedOut", "{}", shown(&error));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(
            begun.elapsed() >= Duration::from_millis(400),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn a_configuration_that_the_reader_cannot_have_made_is_refused() {
    let server = serve("").await;
    let changes: [fn(&mut kube::Config); 5] = [
        |config| config.cluster_url = "http://cluster.example.com".parse().unwrap(),
        |config| config.accept_invalid_certs = true,
        |config| config.proxy_url = Some("http://proxy.example.com".parse().unwrap()),
        |config| config.auth_info.exec = serde_json::from_str(r#"{"command":"true"}"#).unwrap(),
        |config| {
            config.auth_info.auth_provider = serde_json::from_str(r#"{"name":"gcp","config":{}}"#).unwrap();
        },
    ];
    for change in changes {
        let mut config = server.config();
        change(&mut config);
        assert!(matches!(
            guarded_client(config, &guard(&[])),
            Err(ClientError::Unsafe)
        ));
    }
}

//! Servers that use TLS: whose certificates are trusted.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use local_cluster::PostgresServer;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::server::Server;
use crate::store::{PostgresOptions, PostgresStore, StoreError};

/// A certificate authority's certificate, and a server's for `localhost` that it signed, in files.
struct Authority {
    ca_file: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_certificate = authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = server.signed_by(&key, &issuer).unwrap();
        let write = |part: &str, text: String| {
            let path = folder.join(format!("{name}.{part}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        let made = Self {
            ca_file: write("ca", authority_certificate.pem()),
            certificate: write("crt", certificate.pem()),
            key: write("key", key.serialize_pem()),
        };
        std::fs::set_permissions(&made.key, Permissions::from_mode(0o600)).unwrap();
        PostgresServer::give(&made.key).unwrap();
        made
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_certificate_is_verified_whatever_the_mode() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let other = Authority::new(folder.path(), "other");
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", ours.certificate.display()),
        format!("ssl_key_file={}", ours.key.display()),
    ];
    let settings = settings.each_ref().map(String::as_str);
    let running = PostgresServer::start_with(&std::env::temp_dir(), &settings)
        .await
        .unwrap();
    let server = Server::of(running);
    let plain = server.database().await;
    let config: tokio_postgres::Config = plain.parse().unwrap();
    let (port, database) = (config.get_ports()[0], config.get_dbname().unwrap());
    let open = async |host: &str, mode: &str, ca_file: Option<&PathBuf>| {
        let url = format!("postgres://postgres@{host}:{port}/{database}?sslmode={mode}");
        let options = PostgresOptions {
            url: url.parse().unwrap(),
            ca_file: ca_file.cloned(),
        };
        PostgresStore::open(&options, |_, _| {}).await
    };
    for mode in ["require", "verify-full", "prefer"] {
        let store = open("localhost", mode, Some(&ours.ca_file)).await.unwrap();
        store.close().await.unwrap();
        for (host, ca_file) in [
            ("localhost", Some(&other.ca_file)),
            ("localhost", None),
            ("127.0.0.1", Some(&ours.ca_file)),
        ] {
            let refused = open(host, mode, ca_file).await.unwrap_err();
            assert!(
                matches!(&refused, StoreError::Open(told) if told.contains("certificate")),
                "{mode} {host}: {refused}"
            );
        }
    }
    let refused = open("localhost", "require", Some(&ours.key)).await.unwrap_err();
    assert!(refused.to_string().contains("no certificates"), "{refused}");
}

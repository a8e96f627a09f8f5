//! The project's own reader of the Secrets that describe a cluster.
//!
//! kube's reader runs `exec` and `auth-provider` commands, reads the files it is
//! pointed at (the operator's own token among them) and quotes the source in its
//! errors. This one is an allow-list: one cluster, one user, one context, `https`,
//! everything inline, and no text of the input in any error. It opens no file, runs
//! nothing and reads no environment.

use std::{fmt, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::Uri;
use rustls::pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};

mod document;
mod error;
mod fields;
mod material;
mod read;
mod validity;

pub use error::{FieldName, KubeconfigError};
pub use validity::Validity;

/// How one cluster is reached and as whom. Everything in it is checked: the
/// address, the certificates, that the key fits its certificate, that the token
/// can be sent.
#[derive(Clone)]
pub struct Kubeconfig {
    endpoint: Endpoint,
    credentials: Credentials,
}

/// Where the API server is and how it proves itself.
#[derive(Clone)]
struct Endpoint {
    server: Uri,
    tls_server_name: Option<String>,
    certificate_authority: Option<Vec<CertificateDer<'static>>>,
}

/// The one means by which a request is authenticated.
#[derive(Clone)]
pub enum Credentials {
    /// Sent as it is, after `Bearer `.
    Token(SecretString),
    /// Both in PEM: the chain, its own certificate first, and one unencrypted key.
    ClientCertificate { certificate: String, key: SecretString },
}

/// Limits of a connection. None of them limits a whole request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution, connection and TLS handshake together.
    pub connect: Duration,
    /// The longest silence of the server while an answer or a watch is open; `None`
    /// where every request has a deadline of its own.
    pub read: Option<Duration>,
    /// The longest time that a part of a request may wait to be taken.
    pub write: Duration,
}

impl Kubeconfig {
    /// Reads a kubeconfig: YAML or JSON, 64 KiB at most.
    pub fn from_kubeconfig(bytes: &[u8]) -> Result<Self, KubeconfigError> {
        read::kubeconfig(bytes)
    }

    /// Reads the keys `server` and `config` of an Argo CD cluster Secret; its key
    /// `name` says nothing about the connection.
    pub fn from_argocd(server: &[u8], config: &[u8]) -> Result<Self, KubeconfigError> {
        read::argocd(server, config)
    }

    /// `https://host[:port][/path]`.
    #[must_use]
    pub fn server(&self) -> &Uri {
        &self.endpoint.server
    }

    /// The name the server's certificate must bear, where it is not its host.
    #[must_use]
    pub fn tls_server_name(&self) -> Option<&str> {
        self.endpoint.tls_server_name.as_deref()
    }

    /// The only roots that are trusted; `None` means the public ones.
    #[must_use]
    pub fn certificate_authority(&self) -> Option<&[CertificateDer<'static>]> {
        self.endpoint.certificate_authority.as_deref()
    }

    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Until when the credentials are good; `None` where they do not say.
    #[must_use]
    pub fn validity(&self) -> Option<Validity> {
        validity::validity(&self.credentials)
    }

    /// What kube connects with, made by hand: no environment, no file, no proxy, no
    /// retries of its own. To be given to [`guarded_client`](super::guard::guarded_client).
    #[must_use]
    pub fn into_config(self, timeouts: Timeouts) -> kube::Config {
        let Self {
            endpoint:
                Endpoint {
                    server,
                    tls_server_name,
                    certificate_authority,
                },
            credentials,
        } = self;
        let Timeouts { connect, read, write } = timeouts;
        let mut config = kube::Config::new(server);
        config.tls_server_name = tls_server_name;
        config.root_cert =
            certificate_authority.map(|roots| roots.into_iter().map(|root| root.to_vec()).collect());
        config.connect_timeout = Some(connect);
        config.read_timeout = read;
        // The silence counts from the request, not from when the connection became idle.
        config.reset_reader_on_write = read.is_some();
        config.write_timeout = Some(write);
        config.disable_compression = true;
        // Retrying is the caller's, who has a deadline: kube's takes up to 1,000 s.
        config.default_retry = false;
        match credentials {
            Credentials::Token(token) => config.auth_info.token = Some(token),
            Credentials::ClientCertificate { certificate, key } => {
                config.auth_info.client_certificate_data = Some(BASE64_STANDARD.encode(certificate));
                config.auth_info.client_key_data = Some(BASE64_STANDARD.encode(key.expose_secret()).into());
            }
        }
        config
    }
}

/// Neither the address nor the credentials: the one may be confidential, too.
impl fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubeconfig")
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token([redacted])",
            Self::ClientCertificate { .. } => "ClientCertificate([redacted])",
        })
    }
}

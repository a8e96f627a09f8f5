//! Small documents by https.

use std::{error::Error, fmt, pin::pin, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header, uri::Scheme};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::{BoxError, ServiceExt, util::BoxCloneSyncService};

use crate::cluster::{Guard, failure_reason, reason_of_code};

/// Bytes of the largest document.
const LARGEST: usize = 256 * 1024;
/// Bytes of the largest head of an answer.
const HEAD_BYTES: usize = 32 * 1024;
/// How long all of it may take.
const WITHIN: Duration = Duration::from_secs(10);
const HTTPS_PORT: u16 = 443;

/// A host that may be fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchHost {
    host: String,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a host is written as NAME or NAME:PORT, without scheme and path, such as www.googleapis.com")]
pub struct InvalidFetchHost;

impl FromStr for FetchHost {
    type Err = InvalidFetchHost;

    fn from_str(text: &str) -> Result<Self, InvalidFetchHost> {
        let uri: Uri = format!("https://{text}/").parse().map_err(|_| InvalidFetchHost)?;
        let found = Self::of(&uri).ok_or(InvalidFetchHost)?;
        let is_all =
            uri.path_and_query().is_some_and(|rest| rest.as_str() == "/") && !found.host.contains('*');
        is_all.then_some(found).ok_or(InvalidFetchHost)
    }
}

impl FetchHost {
    /// The host of an address, if it is https and names no user.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let authority = uri.authority()?;
        let is_plain = uri.scheme() == Some(&Scheme::HTTPS) && !authority.as_str().contains('@');
        (is_plain && !authority.host().is_empty()).then(|| Self {
            host: authority.host().to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(HTTPS_PORT),
        })
    }
}

/// Why a document was not fetched. Nothing of an answer is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FetchError {
    #[error("its host is not among those that may be fetched from")]
    NotPermitted,
    #[error("it did not arrive within {} seconds", WITHIN.as_secs())]
    TimedOut,
    #[error("it is larger than {LARGEST} bytes")]
    TooLarge,
    /// With the word of [`reason_of_code`].
    #[error("the answer was no success ({0})")]
    Refused(&'static str),
    /// With the word of [`failure_reason`].
    #[error("the connection failed ({0})")]
    Failed(&'static str),
}

impl FetchError {
    /// The word for conditions and log lines.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotPermitted => "FetchNotPermitted",
            Self::TimedOut => "TimedOut",
            Self::TooLarge => "TooLarge",
            Self::Refused(reason) | Self::Failed(reason) => reason,
        }
    }
}

/// What was fetched.
#[derive(Debug)]
pub struct Fetched {
    pub body: Bytes,
    /// For how long it is current, where the answer says so (RFC 9111, 5.2.2.1).
    pub max_age: Option<Duration>,
}

/// Fetches from the hosts it is made for. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    hosts: Arc<[FetchHost]>,
    connector: BoxCloneSyncService<Uri, TokioIo<TcpStream>, BoxError>,
    tls: TlsConnector,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Believes servers whose certificates the system's authorities sign.
    pub fn new(hosts: &[FetchHost], guard: &Guard) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        if !hosts.is_empty() {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Self::build(hosts, BoxCloneSyncService::new(guard.connector()), roots)
    }

    #[cfg(test)]
    pub(crate) fn with(
        hosts: &[FetchHost],
        guard: &Guard,
        resolver: impl crate::cluster::Resolver,
        roots: RootCertStore,
    ) -> Self {
        let connector = BoxCloneSyncService::new(guard.connector_with(resolver));
        Self::build(hosts, connector, roots).expect("versions of TLS")
    }

    fn build(
        hosts: &[FetchHost],
        connector: BoxCloneSyncService<Uri, TokioIo<TcpStream>, BoxError>,
        roots: RootCertStore,
    ) -> Result<Self, rustls::Error> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            hosts: hosts.into(),
            connector,
            tls: Arc::new(config).into(),
        })
    }

    /// Whether an address is one to fetch from.
    #[must_use]
    pub fn permits(&self, url: &Uri) -> bool {
        FetchHost::of(url).is_some_and(|host| self.hosts.contains(&host))
    }

    /// The document at an address, on a connection of its own.
    pub async fn get(&self, url: &Uri) -> Result<Fetched, FetchError> {
        let host = FetchHost::of(url).filter(|host| self.hosts.contains(host));
        let host = host.ok_or(FetchError::NotPermitted)?;
        tokio::time::timeout(WITHIN, self.fetch(url, host.host))
            .await
            .unwrap_or(Err(FetchError::TimedOut))
    }

    async fn fetch(&self, url: &Uri, host: String) -> Result<Fetched, FetchError> {
        let stream = self.connector.clone().oneshot(url.clone()).await;
        let stream = stream.map_err(|error| failed(&*error))?.into_inner();
        let literal = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(literal).map_err(|_| FetchError::NotPermitted)?;
        let stream = self.tls.connect(name, stream).await;
        let stream = TokioIo::new(stream.map_err(|error| failed(&error))?);
        let mut builder = http1::Builder::new();
        let (mut sender, connection) = builder
            .max_buf_size(HEAD_BYTES)
            .handshake(stream)
            .await
            .map_err(|error| failed(&error))?;
        let request = Request::get(url.path_and_query().map_or("/", |path| path.as_str()))
            .header(
                header::HOST,
                url.authority().map_or("", |authority| authority.as_str()),
            )
            .header(header::USER_AGENT, "image-usage-operator")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::NotPermitted)?;
        let exchange = async move {
            let answer = sender.send_request(request).await;
            let answer = answer.map_err(|error| failed(&error))?;
            if answer.status() != StatusCode::OK {
                return Err(FetchError::Refused(reason_of_code(answer.status())));
            }
            let max_age = max_age(answer.headers());
            let body = Limited::new(answer.into_body(), LARGEST).collect().await;
            let body = body.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    FetchError::TooLarge
                } else {
                    failed(&*error)
                }
            })?;
            Ok(Fetched {
                body: body.to_bytes(),
                max_age,
            })
        };
        let mut exchange = pin!(exchange);
        tokio::select! {
            biased;
            fetched = &mut exchange => fetched,
            // Ended before the answer was read: what arrived is still there.
            _ = connection => exchange.await,
        }
    }
}

fn failed(error: &(dyn Error + 'static)) -> FetchError {
    FetchError::Failed(failure_reason(error))
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(header::CACHE_CONTROL).into_iter();
    let mut directives = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    directives.find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("max-age");
        let seconds = seconds.trim().trim_matches('"').parse().ok()?;
        is_it.then(|| Duration::from_secs(seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(hosts: &[&str], url: &str) -> bool {
        let hosts: Vec<FetchHost> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let fetcher = Fetcher::new(&hosts, &Guard::default()).unwrap();
        url.parse().is_ok_and(|url| fetcher.permits(&url))
    }

    #[test]
    fn only_named_hosts_are_fetched_from_and_only_by_https() {
        let hosts = ["keys.example.com", "other.example.com:8443"];
        for (url, expected) in [
            ("https://keys.example.com/certs", true),
            ("https://KEYS.example.com:443/certs?a=b", true),
            ("https://other.example.com:8443", true),
            ("http://keys.example.com/certs", false),
            ("https://keys.example.com:8443/certs", false),
            ("https://other.example.com/certs", false),
            ("https://user@keys.example.com/certs", false),
            ("https://keys.example.com@evil.example/certs", false),
            ("https://keys.example.com.evil.example/certs", false),
            ("https://sub.keys.example.com/certs", false),
            ("https://keys.example.com\\@evil.example/certs", false),
            ("/certs", false),
        ] {
            assert_eq!(permits(&hosts, url), expected, "{url}");
        }
        assert!(!permits(&[], "https://keys.example.com/certs"));
    }

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
        for wrong in [
            "",
            "https://a.example",
            "a.example/path",
            "a.example?b",
            "user@a.example",
            "*.example",
            "a b",
        ] {
            assert_eq!(wrong.parse::<FetchHost>(), Err(InvalidFetchHost), "{wrong}");
        }
        assert_eq!(
            "A.example".parse(),
            Ok::<FetchHost, _>("a.example:443".parse().unwrap())
        );
    }

    #[test]
    fn how_long_a_document_is_current_is_in_its_head() {
        let age = |line: &'static str| {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, line.parse().unwrap())]);
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(age("public, max-age=19800, must-revalidate"), Some(19800));
        assert_eq!(age("Max-Age = 60"), Some(60));
        assert_eq!(age("s-maxage=5"), None);
        assert_eq!(age("no-store"), None);
        assert_eq!(age("max-age=-1"), None);
    }
}

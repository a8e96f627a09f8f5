//! Certificates that messages of topics name, each fetched once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::Uri;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::{FetchError, Fetcher};
use crate::receive::authentication::Certificate;

/// Most certificates that are kept.
const MOST_KEPT: usize = 8;
/// The least time between two fetches that bring nothing: messages whose senders are not known yet ask for them.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How long a message waits for a certificate, others before it included.
const WITHIN: Duration = Duration::from_secs(10);

/// Why there is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateUnavailable {
    /// There is none at this address.
    Refused,
    /// It could not be fetched now.
    Unknown,
}

/// Certificates by their address.
#[derive(Debug)]
pub struct Certificates {
    fetcher: Fetcher,
    /// The one used last is the first.
    known: Mutex<Vec<(Uri, Arc<Certificate>)>>,
    /// Held by the one who fetches: when a fetch may begin.
    next: tokio::sync::Mutex<Instant>,
}

impl Certificates {
    #[must_use]
    pub fn new(fetcher: Fetcher) -> Self {
        Self {
            fetcher,
            known: Mutex::default(),
            next: tokio::sync::Mutex::new(Instant::now()),
        }
    }

    /// The first certificate at an address.
    pub async fn at(&self, url: &Uri) -> Result<Arc<Certificate>, CertificateUnavailable> {
        if let Some(known) = self.known(url) {
            return Ok(known);
        }
        tokio::time::timeout(WITHIN, self.fetch(url))
            .await
            .unwrap_or(Err(CertificateUnavailable::Unknown))
    }

    async fn fetch(&self, url: &Uri) -> Result<Arc<Certificate>, CertificateUnavailable> {
        let mut next = self.next.lock().await;
        // Whoever was before has fetched it perhaps.
        if let Some(known) = self.known(url) {
            return Ok(known);
        }
        tokio::time::sleep_until(*next).await;
        *next = Instant::now() + AFTER_FAILURE;
        let fetched = self.fetcher.get(url).await;
        let document = fetched.map_err(|error| {
            warn!(
                host = url.host(),
                reason = error.reason(),
                "failed to fetch a topic's certificate"
            );
            match error {
                FetchError::NotPermitted
                | FetchError::TooLarge
                | FetchError::Refused("RequestRefused" | "Forbidden") => CertificateUnavailable::Refused,
                _ => CertificateUnavailable::Unknown,
            }
        })?;
        let certificates = Certificate::parse_all(&document.body);
        let certificate = certificates.ok().and_then(|all| all.into_iter().next());
        let certificate = Arc::new(certificate.ok_or(CertificateUnavailable::Refused)?);
        if certificate.is_current(Timestamp::now()) {
            *next = Instant::now();
            self.keep(url, &certificate);
        }
        Ok(certificate)
    }

    fn known(&self, url: &Uri) -> Option<Arc<Certificate>> {
        let (mut known, now) = (
            self.known.lock().unwrap_or_else(PoisonError::into_inner),
            Timestamp::now(),
        );
        known.retain(|(_, certificate)| certificate.is_current(now));
        let place = known.iter().position(|(kept, _)| kept == url)?;
        known[..=place].rotate_right(1);
        known.first().map(|(_, certificate)| certificate.clone())
    }

    fn keep(&self, url: &Uri, certificate: &Arc<Certificate>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(0, (url.clone(), certificate.clone()));
        known.truncate(MOST_KEPT);
    }
}

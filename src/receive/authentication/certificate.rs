//! Certificates that messages are signed with.

use jiff::Timestamp;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use thiserror::Error;
use x509_parser::parse_x509_certificate;

/// Most certificates of one text.
const MOST_CERTIFICATES: usize = 8;

/// Why a text has no certificate that can be used. Quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertificateError {
    #[error("it has no certificate in PEM form")]
    NotPem,
    #[error("it has more than {MOST_CERTIFICATES} certificates")]
    TooMany,
    #[error("one of its certificates cannot be read")]
    Unreadable,
}

/// The RSA key of a certificate, and when it may be used.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// In DER (RFC 8017, A.1.1).
    key: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureAlgorithm {
    RsaSha1,
    RsaSha256,
}

impl Certificate {
    /// All certificates of a PEM text.
    pub fn parse_all(pem: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem)
            .take(MOST_CERTIFICATES + 1)
            .collect::<Result<_, _>>()
            .map_err(|_| CertificateError::NotPem)?;
        if found.is_empty() {
            return Err(CertificateError::NotPem);
        }
        if found.len() > MOST_CERTIFICATES {
            return Err(CertificateError::TooMany);
        }
        found
            .iter()
            .map(|der| Self::of(der).ok_or(CertificateError::Unreadable))
            .collect()
    }

    fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let validity = certificate.validity();
        let time = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
        Some(Self {
            key: certificate.public_key().subject_public_key.data.to_vec(),
            not_before: time(validity.not_before)?,
            not_after: time(validity.not_after)?,
        })
    }

    /// Whether it may be used at this time.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Whether its key signed the message, and it may be used now.
    pub(super) fn signed(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
        now: Timestamp,
    ) -> bool {
        let algorithm: &RsaParameters = match algorithm {
            SignatureAlgorithm::RsaSha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            SignatureAlgorithm::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
        };
        self.is_current(now)
            && UnparsedPublicKey::new(algorithm, &self.key)
                .verify(message, signature)
                .is_ok()
    }
}

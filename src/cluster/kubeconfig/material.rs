//! Addresses, certificates, keys and tokens, checked before anything connects.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Uri, uri::Scheme};
use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    sign::CertifiedKey,
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{Credentials, KubeconfigError};

/// Bytes of a server's address: far below what would make a request's address too long.
const MAX_SERVER: usize = 2048;

/// `https://host[:port][/path]`: no user, query and fragment.
pub(super) fn server(text: &SecretString) -> Result<Uri, KubeconfigError> {
    let text = text.expose_secret();
    // Read as a host alone, `host:port` would be a scheme and a path.
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(KubeconfigError::ServerNotHttps);
    };
    if !scheme.eq_ignore_ascii_case(Scheme::HTTPS.as_str()) {
        return Err(KubeconfigError::ServerNotHttps);
    }
    // `Uri` drops fragments silently.
    if text.len() > MAX_SERVER || rest.contains(['@', '?', '#']) {
        return Err(KubeconfigError::ServerMalformed);
    }
    let uri: Uri = text.parse().map_err(|_| KubeconfigError::ServerMalformed)?;
    let authority = uri.authority().ok_or(KubeconfigError::ServerMalformed)?;
    let host = authority.host();
    let port_is_valid = match authority.as_str().strip_prefix(host) {
        Some("") => true,
        Some(_) => authority.port_u16().is_some_and(|port| port != 0),
        None => false,
    };
    if !port_is_valid || ServerName::try_from(without_brackets(host)).is_err() {
        return Err(KubeconfigError::ServerMalformed);
    }
    Ok(uri)
}

/// An IPv6 host stands in brackets in an address, and without them elsewhere.
fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

pub(super) fn tls_server_name(
    text: Option<SecretString>,
    field: &'static str,
) -> Result<Option<String>, KubeconfigError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let name = text.expose_secret();
    match ServerName::try_from(name) {
        Ok(_) => Ok(Some(name.to_owned())),
        Err(_) => Err(KubeconfigError::ServerNameMalformed(field)),
    }
}

/// One or more CA certificates that rustls takes as roots.
pub(super) fn certificate_authority(
    text: &SecretString,
    field: &'static str,
) -> Result<Vec<CertificateDer<'static>>, KubeconfigError> {
    let malformed = || KubeconfigError::CertificateAuthorityMalformed(field);
    let pem = decode(text).ok_or_else(malformed)?;
    let certificates = certificates(&pem).ok_or_else(malformed)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|_| malformed())?;
    }
    Ok(certificates)
}

/// A token that can be sent in a header as it is.
pub(super) fn token(text: SecretString, field: &'static str) -> Result<SecretString, KubeconfigError> {
    if text.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(KubeconfigError::TokenMalformed(field))
    }
}

/// A certificate chain and its key, each with the field it was in: rustls takes
/// the key, and it is the key of the chain's first certificate.
pub(super) fn client_certificate(
    (chain_text, chain_field): (&SecretString, &'static str),
    (key_text, key_field): (&SecretString, &'static str),
) -> Result<Credentials, KubeconfigError> {
    let chain = decode(chain_text)
        .and_then(|pem| certificates(&pem))
        .ok_or(KubeconfigError::CertificateMalformed(chain_field))?;
    let malformed_key = || KubeconfigError::KeyMalformed(key_field);
    let pem = decode(key_text).ok_or_else(malformed_key)?;
    let key = Zeroizing::new(PrivateKeyDer::from_pem_slice(&pem).map_err(|_| malformed_key())?);

    let signing_key = ring::sign::any_supported_type(&key).map_err(|_| malformed_key())?;
    match CertifiedKey::new(chain.clone(), signing_key).keys_match() {
        Ok(()) => {}
        Err(rustls::Error::InconsistentKeys(_)) => return Err(KubeconfigError::KeyMismatch),
        Err(_) => return Err(KubeconfigError::CertificateMalformed(chain_field)),
    }
    Ok(Credentials::ClientCertificate {
        certificate: chain.iter().map(|der| pem_block("CERTIFICATE", der)).collect(),
        key: key_pem(&key).into(),
    })
}

/// The bytes behind base64, which may be broken into lines.
fn decode(text: &SecretString) -> Option<Zeroizing<Vec<u8>>> {
    let mut base64 = Zeroizing::new(text.expose_secret().as_bytes().to_vec());
    base64.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    BASE64_STANDARD.decode(&*base64).ok().map(Zeroizing::new)
}

/// All certificates of a PEM text; `None` where there is none or one is broken.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates.ok().filter(|certificates| !certificates.is_empty())
}

/// Written anew, since kube refuses PEM with other sections in it.
fn pem_block(label: &str, der: &[u8]) -> String {
    let body = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn key_pem(key: &PrivateKeyDer<'_>) -> String {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    pem_block(label, key.secret_der())
}

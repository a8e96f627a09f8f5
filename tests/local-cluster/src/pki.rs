//! The cluster's own certificate authority and tokens.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde::{Deserialize, Serialize};

/// A certificate and its key, both as PEM.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyedCertificate {
    /// Of the certificate alone, without the authority's.
    pub certificate: String,
    /// PKCS #8.
    pub key: String,
}

/// Signs what the API server accepts and shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Authority {
    pub(crate) ca: KeyedCertificate,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "local-cluster");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self {
            ca: KeyedCertificate {
                certificate,
                key: key.serialize_pem(),
            },
        })
    }

    /// A certificate for a server that answers to these names and addresses.
    pub(crate) fn server(&self, names: &[&str], addresses: &[IpAddr]) -> Result<KeyedCertificate> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params
            .subject_alt_names
            .extend(addresses.iter().copied().map(SanType::IpAddress));
        params
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// A certificate that the API server takes for this user.
    pub(crate) fn client(&self, user: &str, group: Option<&str>) -> Result<KeyedCertificate> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<KeyedCertificate> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(DnType::CommonName, "local-cluster");
        let issuer = Issuer::new(authority, KeyPair::from_pem(&self.ca.key)?);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        Ok(KeyedCertificate {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

/// Writes `<name>.crt` and `<name>.key`.
pub(crate) fn write_pair(folder: &Path, name: &str, pair: &KeyedCertificate) -> Result<()> {
    std::fs::write(folder.join(format!("{name}.crt")), &pair.certificate)
        .and_then(|()| std::fs::write(folder.join(format!("{name}.key")), &pair.key))
        .with_context(|| format!("failed to write the certificate {name}"))
}

/// Writes the pair of keys that signs and checks service account tokens.
pub(crate) fn write_signing_keys(folder: &Path, name: &str) -> Result<()> {
    let key = KeyPair::generate()?;
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())
        .and_then(|()| std::fs::write(folder.join(format!("{name}.pub")), key.public_key_pem()))
        .with_context(|| format!("failed to write the keys {name}"))
}

/// A bearer token that nobody can guess.
pub(crate) fn random_token() -> Result<String> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(crate::hex(&bytes))
}

//! Where the database is, and how it is reached.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::StoreError;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A server that is gone without a word is noticed this much later.
const SILENCE: Duration = Duration::from_secs(10);

/// `postgres://user:password@host:port/database?sslmode=…`, which nothing ever prints.
///
/// It is read when the store is opened: an error here would be printed with the value.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.trim().into()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// Which database, and whose certificates are trusted.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    pub url: DatabaseUrl,
    /// PEM certificates that sign the server's; by default those that the system trusts.
    pub ca_file: Option<PathBuf>,
}

impl PostgresOptions {
    pub(super) fn config(&self) -> Result<Config, StoreError> {
        // A server's certificate is always verified, name and all, once TLS is used.
        let url = self.url.0.expose_secret();
        let url = url
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        // What the parser says may repeat a part of the URL, and so of a password.
        let mut config: Config = url
            .parse()
            .map_err(|_| StoreError::Open("the database URL is malformed".to_owned()))?;
        if config.get_application_name().is_none() {
            config.application_name("image-usage-operator");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WITHIN);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        config
            .keepalives_idle(SILENCE)
            .keepalives_interval(SILENCE / 2)
            .keepalives_retries(2);
        Ok(config)
    }

    pub(super) fn tls(&self) -> Result<MakeRustlsConnect, StoreError> {
        let mut roots = RootCertStore::empty();
        match &self.ca_file {
            Some(path) => {
                let failed = || StoreError::Open(format!("{}: no certificates in PEM form", path.display()));
                for certificate in CertificateDer::pem_file_iter(path).map_err(|_| failed())? {
                    let certificate = certificate.map_err(|_| failed())?;
                    roots.add(certificate).map_err(|_| failed())?;
                }
                if roots.is_empty() {
                    return Err(failed());
                }
            }
            None => {
                // Where there are none, a server that wants TLS is refused.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| StoreError::Open("TLS cannot be set up".to_owned()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::SslMode;

    use super::*;

    fn options(url: &str) -> PostgresOptions {
        PostgresOptions {
            url: url.parse().unwrap(),
            ca_file: None,
        }
    }

    #[test]
    fn a_url_is_never_shown() {
        let options = options("postgres://user:hunter2@host/events");
        assert!(!format!("{options:?}").contains("hunter2"));
        let config = options.config().unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_malformed_url_is_refused_without_repeating_it() {
        for url in [
            "postgres://host/events?hunter2=x",
            "host=a hunter2",
            "postgres://h?sslmode=hunter2",
        ] {
            let refused = options(url).config().unwrap_err().to_string();
            assert!(!refused.contains("ter2"), "{refused}");
        }
    }

    #[test]
    fn stricter_ssl_modes_of_other_clients_mean_verified_tls() {
        for (mode, expected) in [
            ("verify-full", SslMode::Require),
            ("verify-ca", SslMode::Require),
            ("require", SslMode::Require),
            ("disable", SslMode::Disable),
        ] {
            let config = options(&format!("postgres://host/events?sslmode={mode}"))
                .config()
                .unwrap();
            assert_eq!(config.get_ssl_mode(), expected);
        }
    }
}

use std::{fmt, time::Duration};

use http::Uri;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};

use crate::{dialect::Format, store::RegistryKey};

/// A source that is polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polled {
    pub registry: RegistryKey,
    /// Its name.
    pub source: String,
    /// At least one.
    pub logs: Vec<Log>,
    pub server: Server,
    /// Between the end of one round and the begin of the next.
    pub interval: Duration,
    /// How far back from its first round a log is read.
    pub reach: SignedDuration,
}

/// A log that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Log {
    /// The audit log of a Harbor.
    Harbor,
    /// The usage log of an organization of a Quay.
    QuayOrganization(String),
    /// The usage log of a repository of a Quay, which is named with its organization.
    QuayRepository(String),
}

impl Log {
    /// Tells it from the other logs of its source, for ever.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Harbor => "audit".to_owned(),
            Self::QuayOrganization(name) => format!("organization/{name}"),
            Self::QuayRepository(name) => format!("repository/{name}"),
        }
    }

    /// How its rows are read.
    pub(super) fn format(&self) -> Format {
        match self {
            Self::Harbor => Format::Harbor,
            Self::QuayOrganization(_) | Self::QuayRepository(_) => Format::Quay,
        }
    }
}

/// Where a registry's API is, and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `https://host[:port][/path]`.
    pub url: Uri,
    pub credentials: Credentials,
    /// The only roots that are trusted, in DER; `None` means the public ones.
    pub roots: Option<Vec<Vec<u8>>>,
}

/// Who asks.
#[derive(Clone)]
pub enum Credentials {
    Basic {
        username: String,
        password: SecretString,
    },
    /// A token that can be sent in a header as it is.
    Bearer(SecretString),
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Basic { username, password },
                Self::Basic {
                    username: other,
                    password: others,
                },
            ) => username == other && password.expose_secret() == others.expose_secret(),
            (Self::Bearer(token), Self::Bearer(other)) => token.expose_secret() == other.expose_secret(),
            _ => false,
        }
    }
}

impl Eq for Credentials {}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic([redacted])",
            Self::Bearer(_) => "Bearer([redacted])",
        })
    }
}

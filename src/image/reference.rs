use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{Digest, DigestError};

/// A registry host and a repository path in it, normalised: the host in lower
/// case with its port, every spelling of Docker Hub as `docker.io`, and its
/// one-part repositories under `library/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName {
    pub host: String,
    pub path: String,
}

/// An image reference as the container runtimes read it (grammar of
/// distribution's `reference` package): a repository and a tag, a digest, both
/// or neither. Neither means `:latest`; with both the digest decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    pub repository: RepositoryName,
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReferenceError {
    #[error("an image reference cannot be empty")]
    Empty,
    #[error("not an image reference: {0}")]
    Malformed(&'static str),
    #[error("not an image reference: {0}")]
    Digest(#[from] DigestError),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        unimplemented!()
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

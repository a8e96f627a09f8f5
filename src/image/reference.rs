use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{
    Digest, DigestError,
    digest::decode_hex,
    grammar::{MAX_PATH, is_host, is_path, is_tag, names_host},
};

#[cfg(test)]
mod tests;

/// Bytes of the longest text looked at. A repository path has at most 255, a tag
/// 128, a digest 135: what is longer than this is no image reference.
pub const MAX_REFERENCE_BYTES: usize = 1024;

pub(super) const DOCKER_HUB: &str = "docker.io";
/// Where its repositories of one part are.
pub(super) const DOCKER_HUB_LIBRARY: &str = "library/";
/// Other names of Docker Hub: the registry's own and the one of its old index.
const DOCKER_HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];
const DEFAULT_TAG: &str = "latest";

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
    #[error("an image reference has at most {MAX_REFERENCE_BYTES} bytes")]
    TooLong,
    #[error("not an image reference: {0}")]
    Malformed(&'static str),
    #[error("not an image reference: {0}")]
    Digest(#[from] DigestError),
    /// Only where a repository is asked for.
    #[error("a repository is named without tag and digest: leave out what follows its name")]
    NotARepository,
}

impl Reference {
    /// The tag that a runtime asks for where no digest decides.
    #[must_use]
    pub fn tag_or_latest(&self) -> &str {
        self.tag.as_deref().unwrap_or(DEFAULT_TAG)
    }
}

impl RepositoryName {
    /// The path less its last part; `None` where it has one part only.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.path.rsplit_once('/').map(|(namespace, _)| namespace)
    }

    /// The last part of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or(self.path.as_str(), |(_, name)| name)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(ReferenceError::TooLong);
        }
        if text.contains("://") {
            return Err(ReferenceError::Malformed("leave out the scheme before the host"));
        }
        // Both would also read as a repository of Docker Hub; runtimes take them for
        // the identifier of a local image (`ParseAnyReference`).
        if decode_hex::<32>(text).is_some() || text.parse::<Digest>().is_ok() {
            return Err(ReferenceError::Malformed(
                "a digest alone names no repository: write <repository>@<digest>",
            ));
        }

        // Names and tags hold no `@`.
        let (tagged, digest) = match text.split_once('@') {
            Some((tagged, digest)) => (tagged, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon before the last slash parts host and port.
        let last_part = tagged.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match tagged[last_part..].split_once(':') {
            Some((last, tag)) => (&tagged[..last_part + last.len()], Some(tag)),
            None => (tagged, None),
        };
        let repository = parse_name(name)?;
        let tag = match tag {
            Some(tag) if !is_tag(tag) => {
                return Err(ReferenceError::Malformed(
                    "a tag has 1 to 128 letters, digits, '_', '.' and '-', and starts with none of '.' and '-'",
                ));
            }
            tag => tag.map(str::to_owned),
        };
        Ok(Self {
            repository,
            tag,
            digest,
        })
    }
}

/// Reads `[host "/"] path` and normalises it.
fn parse_name(name: &str) -> Result<RepositoryName, ReferenceError> {
    let (host, path) = match name.split_once('/') {
        Some((first, rest)) if names_host(first) => (first, rest),
        _ => (DOCKER_HUB, name),
    };
    if !is_host(host) {
        return Err(ReferenceError::Malformed(
            "a host is a domain name, an IPv4 address or an IPv6 address in brackets, with an optional port",
        ));
    }
    if path.is_empty() {
        return Err(ReferenceError::Malformed("the name of the repository is missing"));
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(ReferenceError::Malformed("repository names are lower case"));
    }
    if !is_path(path) {
        return Err(ReferenceError::Malformed(
            "each part of a repository name is letters and digits, parted by '.', '_', '__' or '-'",
        ));
    }
    let mut host = host.to_ascii_lowercase();
    if DOCKER_HUB_ALIASES.contains(&host.as_str()) {
        DOCKER_HUB.clone_into(&mut host);
    }
    let path = if host == DOCKER_HUB && !path.contains('/') {
        [DOCKER_HUB_LIBRARY, path].concat()
    } else {
        path.to_owned()
    };
    if path.len() > MAX_PATH {
        return Err(ReferenceError::Malformed(
            "a repository name has at most 255 bytes",
        ));
    }
    Ok(RepositoryName { host, path })
}

impl FromStr for RepositoryName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Reference {
            repository,
            tag,
            digest,
        } = text.parse()?;
        if tag.is_some() || digest.is_some() {
            return Err(ReferenceError::NotARepository);
        }
        Ok(repository)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only upper case tells such a host from the first part of a path.
        if names_host(&self.host) {
            f.write_str(&self.host)?;
        } else {
            f.write_str(&self.host.to_ascii_uppercase())?;
        }
        write!(f, "/{}", self.path)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.repository.fmt(f)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

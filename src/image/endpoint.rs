use std::fmt;

use super::{
    RepositoryName,
    grammar::{MAX_PATH, is_path},
    reference::{DOCKER_HUB, DOCKER_HUB_LIBRARY},
};

/// One name of a registry: a host, or the part of a host whose paths begin with a prefix. What
/// follows the prefix is the path in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Normalised.
    pub host: String,
    /// Empty, or path components that each end with a slash.
    pub prefix: String,
}

impl Endpoint {
    /// The path in the registry of a repository that is named by this endpoint; `None` where it is
    /// not below it.
    #[must_use]
    pub fn path_of<'a>(&self, name: &'a RepositoryName) -> Option<&'a str> {
        let path = name.path.strip_prefix(&self.prefix)?;
        (name.host == self.host && !path.is_empty()).then_some(path)
    }

    /// How this endpoint names the repository with this path in the registry.
    #[must_use]
    pub fn name_of(&self, path: &str) -> RepositoryName {
        RepositoryName {
            host: self.host.clone(),
            path: [&self.prefix, path].concat(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.prefix)
    }
}

/// Whether a text can be the prefix of an endpoint.
#[must_use]
pub fn is_prefix(text: &str) -> bool {
    text.is_empty() || text.len() <= MAX_PATH && text.strip_suffix('/').is_some_and(is_path)
}

/// All names of one registry, the first without a prefix (else the first of all) being its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints(Vec<Endpoint>);

impl Endpoints {
    /// In the order in which people wrote them.
    #[must_use]
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let mut all: Vec<Endpoint> = Vec::new();
        for endpoint in endpoints {
            if !all.contains(&endpoint) {
                all.push(endpoint);
            }
        }
        if let Some(own) = all.iter().position(|endpoint| endpoint.prefix.is_empty()) {
            all[..=own].rotate_right(1);
        }
        Self(all)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.0.iter()
    }

    /// Those that stand for the registry at a part of another: what is pulled there is pulled
    /// from the mirror.
    pub fn mirrors(&self) -> impl Iterator<Item = &Endpoint> {
        self.0
            .iter()
            .skip(1)
            .filter(|endpoint| !endpoint.prefix.is_empty())
    }

    /// How the registry itself names the repository with this path; `None` without endpoints.
    #[must_use]
    pub fn own_name(&self, path: &str) -> Option<RepositoryName> {
        self.0.first().map(|own| own.name_of(path))
    }

    /// Every name of the repository with this path.
    #[must_use]
    pub fn names(&self, path: &str) -> Vec<RepositoryName> {
        let short = path
            .strip_prefix(DOCKER_HUB_LIBRARY)
            .filter(|_| self.is_docker_hub());
        let short = short.filter(|short| !short.contains('/'));
        let mut names: Vec<RepositoryName> = self
            .0
            .iter()
            .flat_map(|endpoint| {
                // Only a name of the hub itself is read with `library/` whoever reads it.
                let by_short = short.filter(|_| endpoint.host != DOCKER_HUB);
                [Some(path), by_short]
                    .into_iter()
                    .flatten()
                    .map(|path| endpoint.name_of(path))
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The longest prefix by which the registry claims a name, and the path in the registry.
    #[must_use]
    pub fn claim(&self, name: &RepositoryName) -> Option<(usize, String)> {
        let claims = self
            .0
            .iter()
            .filter_map(|endpoint| Some((endpoint.prefix.len(), endpoint.path_of(name)?)));
        let (length, path) = claims.max_by_key(|(length, _)| *length)?;
        let path = if self.is_docker_hub() && !path.contains('/') {
            [DOCKER_HUB_LIBRARY, path].concat()
        } else {
            path.to_owned()
        };
        Some((length, path))
    }

    /// Whether both have an endpoint that is the same.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> bool {
        self.0.iter().any(|endpoint| other.0.contains(endpoint))
    }

    /// Its repositories of one part are under `library/`, and a mirror names them with or without.
    fn is_docker_hub(&self) -> bool {
        self.0
            .iter()
            .any(|endpoint| endpoint.host == DOCKER_HUB && endpoint.prefix.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(texts: &[&str]) -> Endpoints {
        Endpoints::new(texts.iter().map(|text| {
            let (host, prefix) = text.split_once('/').unwrap();
            assert!(is_prefix(prefix), "{text}");
            Endpoint {
                host: host.to_owned(),
                prefix: prefix.to_owned(),
            }
        }))
    }

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    fn names(of: &Endpoints, path: &str) -> Vec<String> {
        of.names(path)
            .into_iter()
            .map(|name| format!("{}/{}", name.host, name.path))
            .collect()
    }

    #[test]
    fn every_name_leads_to_the_same_path_and_back() {
        let registry = endpoints(&["mirror.example/proxy/", "r.example/", "alias.example:5000/"]);
        for text in [
            "r.example/team/app",
            "alias.example:5000/team/app",
            "mirror.example/proxy/team/app",
        ] {
            let (_, path) = registry.claim(&name(text)).unwrap();
            assert_eq!(path, "team/app", "{text}");
        }
        assert_eq!(
            names(&registry, "team/app"),
            [
                "alias.example:5000/team/app",
                "mirror.example/proxy/team/app",
                "r.example/team/app",
            ]
        );
        assert_eq!(registry.own_name("team/app").unwrap(), name("r.example/team/app"));
        let mirrors: Vec<String> = registry.mirrors().map(ToString::to_string).collect();
        assert_eq!(mirrors, ["mirror.example/proxy/"]);
        for text in [
            "mirror.example/other/team/app",
            "mirror.example/proxy",
            "x.example/team/app",
        ] {
            assert_eq!(registry.claim(&name(text)), None, "{text}");
        }
    }

    #[test]
    fn the_longest_prefix_of_a_registry_counts() {
        let registry = endpoints(&["r.example/", "r.example/a/", "r.example/a/b/"]);
        for (text, expected) in [
            ("r.example/x", (0, "x")),
            ("r.example/a/x", (2, "x")),
            ("r.example/a/b/x", (4, "x")),
            ("r.example/a/bx", (2, "bx")),
        ] {
            let (length, path) = registry.claim(&name(text)).unwrap();
            assert_eq!((length, path.as_str()), expected, "{text}");
        }
    }

    #[test]
    fn a_mirror_of_docker_hub_names_its_library_with_and_without_it() {
        let hub = endpoints(&["docker.io/", "harbor.local/dockerhub/"]);
        for text in [
            "nginx",
            "docker.io/library/nginx",
            "index.docker.io/nginx",
            "harbor.local/dockerhub/nginx",
            "harbor.local/dockerhub/library/nginx",
        ] {
            assert_eq!(hub.claim(&name(text)).unwrap().1, "library/nginx", "{text}");
        }
        assert_eq!(
            names(&hub, "library/nginx"),
            [
                "docker.io/library/nginx",
                "harbor.local/dockerhub/library/nginx",
                "harbor.local/dockerhub/nginx",
            ]
        );
        assert_eq!(
            names(&hub, "team/app"),
            ["docker.io/team/app", "harbor.local/dockerhub/team/app"]
        );
        // A registry that is not the hub has no library.
        let other = endpoints(&["r.example/", "harbor.local/r/"]);
        assert_eq!(other.claim(&name("harbor.local/r/nginx")).unwrap().1, "nginx");
        assert_eq!(
            names(&other, "library/nginx"),
            ["harbor.local/r/library/nginx", "r.example/library/nginx"]
        );
    }

    #[test]
    fn without_a_host_of_its_own_the_first_name_is_the_registrys() {
        let project = endpoints(&["r.example/team/", "r.example/old-team/"]);
        assert_eq!(project.own_name("app").unwrap(), name("r.example/team/app"));
        assert_eq!(project.mirrors().count(), 1);
        assert_eq!(endpoints(&["r.example/team/"]).mirrors().count(), 0);
    }

    #[test]
    fn a_prefix_is_a_path_that_ends_with_a_slash() {
        for prefix in ["", "a/", "dockerhub/", "a-b/c.d/e__f/"] {
            assert!(is_prefix(prefix), "{prefix}");
        }
        let long = format!("{}/", "a".repeat(MAX_PATH));
        for prefix in [
            "/",
            "a",
            "/a/",
            "a//",
            "A/",
            "a b/",
            "-a/",
            "a:1/",
            "a@b/",
            long.as_str(),
        ] {
            assert!(!is_prefix(prefix), "{prefix}");
        }
    }
}

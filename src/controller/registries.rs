//! The accepted `ImageRegistries`, and which of them answers for a repository.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::SignedDuration;

use crate::{
    crd::{ClientDetails, RegistryGrant},
    dialect::Format,
    event::Network,
    image::{Endpoints, RepositoryName},
    store::{RegistryKey, Terms},
};

use super::{grants, shelf::Shelf, touch::ObjectKey};

/// An `ImageRegistry` whose spec makes sense.
#[derive(Debug)]
pub struct Registry {
    pub key: ObjectKey,
    pub uid: String,
    /// All of them are this registry.
    pub endpoints: Endpoints,
    pub network: Arc<Network>,
    pub retention: SignedDuration,
    /// What its sources send, by name.
    pub formats: BTreeMap<String, Format>,
    /// Names of those that are asked for their log.
    pub polled: BTreeSet<String>,
    /// Most events that are kept.
    pub quota: Option<i64>,
    pub allowed: Vec<RegistryGrant>,
    /// Whether its namespace may serve others.
    pub is_granting: bool,
}

impl Registry {
    /// Whether a report sees no difference.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let Self {
            key,
            uid,
            endpoints,
            network,
            retention,
            formats,
            polled,
            quota,
            allowed,
            is_granting,
        } = self;
        (
            key,
            uid,
            endpoints,
            network,
            retention,
            formats,
            polled,
            quota,
            allowed,
            is_granting,
        ) == (
            &other.key,
            &other.uid,
            &other.endpoints,
            &other.network,
            &other.retention,
            &other.formats,
            &other.polled,
            &other.quota,
            &other.allowed,
            &other.is_granting,
        )
    }

    /// What reports in `namespace`, which has these labels, may say of clients; nothing where it does not serve them.
    #[must_use]
    pub fn client_details(
        &self,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
    ) -> Option<ClientDetails> {
        let own = &self.key.namespace;
        grants::serving(&self.allowed, own, self.is_granting, namespace, labels)
            .map(|grant| grant.client_details)
            .max()
    }

    /// What is kept of it.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            retention: self.retention,
            quota: self.quota,
        }
    }

    /// Under which key its events are kept.
    #[must_use]
    pub fn store_key(&self) -> RegistryKey {
        RegistryKey {
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
            uid: self.uid.clone(),
        }
    }
}

/// Who answers for a repository.
#[derive(Debug)]
pub enum Lookup {
    Nobody,
    /// Several at the same level claim it by the same endpoint: neither serves. Their names, sorted.
    Conflict(Vec<String>),
    /// The registry, and the path of the repository in it.
    One(Arc<Registry>, String),
}

#[derive(Debug, Default)]
pub struct Registries(Shelf<Registry>);

impl Registries {
    pub fn insert(&self, registry: Registry) {
        self.0.insert(registry.key.clone(), registry);
    }

    /// What was there.
    pub fn remove(&self, key: &ObjectKey) -> Option<Arc<Registry>> {
        self.0.remove(key)
    }

    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Registry>> {
        self.0.get(key)
    }

    #[must_use]
    pub fn all(&self) -> Vec<Arc<Registry>> {
        self.0.all()
    }

    /// Every name of these repositories of a registry: by each of its endpoints.
    #[must_use]
    pub fn names(&self, key: &ObjectKey, paths: &[String]) -> Vec<RepositoryName> {
        self.get(key).map_or_else(Vec::new, |registry| {
            paths
                .iter()
                .flat_map(|path| registry.endpoints.names(path))
                .collect()
        })
    }

    /// The names of a repository of a registry, by which no other registry answers to a report in `namespace`.
    #[must_use]
    pub fn names_to(
        &self,
        registry: &Registry,
        path: &str,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
    ) -> Vec<RepositoryName> {
        let mut names = registry.endpoints.names(path);
        names.retain(|name| match self.lookup(name, namespace, labels) {
            Lookup::One(one, _) => one.key == registry.key,
            Lookup::Nobody | Lookup::Conflict(_) => true,
        });
        names
    }

    /// Who answers for a repository to a report in `namespace` with these labels: of those that serve it and claim
    /// the name by the longest prefix, one in a granting namespace, else one in the report's own.
    #[must_use]
    pub fn lookup(
        &self,
        name: &RepositoryName,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
    ) -> Lookup {
        let mut claims: Vec<(usize, String, Arc<Registry>)> = self
            .all()
            .into_iter()
            .filter_map(|registry| {
                let (length, path) = registry.endpoints.claim(name)?;
                Some((length, path, registry))
            })
            .filter(|(.., registry)| registry.client_details(namespace, labels).is_some())
            .collect();
        let longest = claims.iter().map(|(length, ..)| *length).max();
        claims.retain(|(length, ..)| Some(*length) == longest);
        let (granting, own): (Vec<_>, Vec<_>) = claims
            .into_iter()
            .partition(|(.., registry)| registry.is_granting);
        let level = if granting.is_empty() { own } else { granting };
        match level.as_slice() {
            [] => Lookup::Nobody,
            [(_, path, one)] => Lookup::One(one.clone(), path.clone()),
            several => Lookup::Conflict(
                several
                    .iter()
                    .map(|(.., registry)| registry.key.to_string())
                    .collect(),
            ),
        }
    }

    /// Others that have one of these endpoints at the same level: all granting namespaces are one level, every other
    /// namespace is one of its own.
    #[must_use]
    pub fn rivals(&self, of: &Registry) -> Vec<ObjectKey> {
        self.all()
            .into_iter()
            .filter(|other| other.key != of.key && other.is_granting == of.is_granting)
            .filter(|other| of.is_granting || other.key.namespace == of.key.namespace)
            .filter(|other| other.endpoints.overlap(&of.endpoints))
            .map(|other| other.key.clone())
            .collect()
    }
}

#[cfg(test)]
pub(super) mod fixture {
    use super::*;
    use crate::image::Endpoint;

    /// `team/registry` with these sources.
    pub(in crate::controller) fn registry(sources: &[(&str, Format)]) -> Registry {
        let sources = sources.iter();
        Registry {
            key: ObjectKey {
                namespace: "team".into(),
                name: "registry".into(),
            },
            uid: "1".into(),
            endpoints: Endpoints::new([Endpoint {
                host: "r.example".into(),
                prefix: String::new(),
            }]),
            network: Arc::new(network()),
            retention: SignedDuration::from_hours(720),
            formats: sources
                .map(|(name, format)| ((*name).to_owned(), *format))
                .collect(),
            polled: BTreeSet::new(),
            quota: None,
            allowed: vec![RegistryGrant::default()],
            is_granting: false,
        }
    }

    pub(in crate::controller) fn network() -> Network {
        Network::new::<&str>(crate::event::ForwardedAddress::Untrusted, &[], &[]).unwrap()
    }
}

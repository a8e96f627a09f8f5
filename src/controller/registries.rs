//! The accepted `ImageRegistries`, and which of them answers for a host.

use std::{collections::{BTreeMap, BTreeSet}, sync::Arc};

use jiff::SignedDuration;

use crate::{
    crd::{ClientDetails, RegistryGrant},
    dialect::Format,
    event::Network,
    image::RepositoryName,
    store::{RegistryKey, Terms},
};

use super::{grants, shelf::Shelf, touch::ObjectKey};

/// An `ImageRegistry` whose spec makes sense.
#[derive(Debug)]
pub struct Registry {
    pub key: ObjectKey,
    pub uid: String,
    /// Normalised hosts; all of them are this registry.
    pub hosts: Vec<String>,
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
            hosts,
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
            hosts,
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
            &other.hosts,
            &other.network,
            &other.retention,
            &other.formats,
            &other.polled,
            &other.quota,
            &other.allowed,
            &other.is_granting,
        )
    }

    /// Every name of a repository of it.
    #[must_use]
    pub fn names(&self, path: &str) -> Vec<RepositoryName> {
        self.hosts
            .iter()
            .map(|host| RepositoryName {
                host: host.clone(),
                path: path.to_owned(),
            })
            .collect()
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

/// Who answers for a host.
#[derive(Debug)]
pub enum Lookup {
    Nobody,
    /// Several at the same level claim the host: neither serves. Their names, sorted.
    Conflict(Vec<String>),
    One(Arc<Registry>),
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

    /// Every name of these repositories of a registry: under each of its hosts.
    #[must_use]
    pub fn names(&self, key: &ObjectKey, paths: &[String]) -> Vec<RepositoryName> {
        self.get(key).map_or_else(Vec::new, |registry| {
            paths.iter().flat_map(|path| registry.names(path)).collect()
        })
    }

    /// Who answers for `host` to a report in `namespace` with these labels: one in a granting namespace, else one
    /// in the report's own.
    #[must_use]
    pub fn lookup(&self, host: &str, namespace: &str, labels: Option<&BTreeMap<String, String>>) -> Lookup {
        let claims: Vec<Arc<Registry>> = self
            .all()
            .into_iter()
            .filter(|registry| registry.hosts.iter().any(|claimed| claimed == host))
            .filter(|registry| registry.client_details(namespace, labels).is_some())
            .collect();
        let (granting, own): (Vec<_>, Vec<_>) = claims.into_iter().partition(|registry| registry.is_granting);
        let level = if granting.is_empty() { own } else { granting };
        match level.as_slice() {
            [] => Lookup::Nobody,
            [one] => Lookup::One(one.clone()),
            several => Lookup::Conflict(several.iter().map(|registry| registry.key.to_string()).collect()),
        }
    }

    /// Others that claim one of these hosts at the same level: all granting namespaces are one level, every other
    /// namespace is one of its own.
    #[must_use]
    pub fn rivals(&self, of: &Registry) -> Vec<ObjectKey> {
        self.all()
            .into_iter()
            .filter(|other| other.key != of.key && other.is_granting == of.is_granting)
            .filter(|other| of.is_granting || other.key.namespace == of.key.namespace)
            .filter(|other| other.hosts.iter().any(|host| of.hosts.contains(host)))
            .map(|other| other.key.clone())
            .collect()
    }
}

#[cfg(test)]
pub(super) mod fixture {
    use super::*;

    /// `team/registry` with these sources.
    pub(in crate::controller) fn registry(sources: &[(&str, Format)]) -> Registry {
        let sources = sources.iter();
        Registry {
            key: ObjectKey {
                namespace: "team".into(),
                name: "registry".into(),
            },
            uid: "1".into(),
            hosts: vec!["r.example".into()],
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::{NamespacesFrom, ReportNamespaces};

    fn registry(namespace: &str, name: &str, is_granting: bool, from: NamespacesFrom) -> Registry {
        Registry {
            key: ObjectKey {
                namespace: namespace.into(),
                name: name.into(),
            },
            uid: format!("{namespace}-{name}"),
            allowed: vec![RegistryGrant {
                namespaces: ReportNamespaces { from, selector: None },
                client_details: ClientDetails::Full,
            }],
            is_granting,
            ..fixture::registry(&[])
        }
    }

    fn answer(registries: &Registries, namespace: &str) -> String {
        match registries.lookup("r.example", namespace, None) {
            Lookup::Nobody => "nobody".into(),
            Lookup::Conflict(names) => names.join("+"),
            Lookup::One(registry) => registry.key.to_string(),
        }
    }

    #[test]
    fn of_several_grants_the_one_that_shows_most_counts() {
        let grant = |from, client_details| RegistryGrant {
            namespaces: ReportNamespaces { from, selector: None },
            client_details,
        };
        let registry = Registry {
            allowed: vec![
                grant(NamespacesFrom::Same, ClientDetails::Network),
                grant(NamespacesFrom::All, ClientDetails::None),
            ],
            ..registry("team", "own", true, NamespacesFrom::Same)
        };
        assert_eq!(
            registry.client_details("team", None),
            Some(ClientDetails::Network)
        );
        assert_eq!(registry.client_details("other", None), Some(ClientDetails::None));
        let not_granting = Registry {
            is_granting: false,
            ..registry
        };
        assert_eq!(not_granting.client_details("other", None), None);
    }

    #[test]
    fn a_granting_registry_goes_before_one_of_the_own_namespace_and_equals_conflict() {
        let registries = Registries::default();
        assert_eq!(answer(&registries, "team"), "nobody");
        registries.insert(registry("team", "own", false, NamespacesFrom::Same));
        assert_eq!(answer(&registries, "team"), "team/own");
        assert_eq!(answer(&registries, "other"), "nobody");
        registries.insert(registry("system", "shared", true, NamespacesFrom::All));
        assert_eq!(answer(&registries, "team"), "system/shared");
        registries.insert(registry("system", "second", true, NamespacesFrom::Same));
        assert_eq!(
            answer(&registries, "team"),
            "system/shared",
            "it does not serve this namespace"
        );
        assert_eq!(answer(&registries, "system"), "system/second+system/shared");
        registries.insert(registry("team", "twin", false, NamespacesFrom::Same));
        assert_eq!(
            registries
                .rivals(&registry("team", "own", false, NamespacesFrom::Same))
                .len(),
            1
        );
        assert!(
            registries
                .remove(&ObjectKey {
                    namespace: "system".into(),
                    name: "shared".into()
                })
                .is_some()
        );
        assert_eq!(answer(&registries, "team"), "team/own+team/twin");
    }
}

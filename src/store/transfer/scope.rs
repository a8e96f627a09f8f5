//! What of a store is carried.

use jiff::Timestamp;

use crate::store::RegistryKey;

/// What is carried.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Namespace and name; all registries, and what clusters run, where there is none.
    pub registry: Option<(String, String)>,
    /// Events that happened before are left out.
    pub since: Option<Timestamp>,
    /// Of the events, those that follow this one; all else is carried again.
    pub after: Option<EventKey>,
}

/// The place of an event in the order of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKey {
    pub registry: RegistryKey,
    pub repository: String,
    pub time: Timestamp,
    pub id: String,
}

/// Which events of a registry are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Events<'a> {
    All,
    After(&'a EventKey),
    Nothing,
}

impl Scope {
    pub(in crate::store) fn takes(&self, key: &RegistryKey) -> bool {
        self.registry
            .as_ref()
            .is_none_or(|(namespace, name)| (&key.namespace, &key.name) == (namespace, name))
    }

    /// Whether what clusters run is carried too.
    pub(in crate::store) fn takes_uses(&self) -> bool {
        self.registry.is_none()
    }

    pub(in crate::store) fn events_of(&self, key: &RegistryKey) -> Events<'_> {
        match &self.after {
            Some(after) if order(key) < order(&after.registry) => Events::Nothing,
            Some(after) if *key == after.registry => Events::After(after),
            _ => Events::All,
        }
    }
}

/// By which registries follow each other in a file.
fn order(key: &RegistryKey) -> [&str; 3] {
    [&key.namespace, &key.name, &key.uid]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str, uid: &str) -> RegistryKey {
        RegistryKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
        }
    }

    #[test]
    fn one_registry_is_carried_with_all_its_uids_and_without_uses() {
        let scope = Scope {
            registry: Some(("b".to_owned(), "r".to_owned())),
            ..Scope::default()
        };
        assert!(scope.takes(&key("b", "r", "1")) && scope.takes(&key("b", "r", "2")));
        assert!(!scope.takes(&key("b", "s", "1")) && !scope.takes(&key("a", "r", "1")));
        assert!(!scope.takes_uses());
        assert!(Scope::default().takes(&key("b", "r", "1")) && Scope::default().takes_uses());
    }

    #[test]
    fn events_go_on_in_the_registry_of_the_last_one() {
        let after = EventKey {
            registry: key("b", "r", "2"),
            repository: "team/app".to_owned(),
            time: Timestamp::UNIX_EPOCH,
            id: "g1".to_owned(),
        };
        let scope = Scope {
            after: Some(after.clone()),
            ..Scope::default()
        };
        for (registry, events) in [
            (key("a", "z", "9"), Events::Nothing),
            (key("b", "r", "1"), Events::Nothing),
            (key("b", "r", "2"), Events::After(&after)),
            (key("b", "r", "3"), Events::All),
            (key("b", "s", "1"), Events::All),
        ] {
            assert_eq!(scope.events_of(&registry), events, "{registry:?}");
        }
        assert_eq!(Scope::default().events_of(&key("a", "r", "1")), Events::All);
    }
}

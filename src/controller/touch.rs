//! Which objects must be looked at again.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{Stream, stream};
use kube::{Resource, runtime::reflector::ObjectRef};
use tokio::sync::Notify;

use crate::image::{Endpoints, RepositoryName};

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    pub namespace: String,
    pub name: String,
}

impl ObjectKey {
    pub fn of(object: &impl kube::ResourceExt) -> Self {
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Objects of one kind that wait to be looked at, each once however often it was touched: its bound is the
/// number of objects.
#[derive(Debug, Default)]
pub struct Touched {
    waiting: Mutex<BTreeSet<ObjectKey>>,
    some: Notify,
}

impl Touched {
    pub fn touch(&self, keys: impl IntoIterator<Item = ObjectKey>) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(keys);
        self.some.notify_one();
    }

    /// Those touched, as they come. For one reader.
    pub fn stream<K>(self: Arc<Self>) -> impl Stream<Item = ObjectRef<K>> + Send
    where
        K: Resource<DynamicType = ()> + 'static,
    {
        stream::unfold(self, |touched| async move {
            loop {
                let first = touched
                    .waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .pop_first();
                if let Some(key) = first {
                    return Some((ObjectRef::new(&key.name).within(&key.namespace), touched));
                }
                touched.some.notified().await;
            }
        })
    }
}

/// Which reports ask about which repositories.
#[derive(Debug, Default)]
pub struct Interests {
    tables: Mutex<Tables>,
    pub reports: Arc<Touched>,
}

#[derive(Debug, Default)]
struct Tables {
    reports: HashMap<RepositoryName, HashSet<ObjectKey>>,
    repositories: HashMap<ObjectKey, Vec<RepositoryName>>,
}

impl Interests {
    /// The report asks about these repositories from now on, and no others.
    pub fn register(&self, report: &ObjectKey, repositories: Vec<RepositoryName>) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.repositories.get(report) == Some(&repositories) {
            return;
        }
        tables.forget(report);
        for repository in &repositories {
            tables
                .reports
                .entry(repository.clone())
                .or_default()
                .insert(report.clone());
        }
        tables.repositories.insert(report.clone(), repositories);
    }

    /// The report is gone.
    pub fn forget(&self, report: &ObjectKey) {
        self.tables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forget(report);
    }

    /// Something about these repositories changed.
    pub fn touch_repositories<'a>(&self, repositories: impl IntoIterator<Item = &'a RepositoryName>) {
        let touched: HashSet<ObjectKey> = {
            let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            repositories
                .into_iter()
                .filter_map(|repository| tables.reports.get(repository))
                .flatten()
                .cloned()
                .collect()
        };
        if !touched.is_empty() {
            self.reports.touch(touched);
        }
    }

    /// Something about all repositories of a registry changed.
    pub fn touch_endpoints(&self, endpoints: &Endpoints) {
        let touched: HashSet<ObjectKey> = {
            let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            let reports = tables.reports.iter();
            let concerned = reports.filter(|(repository, _)| endpoints.claim(repository).is_some());
            concerned.flat_map(|(_, reports)| reports).cloned().collect()
        };
        if !touched.is_empty() {
            self.reports.touch(touched);
        }
    }

    /// Something changed that any report may rest on.
    pub fn touch_all(&self) {
        let all: Vec<ObjectKey> = {
            let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            tables.repositories.keys().cloned().collect()
        };
        self.reports.touch(all);
    }
}

impl Tables {
    fn forget(&mut self, report: &ObjectKey) {
        for repository in self.repositories.remove(report).unwrap_or_default() {
            if let Some(reports) = self.reports.get_mut(&repository) {
                reports.remove(report);
                if reports.is_empty() {
                    self.reports.remove(&repository);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Endpoint;

    fn key(name: &str) -> ObjectKey {
        ObjectKey {
            namespace: "ns".into(),
            name: name.into(),
        }
    }

    fn waiting(interests: &Interests) -> Vec<String> {
        std::mem::take(&mut *interests.reports.waiting.lock().unwrap())
            .into_iter()
            .map(|key| key.name)
            .collect()
    }

    #[test]
    fn a_change_names_the_reports_it_touches() {
        let interests = Interests::default();
        let [a, b]: [RepositoryName; 2] = ["r.example/a", "r.example/b"].map(|name| name.parse().unwrap());
        interests.register(&key("one"), vec![a.clone()]);
        interests.register(&key("two"), vec![a.clone(), b.clone()]);
        interests.touch_repositories([&b]);
        assert_eq!(waiting(&interests), ["two"]);
        interests.touch_repositories([&a, &b]);
        assert_eq!(waiting(&interests), ["one", "two"]);
        interests.register(&key("two"), vec![a.clone()]);
        interests.touch_repositories([&b]);
        assert!(waiting(&interests).is_empty());
        let endpoints = |names: &[(&str, &str)]| {
            Endpoints::new(names.iter().map(|(host, prefix)| Endpoint {
                host: (*host).to_owned(),
                prefix: (*prefix).to_owned(),
            }))
        };
        interests.touch_endpoints(&endpoints(&[("other.example", ""), ("r.example", "mirror/")]));
        assert!(waiting(&interests).is_empty());
        interests.touch_endpoints(&endpoints(&[("other.example", ""), ("r.example", "")]));
        assert_eq!(waiting(&interests), ["one", "two"]);
        interests.forget(&key("one"));
        interests.touch_all();
        assert_eq!(waiting(&interests), ["two"]);
    }
}

use std::{net::IpAddr, sync::Arc};

use hashbrown::{HashMap, hash_map::Entry};
use jiff::Timestamp;

use super::{
    Inventory, Lifecycle, Usage, WorkloadUse,
    content::{Content, Image, Part, Running},
    owner::Owner,
    table::Id,
    text::{Name, Namespace},
};
use crate::{
    cluster::model::ContainerType,
    image::{Digest, Reference, RepositoryName, RunningForm},
};

/// All that tells two rows apart, in ids: they are resolved once a row, not once a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RowKey {
    namespace: Id<Namespace>,
    kind: Id<Name>,
    name: Option<Id<Name>>,
    container: Id<Name>,
    container_type: ContainerType,
    image: Id<Image>,
    running: Option<Id<Running>>,
    lifecycle: Lifecycle,
}

type Group = (Id<Namespace>, Id<Owner>, Lifecycle);

#[derive(Debug, Clone, Copy)]
struct Tally {
    pods: i64,
    ready_pods: i64,
    oldest: u32,
}

impl Tally {
    fn merge(&mut self, other: Self) {
        self.pods += other.pods;
        self.ready_pods += other.ready_pods;
        self.oldest = self.oldest.min(other.oldest);
    }
}

impl Inventory {
    /// Every use of a repository in the namespaces for which the predicate holds, in
    /// a stable order (namespace, kind, name, container, …). Costs time by the number
    /// of pods that use it, not of those there are.
    pub fn uses(&self, repository: &RepositoryName, namespaces: &dyn Fn(&str) -> bool) -> Vec<WorkloadUse> {
        let Some(repository) = self.contents.find_repository(repository) else {
            return Vec::new();
        };
        let mut namespaces = NamespaceFilter::new(self, namespaces);
        let mut rows = HashMap::new();
        for &content in &self.contents.repository(repository).contents {
            let content = self.contents.get(content);
            for ((namespace, owner, lifecycle), tally) in self.groups(content) {
                if !namespaces.allow(namespace) {
                    continue;
                }
                let top = self.owners.top(owner);
                for &Part {
                    name,
                    image,
                    running,
                    kind,
                } in &content.parts
                {
                    if self.contents.image(image).repository != Some(repository) {
                        continue;
                    }
                    let key = RowKey {
                        namespace,
                        kind: top.kind,
                        name: top.name,
                        container: name,
                        container_type: kind,
                        image,
                        running,
                        lifecycle,
                    };
                    add(&mut rows, key, tally);
                }
            }
        }
        self.resolve(rows)
    }

    /// How many containers of unfinished pods run one of these digests, by whatever form
    /// the runtime reports, while their spec names none of the repositories in
    /// `except`, in the namespaces for which the predicate holds.
    pub fn same_content_elsewhere(
        &self,
        digests: &[Digest],
        except: &[RepositoryName],
        namespaces: &dyn Fn(&str) -> bool,
    ) -> i64 {
        let except: Vec<_> = except
            .iter()
            .filter_map(|name| self.contents.find_repository(name))
            .collect();
        let mut namespaces = NamespaceFilter::new(self, namespaces);
        let mut total = 0;
        let mut asked: Vec<&Digest> = digests.iter().collect();
        asked.sort_unstable();
        asked.dedup();
        for (running, contents) in asked
            .into_iter()
            .flat_map(|digest| self.contents.running_as(digest))
        {
            for &content in contents {
                let content = self.contents.get(content);
                let elsewhere = content.parts.iter().filter(|part| {
                    let repository = self.contents.image(part.image).repository;
                    part.running == Some(running) && !repository.is_some_and(|id| except.contains(&id))
                });
                let elsewhere = count(elsewhere.count());
                if elsewhere == 0 {
                    continue;
                }
                let pods = content.pods.iter().map(|&pod| self.pods.get(pod));
                let pods = pods.filter(|pod| !pod.is_finished && namespaces.allow(pod.namespace));
                total += elsewhere * count(pods.count());
            }
        }
        total
    }

    /// What was read, in numbers, whatever the namespace.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let containers = self.contents.iter().map(|content| {
            let parts = content.parts.iter();
            let containers = parts.filter(|part| part.kind != ContainerType::ImageVolume);
            containers.count() * content.pods.len()
        });
        Usage {
            nodes: count(self.nodes.len()),
            namespaces: count(self.namespaces.len()),
            workloads: count(self.owners.workloads()),
            pods: count(self.pods.len()),
            containers: count(containers.sum()),
            images: count(self.contents.images()),
        }
    }

    /// Every repository that something refers to.
    #[must_use]
    pub fn repositories(&self) -> Vec<Arc<RepositoryName>> {
        self.contents.repositories()
    }

    /// How many of [`Usage::images`] are no image reference: no runtime can pull them,
    /// and no repository is known to be in use through them.
    #[must_use]
    pub fn unreadable_images(&self) -> i64 {
        count(self.contents.unreadable_images())
    }

    /// Addresses of all nodes, sorted, each once.
    #[must_use]
    pub fn node_addresses(&self) -> Vec<IpAddr> {
        let nodes = self.nodes.iter();
        let mut addresses: Vec<_> = nodes
            .flat_map(|(_, node)| node.addresses.iter().copied())
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// The pods and templates of a content. Pods mostly share their owner too, which
    /// so is looked up once.
    fn groups(&self, content: &Content) -> HashMap<Group, Tally> {
        let mut groups = HashMap::new();
        for &pod in &content.pods {
            let pod = self.pods.get(pod);
            let lifecycle = if pod.is_finished {
                Lifecycle::Finished
            } else {
                Lifecycle::Running
            };
            let tally = Tally {
                pods: 1,
                ready_pods: i64::from(pod.is_ready),
                oldest: pod.created,
            };
            add(&mut groups, (pod.namespace, pod.owner, lifecycle), tally);
        }
        for &owner in &content.templates {
            if let Some(template) = self.owners.get(owner).template {
                let tally = Tally {
                    pods: 0,
                    ready_pods: 0,
                    oldest: template.created,
                };
                add(
                    &mut groups,
                    (template.namespace, owner, template.lifecycle),
                    tally,
                );
            }
        }
        groups
    }

    fn resolve(&self, rows: HashMap<RowKey, Tally>) -> Vec<WorkloadUse> {
        let mut images: HashMap<Id<Image>, Option<Arc<Reference>>> = HashMap::new();
        let mut uses: Vec<_> = rows
            .into_iter()
            .filter_map(|(key, tally)| {
                let text = &self.contents.image(key.image).text;
                // Parsed anew, once an image and query, rather than kept: it parsed before.
                let image = images
                    .entry(key.image)
                    .or_insert_with(|| text.parse().ok().map(Arc::new));
                Some(WorkloadUse {
                    namespace: Arc::clone(&self.namespaces.get(key.namespace).0),
                    kind: self.owners.name(Some(key.kind)),
                    name: self.owners.name(key.name),
                    container: Arc::clone(self.contents.name(key.container)),
                    container_type: key.container_type,
                    reference: Arc::clone(text),
                    image: Arc::clone(image.as_ref()?),
                    running: key.running.map(|id| self.contents.running(id).clone()),
                    lifecycle: key.lifecycle,
                    pods: tally.pods,
                    ready_pods: tally.ready_pods,
                    since: Timestamp::from_second(i64::from(tally.oldest)).unwrap_or(Timestamp::UNIX_EPOCH),
                })
            })
            .collect();
        uses.sort_unstable_by(|left, right| order(left).cmp(&order(right)));
        uses
    }
}

/// Total: rows that agree in all of it would be one row.
type Order<'a> = (
    [&'a str; 4],
    ContainerType,
    &'a str,
    Lifecycle,
    Option<(&'a Digest, bool)>,
);

fn order(row: &WorkloadUse) -> Order<'_> {
    (
        [&row.namespace, &row.kind, &row.name, &row.container],
        row.container_type,
        &row.reference,
        row.lifecycle,
        row.running
            .as_ref()
            .map(|running| (&running.digest, running.form == RunningForm::Bare)),
    )
}

fn add<K: std::hash::Hash + Eq>(tallies: &mut HashMap<K, Tally>, key: K, tally: Tally) {
    match tallies.entry(key) {
        Entry::Occupied(mut found) => found.get_mut().merge(tally),
        Entry::Vacant(vacant) => {
            vacant.insert(tally);
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Asks the caller about each namespace once.
struct NamespaceFilter<'a> {
    inventory: &'a Inventory,
    allow: &'a dyn Fn(&str) -> bool,
    answers: HashMap<Id<Namespace>, bool>,
}

impl<'a> NamespaceFilter<'a> {
    fn new(inventory: &'a Inventory, allow: &'a dyn Fn(&str) -> bool) -> Self {
        Self {
            inventory,
            allow,
            answers: HashMap::new(),
        }
    }

    fn allow(&mut self, id: Id<Namespace>) -> bool {
        let Self {
            inventory,
            allow,
            answers,
        } = self;
        *answers
            .entry(id)
            .or_insert_with(|| allow(&inventory.namespaces.get(id).0))
    }
}

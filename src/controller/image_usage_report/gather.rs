//! Loading all that an answer rests on.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    analysis::{self, EventEvidence, Evidence, Question, RegistryEvidence, Subject, TagHistory},
    crd::{ClientDetails, ImageUsageReport, ImageUsageReportStatus},
    event::{LogicalCategory, clauses},
    image::Digest,
    store::{Clause, Clients, EventQuery, StoreError, Tally},
};

use super::{
    super::{
        clusters::{self, InventoryQuestion, SameCluster, Seen},
        last_known,
        registries::{Lookup, Registry},
        touch::ObjectKey,
        world::World,
    },
    accepted,
};

/// Tags of a repository whose events are counted one by one.
const TALLIED_TAGS: usize = 200;

pub enum Gathered {
    Evidence(Evidence),
    /// A selected cluster has not been read yet.
    Waiting(ObjectKey),
    StoreFailed,
}

pub async fn gather(
    world: &World,
    report: &ImageUsageReport,
    question: &Question,
    previous: &ImageUsageReportStatus,
    now: Timestamp,
) -> Gathered {
    let key = ObjectKey::of(report);
    let labels = world.namespace_labels(&key.namespace);
    let lookup = world
        .registries
        .lookup(&question.repository, &key.namespace, labels.as_ref());
    let repositories = match &lookup {
        Lookup::One(registry, path) => {
            world
                .registries
                .names_to(registry, path, &key.namespace, labels.as_ref())
        }
        Lookup::Nobody | Lookup::Conflict(_) => vec![question.repository.clone()],
    };
    world.interests.register(&key, repositories.clone());

    let store_failed = |error: StoreError| {
        tracing::warn!(report = %key, %error, "failed to read events");
        Gathered::StoreFailed
    };
    let details = |registry: &Registry| {
        registry
            .client_details(&key.namespace, labels.as_ref())
            .unwrap_or(ClientDetails::None)
    };
    let mut registry = match &lookup {
        Lookup::Nobody => RegistryEvidence::None,
        Lookup::Conflict(names) => RegistryEvidence::Conflict(names.clone()),
        Lookup::One(registry, path) => {
            match events(world, (registry, path), details(registry), question, now).await {
                Ok(events) => RegistryEvidence::Events(Box::new(events)),
                Err(error) => return store_failed(error),
            }
        }
    };
    let selection = world.clusters.select(
        report.spec.clusters.selector.as_ref(),
        &key.namespace,
        labels.as_ref(),
    );
    let digests = digests(question, &registry);
    let inventory_question = InventoryQuestion {
        repositories: &repositories,
        digests: &digests,
    };
    let seen: Vec<Seen> = selection.clusters.iter().map(Seen::now).collect();
    let last_known = match last_known::recall(world, &seen, &repositories).await {
        Ok(last_known) => last_known,
        Err(error) => return store_failed(error),
    };
    let same_cluster = if world.settings.count_same_cluster_twice {
        SameCluster::CountedEach
    } else {
        SameCluster::CountedOnce
    };
    let mut clusters = match clusters::evidence(&seen, &inventory_question, &last_known, same_cluster) {
        Ok(clusters) => clusters,
        Err(cluster) => return Gathered::Waiting(cluster),
    };
    if analysis::asks_for_past(&question.subject, &clusters, &registry) {
        let uids = seen.iter().map(|one| one.cluster.uid.clone()).collect();
        match world.usage.usage_spans(uids, repositories.clone()).await {
            Ok(spans) => clusters::add_past(&mut clusters, &seen, spans),
            Err(error) => return store_failed(error),
        }
    }
    if let (Lookup::One(registry, path), RegistryEvidence::Events(events), Subject::Repository) =
        (&lookup, &mut registry, &question.subject)
    {
        let used: BTreeSet<&str> = clusters
            .iter()
            .flat_map(|cluster| &cluster.uses)
            .map(|used| used.image.tag_or_latest())
            .collect();
        match tag_tallies(world, (registry, path), question, events, &used, now).await {
            Ok(tallies) => events.tag_tallies = tallies,
            Err(error) => return store_failed(error),
        }
    }
    let serving: BTreeSet<&str> = selection
        .clusters
        .iter()
        .map(|serving| serving.cluster.uid.as_str())
        .collect();
    // A cluster that lost its label is withdrawn; one that the report itself left out is not.
    let asked_anew = previous.observed_generation != report.metadata.generation.unwrap_or_default();
    let deselected: BTreeSet<&str> = selection
        .deselected
        .iter()
        .filter(|_| asked_anew)
        .map(String::as_str)
        .collect();
    let accepted: BTreeSet<&str> = accepted(report).into_iter().collect();
    let withdrawn = analysis::withdrawn(&previous.coverage, &serving, &deselected, &accepted, now);
    Gathered::Evidence(Evidence {
        clusters,
        hidden_clusters: selection.hidden,
        withdrawn,
        registry,
    })
}

/// The content that was asked about, as far as it is known.
fn digests(question: &Question, registry: &RegistryEvidence) -> Vec<Digest> {
    match (&question.subject, registry) {
        (Subject::Digest(digest), _) => vec![digest.clone()],
        (Subject::Tag(tag), RegistryEvidence::Events(events)) => TagHistory::new(&events.pointers)
            .current(tag)
            .cloned()
            .into_iter()
            .collect(),
        (Subject::Repository, RegistryEvidence::Events(events)) => {
            let digests: std::collections::HashSet<_> = events
                .pointers
                .iter()
                .filter_map(|pointer| pointer.digest.clone())
                .collect();
            digests.into_iter().collect()
        }
        (_, RegistryEvidence::None | RegistryEvidence::Conflict(_)) => Vec::new(),
    }
}

async fn events(
    world: &World,
    (registry, path): (&Registry, &str),
    client_details: ClientDetails,
    question: &Question,
    now: Timestamp,
) -> Result<EventEvidence, StoreError> {
    let store = &world.events;
    let repository = path.to_owned();
    let sources = store.sources(registry.store_key()).await?;
    let pointers = store
        .tag_pointers(registry.store_key(), repository.clone())
        .await?;
    let tags = match question.subject {
        Subject::Repository => store.tags(registry.store_key(), repository.clone()).await?,
        Subject::Tag(_) | Subject::Digest(_) => Vec::new(),
    };
    let window = question.range.window(now);
    let clauses = match &question.subject {
        Subject::Tag(tag) => clauses::clauses_for_tag(tag, &pointers, window),
        Subject::Digest(digest) => clauses::clauses_for_digest(digest, &pointers, window),
        Subject::Repository => clauses::clauses_for_repository(window),
    };
    let query = |categories, clauses: Vec<Clause>| EventQuery {
        registry: registry.store_key(),
        repository: repository.clone(),
        categories,
        clauses,
        clients: Clients::default(),
    };
    let tally = store.tally(query(Vec::new(), clauses.clone())).await?;
    let listed = EventQuery {
        clients: clients(question, registry, client_details),
        ..query(question.filter.listed(), clauses)
    };
    let lines = store.events(listed, None, question.filter.limit).await?;
    Ok(EventEvidence {
        registry: registry.key.to_string(),
        repository: registry
            .endpoints
            .own_name(path)
            .unwrap_or_else(|| question.repository.clone()),
        mirrors: registry.endpoints.mirrors().map(ToString::to_string).collect(),
        retention: registry.retention,
        network: registry.network.clone(),
        client_details,
        pointers,
        tags,
        sources,
        formats: registry.formats.clone(),
        tally,
        tag_tallies: BTreeMap::new(),
        lines,
    })
}

/// The events of single tags, counted: of those that nothing uses, since a use decides without them.
async fn tag_tallies(
    world: &World,
    (registry, path): (&Registry, &str),
    question: &Question,
    events: &EventEvidence,
    used: &BTreeSet<&str>,
    now: Timestamp,
) -> Result<BTreeMap<String, Vec<Tally>>, StoreError> {
    let window = question.range.window(now);
    let mut tallies = BTreeMap::new();
    let unused = events.tags.iter().filter(|tag| !used.contains(tag.tag.as_str()));
    for tag in unused.take(TALLIED_TAGS) {
        let query = EventQuery {
            registry: registry.store_key(),
            repository: path.to_owned(),
            categories: vec![LogicalCategory::Pull, LogicalCategory::Check],
            clauses: clauses::clauses_for_tag(&tag.tag, &events.pointers, window),
            clients: Clients::default(),
        };
        tallies.insert(tag.tag.clone(), world.events.tally(query).await?);
    }
    Ok(tallies)
}

/// The clients whose events the filter lists.
fn clients(question: &Question, registry: &Registry, details: ClientDetails) -> Clients {
    let (filter, network) = (question.filter.clone(), registry.network.clone());
    if filter.network_types.is_empty() {
        return Clients::default();
    }
    Clients::only(move |client| {
        filter.lets_through(&network.client(client.address, client.network_type), details)
    })
}

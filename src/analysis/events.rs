//! The event line and its numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use jiff::Timestamp;

use crate::{
    crd::{ClientDetails, EventCategory, EventLine, NetworkType, Summary},
    event::{self, Attribution, Client, ClientRole, DeleteTarget, LogicalCategory, TimeSource},
    store::{AttributedEvent, Tally},
};

use super::{ClusterEvidence, EventEvidence, Filter, Subject, deployments::count};

/// The clients that the selected clusters explain, each with what to call it.
#[derive(Debug, Default)]
pub struct KnownClients {
    nodes: BTreeMap<IpAddr, String>,
    egress: Vec<(IpNet, String)>,
}

impl KnownClients {
    #[must_use]
    pub fn new(clusters: &[ClusterEvidence]) -> Self {
        let mut known = Self::default();
        for ClusterEvidence {
            name,
            node_addresses,
            egress,
            ..
        } in clusters
        {
            let node = format!("node of {}/{}", name.namespace, name.name);
            let gateway = format!("egress of {}/{}", name.namespace, name.name);
            known
                .nodes
                .extend(node_addresses.iter().map(|address| (*address, node.clone())));
            known
                .egress
                .extend(egress.iter().map(|range| (*range, gateway.clone())));
        }
        known
    }

    /// What to call the client; `None` where no cluster explains it.
    #[must_use]
    pub fn of(&self, client: &Client) -> Option<&str> {
        let address = client.ip?;
        let node = self.nodes.get(&address);
        let gateway = || self.egress.iter().find(|(range, _)| range.contains(&address));
        node.or_else(|| Some(&gateway()?.1)).map(String::as_str)
    }
}

impl Filter {
    /// The logical categories that are listed.
    #[must_use]
    pub fn listed(&self) -> Vec<LogicalCategory> {
        [
            (EventCategory::Push, LogicalCategory::Push),
            (EventCategory::Pull, LogicalCategory::Pull),
            (EventCategory::Delete, LogicalCategory::Delete),
        ]
        .into_iter()
        .filter(|(category, _)| self.asks_for(*category))
        .map(|(_, logical)| logical)
        .collect()
    }

    /// Whether events of this category are asked for.
    #[must_use]
    pub fn asks_for(&self, category: EventCategory) -> bool {
        self.categories.is_empty() || self.categories.contains(&category)
    }

    /// Whether an event of this client is listed. Nobody learns by a filter what is not shown.
    #[must_use]
    pub fn lets_through(&self, client: &Client, details: ClientDetails) -> bool {
        self.network_types.is_empty()
            || shown_network(client, details).is_some_and(|network_type| {
                self.network_types.contains(&match network_type {
                    event::NetworkType::Public => NetworkType::Public,
                    event::NetworkType::Private => NetworkType::Private,
                })
            })
    }
}

fn shown_network(client: &Client, details: ClientDetails) -> Option<event::NetworkType> {
    match details {
        ClientDetails::None => None,
        ClientDetails::Network | ClientDetails::Full => client.network_type,
    }
}

/// The event line: what is listed, as the report shows it.
#[must_use]
pub fn lines(events: &EventEvidence, known: &KnownClients, subject: &Subject) -> Vec<EventLine> {
    let details = events.client_details;
    let is_full = details == ClientDetails::Full;
    events
        .lines
        .iter()
        .map(|AttributedEvent { event, attribution }| {
            let client = events.network.client(event.address, event.network_type);
            let asked = match subject {
                Subject::Tag(tag) => event.tags.iter().find(|named| *named == tag),
                Subject::Digest(_) | Subject::Repository => None,
            };
            EventLine {
                category: match event.category {
                    LogicalCategory::Push => "Push",
                    LogicalCategory::Pull => "Pull",
                    LogicalCategory::Delete => "Delete",
                    LogicalCategory::Check => "Check",
                    LogicalCategory::UnresolvedDelete => "UnresolvedDelete",
                }
                .to_owned(),
                target: event.target.map(|target| {
                    match target {
                        DeleteTarget::Tag => "Tag",
                        DeleteTarget::Manifest => "Manifest",
                        DeleteTarget::Repository => "Repository",
                    }
                    .to_owned()
                }),
                attribution: match attribution {
                    Attribution::Named => "Named",
                    Attribution::Linked => "Linked",
                    Attribution::Shared => "Shared",
                }
                .to_owned(),
                network_type: shown_network(&client, details).map(|network_type| {
                    match network_type {
                        event::NetworkType::Public => "Public",
                        event::NetworkType::Private => "Private",
                    }
                    .to_owned()
                }),
                client_ip: client.ip.filter(|_| is_full).map(|address| address.to_string()),
                claimed_client_ip: client
                    .claimed_ip
                    .filter(|_| is_full)
                    .map(|address| address.to_string()),
                client: match (details, client.role) {
                    (ClientDetails::None, _) => None,
                    (_, ClientRole::Proxy) => Some("trusted proxy".to_owned()),
                    (_, ClientRole::Client) => known.of(&client).map(str::to_owned),
                },
                event_time: event.time,
                time_source: match event.time_source {
                    TimeSource::Event => "Event",
                    TimeSource::Received => "Received",
                }
                .to_owned(),
                tag: asked.or(event.tags.first()).cloned(),
                digest: event.digest.as_ref().map(ToString::to_string),
                actor: event.actor.clone().filter(|_| is_full),
                user_agent: event.user_agent.clone().filter(|_| is_full),
                raw_count: event.raw_count,
                id: event.id.clone(),
            }
        })
        .collect()
}

/// The numbers of the events that the filter lets through.
pub fn summarise(summary: &mut Summary, events: &EventEvidence, filter: &Filter, known: &KnownClients) {
    let mut counts = Counts::default();
    for tally in &events.tally {
        let client = events.network.client(tally.address, tally.network_type);
        if filter.lets_through(&client, events.client_details) {
            counts.add(tally, &client, filter, known);
        } else if shown_network(&client, events.client_details).is_none() && filter.asks_for(category(tally))
        {
            counts.without_network_type += tally.count;
        }
    }
    let told = |category| filter.asks_for(category) && events.telling(category).next().is_some();
    let asked = |category, value| told(category).then_some(value);
    summary.pushes = asked(EventCategory::Push, counts.pushes);
    summary.pulls = asked(EventCategory::Pull, counts.pulls);
    summary.checks = asked(EventCategory::Pull, counts.checks);
    summary.shared_pulls = asked(EventCategory::Pull, counts.shared_pulls);
    let shows_networks = events.client_details != ClientDetails::None;
    summary.public_pulls = asked(EventCategory::Pull, counts.public_pulls).filter(|_| shows_networks);
    summary.deletes = asked(EventCategory::Delete, counts.deletes);
    summary.unresolved_deletes = asked(EventCategory::Delete, counts.unresolved_deletes);
    summary.client_addresses = Some(count(counts.addresses.len()));
    summary.unknown_addresses = shows_networks.then_some(count(counts.unknown.len()));
    summary.without_network_type = (!filter.network_types.is_empty()).then_some(counts.without_network_type);
    summary.last_push = counts.last_push;
    summary.last_pull = counts.last_pull;
    summary.last_delete = counts.last_delete;
    summary.last_check = counts.last_check;
}

#[derive(Default)]
struct Counts {
    pushes: i64,
    pulls: i64,
    shared_pulls: i64,
    public_pulls: i64,
    checks: i64,
    deletes: i64,
    unresolved_deletes: i64,
    without_network_type: i64,
    addresses: BTreeSet<IpAddr>,
    unknown: BTreeSet<IpAddr>,
    last_push: Option<Timestamp>,
    last_pull: Option<Timestamp>,
    last_delete: Option<Timestamp>,
    last_check: Option<Timestamp>,
}

/// What it is called in a filter.
fn category(tally: &Tally) -> EventCategory {
    match tally.category {
        LogicalCategory::Push => EventCategory::Push,
        LogicalCategory::Pull | LogicalCategory::Check => EventCategory::Pull,
        LogicalCategory::Delete | LogicalCategory::UnresolvedDelete => EventCategory::Delete,
    }
}

impl Counts {
    fn add(&mut self, tally: &Tally, client: &Client, filter: &Filter, known: &KnownClients) {
        if !filter.asks_for(category(tally)) {
            return;
        }
        let public = client.network_type == Some(event::NetworkType::Public);
        if let Some(address) = client.ip {
            self.addresses.insert(address);
            if public && known.of(client).is_none() {
                self.unknown.insert(address);
            }
        }
        match tally.category {
            LogicalCategory::Push => {
                self.pushes += tally.count;
                self.last_push = self.last_push.max(Some(tally.last));
            }
            LogicalCategory::Pull if tally.attribution == Attribution::Shared => {
                self.shared_pulls += tally.count;
            }
            LogicalCategory::Pull => {
                self.pulls += tally.count;
                self.public_pulls += if public { tally.count } else { 0 };
                self.last_pull = self.last_pull.max(Some(tally.last));
            }
            LogicalCategory::Check => {
                self.checks += tally.count;
                self.last_check = self.last_check.max(Some(tally.last));
            }
            LogicalCategory::Delete => {
                self.deletes += tally.count;
                self.last_delete = self.last_delete.max(Some(tally.last));
            }
            LogicalCategory::UnresolvedDelete => self.unresolved_deletes += tally.count,
        }
    }
}

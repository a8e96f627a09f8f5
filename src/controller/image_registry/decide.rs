//! What makes an `ImageRegistry` acceptable, and what its status says: pure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use crate::{
    analysis::{Reported, reported},
    crd::{
        CategoryCoverage, ConditionStatus, Conditions, CoverageGap, EventCounts, EventSource,
        ForwardedAddress, ImageRegistry, ImageRegistryStatus, RegistryNetwork, RegistryRateLimit,
        SourceFormat, SourceStatus, WebhookAuthenticationType,
        condition_type::{READY, RECEIVING, RECONCILING, STALLED, WEAK_AUTHENTICATION},
        parse_duration,
    },
    dialect::{Format, Reporting},
    event::{self, Category, Network, NetworkError},
    image::Endpoints,
    poll,
    receive::{Rate, SourcePath},
    settings::Settings,
    store::{Refusing, SourceState, in_units},
};

use super::{
    super::{grants, secrets::SecretProblem, touch::ObjectKey},
    endpoints::endpoints,
    polled::PollProblem,
    signed::{self, MissingKeys, SignedProblem},
};

/// Gaps that a status lists.
const LISTED_GAPS: usize = 10;

const RATE_LIMITED: &str = "RateLimited";

/// Why a registry is not accepted.
#[derive(Debug, Error)]
pub enum Problem {
    #[error(
        "allowedReports reaches beyond this namespace, which only the namespaces that the operator's configuration names as granting may do: use from: Same, or ask for this namespace to be added"
    )]
    GrantNotPermitted,
    #[error("{0} is not a host: write it as image references do, without scheme and path")]
    Host(String),
    #[error(
        "{0:?} is not a repositoryPrefix: write the beginning of a repository's path in lower case, without a slash before and with one at its end, such as dockerhub/ (255 bytes at most)"
    )]
    RepositoryPrefix(String),
    #[error(transparent)]
    Network(NetworkError),
    #[error("retention is a number and m, h or d, such as 30d")]
    Retention,
    #[error("authentication of this type ({0:?}) needs the field of its name")]
    AuthenticationIncomplete(WebhookAuthenticationType),
    #[error("{0} is no name of a header")]
    HeaderName(String),
    #[error(transparent)]
    Secret(#[from] SecretProblem),
    #[error("the token under key {1} of the Secret {0} is not text of at least 16 bytes: make it longer")]
    TokenTooShort(String, String),
    #[error("the value under key {1} of the Secret {0} is for a path: use only letters, digits, - . _ and ~")]
    NotForAPath(String, String),
    #[error(
        "the source {0} is neither told by a webhook nor polled, or both: set exactly one of webhook and poll"
    )]
    NotOneWay(String),
    #[error(transparent)]
    Poll(#[from] PollProblem),
    #[error(transparent)]
    Signed(#[from] SignedProblem),
}

impl Problem {
    /// The word for a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::GrantNotPermitted => grants::GRANT_NOT_PERMITTED,
            Self::Host(_) => "InvalidHost",
            Self::RepositoryPrefix(_) => "InvalidRepositoryPrefix",
            Self::Network(error) => error.reason(),
            Self::Retention => "InvalidRetention",
            Self::AuthenticationIncomplete(_) => "AuthenticationIncomplete",
            Self::HeaderName(_) => "InvalidHeaderName",
            Self::Secret(problem) => problem.reason(),
            Self::TokenTooShort(..) => "TokenTooShort",
            Self::NotForAPath(..) => "NotForAPath",
            Self::NotOneWay(_) => "SourceNotExactlyOne",
            Self::Poll(problem) => problem.reason(),
            Self::Signed(problem) => problem.reason(),
        }
    }
}

/// A spec that makes sense.
#[derive(Debug)]
pub struct Accepted {
    pub endpoints: Endpoints,
    pub network: Network,
    pub retention: SignedDuration,
    pub quota: Option<i64>,
    pub rate: Option<Rate>,
    pub is_granting: bool,
}

pub fn accept(object: &ImageRegistry, settings: &Settings) -> Result<Accepted, Problem> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let is_granting = settings.is_granting(namespace);
    let spec = &object.spec;
    if grants::reaches_beyond(&spec.allowed_reports) && !is_granting {
        return Err(Problem::GrantNotPermitted);
    }
    Ok(Accepted {
        endpoints: endpoints(&spec.endpoints)?,
        network: network(&spec.network)?,
        retention: parse_duration(&spec.retention).ok_or(Problem::Retention)?,
        quota: spec.quota.as_ref().map(|quota| quota.events),
        rate: spec.rate_limit.as_ref().map(rate),
        is_granting,
    })
}

fn network(spec: &RegistryNetwork) -> Result<Network, Problem> {
    let forwarded = match spec.forwarded_address {
        ForwardedAddress::Untrusted => event::ForwardedAddress::Untrusted,
        ForwardedAddress::Trusted => event::ForwardedAddress::Trusted,
    };
    Network::new(forwarded, &spec.trusted_proxies, &spec.private_cidrs).map_err(Problem::Network)
}

/// The schema has both numbers between 1 and what fits.
fn rate(spec: &RegistryRateLimit) -> Rate {
    let bounded = |number: i64| u32::try_from(number.max(1)).unwrap_or(u32::MAX);
    let RegistryRateLimit {
        deliveries_per_second,
        burst,
    } = *spec;
    Rate {
        per_second: bounded(deliveries_per_second),
        burst: bounded(burst.unwrap_or(deliveries_per_second.saturating_mul(2))),
    }
}

/// What the sources send, by name.
pub fn formats(object: &ImageRegistry) -> BTreeMap<String, Format> {
    let sources = object.spec.sources.iter();
    sources
        .map(|source| (source.name.clone(), format(source.format)))
        .collect()
}

/// Names of the sources that are asked for their log.
pub fn polled(object: &ImageRegistry) -> BTreeSet<String> {
    let sources = object.spec.sources.iter();
    sources
        .filter(|source| source.poll.is_some())
        .map(|source| source.name.clone())
        .collect()
}

pub fn format(format: SourceFormat) -> Format {
    match format {
        SourceFormat::Distribution => Format::Distribution,
        SourceFormat::GitLab => Format::GitLab,
        SourceFormat::Harbor => Format::Harbor,
        SourceFormat::AlibabaACR => Format::AlibabaACR,
        SourceFormat::AmazonECR => Format::AmazonECR,
        SourceFormat::GoogleArtifactRegistry => Format::GoogleArtifactRegistry,
        SourceFormat::AzureACR => Format::AzureACR,
        SourceFormat::Quay => Format::Quay,
        SourceFormat::Zot => Format::Zot,
        SourceFormat::DockerHub => Format::DockerHub,
        SourceFormat::GitHub => Format::GitHub,
        SourceFormat::Artifactory => Format::Artifactory,
        SourceFormat::Gitea => Format::Gitea,
        SourceFormat::Nexus => Format::Nexus,
        SourceFormat::Generic => Format::Generic,
    }
}

/// What has come from an accepted registry.
#[derive(Debug)]
pub struct Received {
    /// Nothing where the store does not answer.
    pub sources: Option<Vec<SourceState>>,
    /// Requests of each source refused since the operator started.
    pub rejected: BTreeMap<String, i64>,
    /// Others that claim an endpoint of it.
    pub rivals: Vec<ObjectKey>,
    /// Why deliveries are refused now.
    pub refusing: Option<Refusing>,
    /// The rate that it is above.
    pub exceeded: Option<Rate>,
    /// Sources whose log cannot be read now.
    pub unread: BTreeMap<String, poll::Problem>,
    /// The first source whose tokens cannot be checked now.
    pub missing_keys: Option<MissingKeys>,
}

pub fn status_of(
    outcome: Result<Received, Problem>,
    object: &ImageRegistry,
    previous: &ImageRegistryStatus,
    now: Timestamp,
) -> ImageRegistryStatus {
    let generation = object.metadata.generation;
    let conditions = Conditions::new(&previous.conditions, generation, now);
    let status = |conditions, sources| ImageRegistryStatus {
        observed_generation: generation.unwrap_or_default(),
        conditions,
        sources,
    };
    match outcome {
        Err(problem) => {
            let (reason, message) = (problem.reason(), problem.to_string());
            let kind = if matches!(&problem, Problem::Secret(problem) if problem.is_passing()) {
                RECONCILING
            } else {
                STALLED
            };
            let conditions = conditions
                .set(READY, false, reason, message.clone())
                .set(kind, true, reason, message)
                .build();
            status(conditions, previous.sources.clone())
        }
        Ok(received) => {
            let conditions = if let Some(missing) = &received.missing_keys {
                signed::waiting(conditions, missing)
            } else if received.rivals.is_empty() {
                conditions.set(READY, true, "Accepted", accepted(object))
            } else {
                let names: Vec<String> = received.rivals.iter().map(ToString::to_string).collect();
                let message = format!(
                    "an endpoint (host and repositoryPrefix) is also claimed by {}: neither serves where both could",
                    names.join(", ")
                );
                conditions.set(READY, false, "HostConflict", message.clone()).set(
                    STALLED,
                    true,
                    "HostConflict",
                    message,
                )
            };
            let conditions = weak_authentication(receiving(conditions, object, &received), object);
            let sources = object
                .spec
                .sources
                .iter()
                .map(|source| {
                    let mut known = previous.sources.iter();
                    let known = known.find(|known| received.sources.is_none() && known.name == source.name);
                    known
                        .cloned()
                        .unwrap_or_else(|| source_status(object, source, &received))
                })
                .collect();
            status(conditions.build(), sources)
        }
    }
}

fn is_polled(object: &ImageRegistry) -> bool {
    object.spec.sources.iter().all(|source| source.poll.is_some())
}

fn accepted(object: &ImageRegistry) -> &'static str {
    if is_polled(object) {
        "accepted; the registry is asked for its log"
    } else {
        "accepted; the webhook listens"
    }
}

fn receiving<'a>(conditions: Conditions<'a>, object: &ImageRegistry, received: &Received) -> Conditions<'a> {
    // A refusal above the rate is written down as any: until it is, it looks like a store that cannot be written.
    let is_of_rate = |refusing: &Refusing| received.exceeded.is_some() && *refusing == Refusing::Unavailable;
    if let Some(refusing) = received.refusing.filter(|refusing| !is_of_rate(refusing)) {
        return conditions.set(RECEIVING, false, refusing.reason(), what_to_do(refusing));
    }
    if let Some(Rate { per_second, .. }) = received.exceeded {
        let message = format!(
            "more than {per_second} deliveries a second have come, all that spec.rateLimit takes: the others are refused, and not every registry sends them again; raise the limit, or find out what sends so many"
        );
        return conditions.set(RECEIVING, false, RATE_LIMITED, message);
    }
    if let Some((source, problem)) = received.unread.first_key_value() {
        let message = format!("source {source}: {problem}");
        return conditions.set(RECEIVING, false, problem.reason(), message);
    }
    let mut sources = received.sources.iter().flatten();
    if sources.any(|source| source.last_event.is_some()) {
        return conditions.set(RECEIVING, true, "EventsReceived", "events have been received");
    }
    conditions.set(
        RECEIVING,
        ConditionStatus::Unknown,
        "NoEventYet",
        if is_polled(object) {
            "the registry's log has told of no event yet; to an account without the right to read it, a registry may show an empty one"
        } else {
            "no event has been received yet: point the registry's notifications at the path in status.sources"
        },
    )
}

/// A secret in a path ends up in logs of proxies and of the registry.
fn weak_authentication<'a>(conditions: Conditions<'a>, object: &ImageRegistry) -> Conditions<'a> {
    let weak: Vec<&str> = object
        .spec
        .sources
        .iter()
        .filter(|source| has_secret_path(source))
        .map(|source| source.name.as_str())
        .collect();
    if weak.is_empty() {
        return conditions;
    }
    let message = format!(
        "sources with a secret in their path: {}; use another authentication if the registry can, and keep paths out of logs",
        weak.join(", ")
    );
    conditions.set(WEAK_AUTHENTICATION, true, "SecretInPath", message)
}

fn has_secret_path(source: &EventSource) -> bool {
    let webhook = source.webhook.as_ref();
    webhook.is_some_and(|webhook| webhook.authentication.r#type == WebhookAuthenticationType::Path)
}

/// Without numbers that change by themselves: each new message is a write.
fn what_to_do(refusing: Refusing) -> String {
    match refusing {
        Refusing::LowSpace { keep_free } => format!(
            "the volume of the event store is nearly full: deliveries are refused while less than {} of it are free; enlarge the volume, or shorten retention",
            in_units(keep_free)
        ),
        Refusing::QuotaExceeded { quota } => format!(
            "{quota} events are kept, all that spec.quota.events allows: deliveries are refused until retention removes older ones; raise the quota, or shorten retention"
        ),
        Refusing::Unavailable => {
            "the event store cannot be used now: deliveries are refused until it can, registries send them again; the operator's log says why"
                .to_owned()
        }
    }
}

fn source_status(object: &ImageRegistry, source: &EventSource, received: &Received) -> SourceStatus {
    let mut states = received.sources.iter().flatten();
    let state = states.find(|state| state.source == source.name);
    let path = SourcePath {
        namespace: object.metadata.namespace.clone().unwrap_or_default(),
        name: object.metadata.name.clone().unwrap_or_default(),
        source: source.name.clone(),
    };
    let gaps: Vec<CoverageGap> = state
        .map(|state| {
            let newest = state.gaps.iter().rev().take(LISTED_GAPS);
            newest
                .map(|gap| CoverageGap {
                    reason: gap.reason.clone(),
                    start: gap.window.start,
                    end: gap.window.end,
                })
                .collect()
        })
        .unwrap_or_default();
    let coverage = [
        ("Push", Category::Push),
        ("Pull", Category::Pull),
        ("Delete", Category::Delete),
    ]
    .into_iter()
    .map(|(name, category)| {
        let reported = state.map(|state| reported(Some(format(source.format)), state, category));
        let since = match reported {
            Some(Reported::Since(since)) => Some(since),
            _ => None,
        };
        CategoryCoverage {
            category: name.to_owned(),
            state: match reported {
                Some(Reported::Never) => "NotReported",
                None if format(source.format).reporting(category) == Reporting::Never => "NotReported",
                None | Some(Reported::NotYet) => "Unknown",
                Some(Reported::Since(_)) if gaps.is_empty() => "Complete",
                Some(Reported::Since(_)) => "Partial",
            }
            .to_owned(),
            since,
            gaps: if since.is_some() { gaps.clone() } else { Vec::new() },
        }
    })
    .collect();
    SourceStatus {
        name: source.name.clone(),
        path: source.webhook.is_some().then(|| {
            if has_secret_path(source) {
                format!("{path}/<secret>")
            } else {
                path.to_string()
            }
        }),
        coverage,
        events: EventCounts {
            stored: state.map_or(0, |state| state.stored),
            duplicates: state.map_or(0, |state| state.duplicates),
            ignored: state.map_or(0, |state| state.ignored),
            rejected: received.rejected.get(&source.name).copied().unwrap_or_default(),
            quarantined: state.map_or(0, |state| state.quarantined),
        },
        last_event_time: state.and_then(|state| state.last_event),
    }
}

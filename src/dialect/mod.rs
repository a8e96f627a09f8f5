//! One file for each kind of registry: what it sends, read into the one record that
//! all sources produce. Pure functions of headers and body.
//!
//! What a message is not about (blobs, scans, pings, kinds not known yet) is ignored
//! and counted, never an error: some registries stop sending, or send the same again
//! for ever, when they are refused. Only a body that cannot be read at all is an error.

mod alibaba_acr;
mod amazon_ecr;
mod artifactory;
mod azure_acr;
mod distribution;
mod docker_hub;
mod fields;
mod generic;
mod gitea;
mod github;
mod google_artifact_registry;
mod handshake;
mod harbor;
mod json;
mod nexus;
mod quay;
mod telling;
#[cfg(test)]
pub(crate) mod tests;
mod zot;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

pub use handshake::Handshake;
pub use telling::{telling, told};

use self::json::NotText;
use crate::event::{Category, RegistryEvent};

/// The most entries one body may bring.
pub const MAX_ENTRIES: usize = 10_000;

/// How deep objects and arrays may lie in each other.
pub const MAX_DEPTH: usize = 32;

/// What a source sends. One variant for each supported registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// CNCF distribution, versions 2 and 3, and registries that send the same.
    Distribution,
    /// The registry of a GitLab that somebody runs: distribution's notifications.
    GitLab,
    /// Webhooks of Harbor in both payload formats, and pages of its audit logs.
    Harbor,
    /// Alibaba Container Registry: triggers, its event bus, rows of the instance audit log.
    AlibabaACR,
    /// Amazon ECR: image actions and `CloudTrail` records, bare or through a bus or a topic.
    AmazonECR,
    /// Google Artifact Registry: Pub/Sub messages and audit log entries.
    GoogleArtifactRegistry,
    /// Azure Container Registry: webhooks, Event Grid, repository events.
    AzureACR,
    /// Quay: notifications, usage logs, the Splunk collector's form.
    Quay,
    /// zot: `CloudEvents`, binary and structured.
    Zot,
    DockerHub,
    /// GitHub packages.
    GitHub,
    /// `JFrog` Artifactory.
    Artifactory,
    /// Gitea and Forgejo.
    Gitea,
    /// Sonatype Nexus Repository.
    Nexus,
    /// The project's own form, for anything that can be made to say what happened.
    Generic,
}

/// Whether sources of a format report a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reporting {
    /// Every source does.
    Always,
    /// Some do, by how the registry is set up: it is known once one has.
    Sometimes,
    Never,
}

/// What one body brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// In the order of the body.
    pub events: Vec<RegistryEvent>,
    /// Entries that are no image events, or that could not be read among others that could.
    pub ignored: i64,
}

/// Why a body could not be read. Quotes nothing of it: it may hold a credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DialectError {
    #[error("failed to read the body as JSON, at line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("failed to read the body: it is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("failed to read the body: it has more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    #[error("failed to read the body: {0}")]
    UnexpectedShape(&'static str),
}

impl DialectError {
    /// For quarantine, metrics and status.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "NotJSON",
            Self::TooDeep => "TooDeep",
            Self::TooManyEntries => "TooManyEntries",
            Self::UnexpectedShape(_) => "UnexpectedShape",
        }
    }
}

impl Format {
    pub const ALL: [Self; 15] = [
        Self::Distribution,
        Self::GitLab,
        Self::Harbor,
        Self::AlibabaACR,
        Self::AmazonECR,
        Self::GoogleArtifactRegistry,
        Self::AzureACR,
        Self::Quay,
        Self::Zot,
        Self::DockerHub,
        Self::GitHub,
        Self::Artifactory,
        Self::Gitea,
        Self::Nexus,
        Self::Generic,
    ];

    /// As an `ImageRegistry` writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Distribution => "Distribution",
            Self::GitLab => "GitLab",
            Self::Harbor => "Harbor",
            Self::AlibabaACR => "AlibabaACR",
            Self::AmazonECR => "AmazonECR",
            Self::GoogleArtifactRegistry => "GoogleArtifactRegistry",
            Self::AzureACR => "AzureACR",
            Self::Quay => "Quay",
            Self::Zot => "Zot",
            Self::DockerHub => "DockerHub",
            Self::GitHub => "GitHub",
            Self::Artifactory => "Artifactory",
            Self::Gitea => "Gitea",
            Self::Nexus => "Nexus",
            Self::Generic => "Generic",
        }
    }

    /// Whether a source of this format reports events of a category.
    #[must_use]
    pub fn reporting(self, category: Category) -> Reporting {
        use Reporting::{Always, Never, Sometimes};
        let [push, pull, delete] = match self {
            Self::Distribution | Self::GitLab => [Always, Always, Always],
            // Which events a policy sends, and which rows an audit log has, is a setting of the project.
            Self::Harbor | Self::Generic => [Sometimes, Sometimes, Sometimes],
            // Pulls, and who did what from where, are in audit logs that have to be switched on.
            Self::AlibabaACR | Self::Quay => [Always, Sometimes, Sometimes],
            Self::AmazonECR | Self::GoogleArtifactRegistry | Self::AzureACR => [Always, Sometimes, Always],
            Self::Zot | Self::Artifactory | Self::Gitea | Self::Nexus => [Always, Never, Always],
            Self::DockerHub | Self::GitHub => [Always, Never, Never],
        };
        match category {
            Category::Push => push,
            Category::Pull => pull,
            Category::Delete => delete,
        }
    }

    /// How long a sender goes on sending what was not taken, where it is set up as its page in `docs/registries` says;
    /// of several ways to be sent events, the least. Nothing of a sender that is not known to send again.
    #[must_use]
    pub fn sends_again_for(self) -> SignedDuration {
        match self {
            // Until it is taken (`notifications/sinks.go`, `retryingSink`), from memory: a process that ends before
            // shows as a new instance.
            Self::Distribution => SignedDuration::MAX,
            // `maxretries` 10, none of them sooner than half of `backoff` 5s ("Configure container registry
            // notifications").
            Self::GitLab => SignedDuration::from_secs(25),
            // Three attempts (`webhook_job_max_retry`); the n-th failure is followed by a pause of at least n⁴ + 15
            // seconds (the default of the job queue that Harbor uses, gocraft/work).
            Self::Harbor => SignedDuration::from_secs(16 + 31),
            // A subscription keeps a message for 7 days by default ("Subscription properties").
            Self::GoogleArtifactRegistry => SignedDuration::from_hours(7 * 24),
            // EventBridge tries for 24 hours, but a topic three times, 20 seconds apart less some jitter ("Amazon SNS
            // message delivery retries").
            Self::AmazonECR => SignedDuration::from_secs(30),
            // Among them AzureACR: Event Grid tries for 24 hours, but of a registry's own webhooks it is not known.
            Self::AlibabaACR
            | Self::AzureACR
            | Self::Quay
            | Self::Zot
            | Self::DockerHub
            | Self::GitHub
            | Self::Artifactory
            | Self::Gitea
            | Self::Nexus
            | Self::Generic => SignedDuration::ZERO,
        }
    }

    /// Reads one delivery as it is kept, from when it was received.
    pub fn read(self, headers: &HeaderMap, body: &[u8], received: Timestamp) -> Result<Parsed, DialectError> {
        let Parsed { events, ignored } = self.parse(headers, body)?;
        let events = events.into_iter().map(|event| told_apart(event, received));
        Ok(Parsed {
            events: events.collect(),
            ignored,
        })
    }

    /// Reads one delivery. The caller bounds the size of the body.
    pub fn parse(self, headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
        match self {
            Self::Distribution | Self::GitLab => distribution::parse(headers, body),
            Self::Harbor => harbor::parse(headers, body),
            Self::AlibabaACR => alibaba_acr::parse(headers, body),
            Self::AmazonECR => amazon_ecr::parse(headers, body),
            Self::GoogleArtifactRegistry => google_artifact_registry::parse(headers, body),
            Self::AzureACR => azure_acr::parse(headers, body),
            Self::Quay => quay::parse(headers, body),
            Self::Zot => zot::parse(headers, body),
            Self::DockerHub => docker_hub::parse(headers, body),
            Self::GitHub => github::parse(headers, body),
            Self::Artifactory => artifactory::parse(headers, body),
            Self::Gitea => gitea::parse(headers, body),
            Self::Nexus => nexus::parse(headers, body),
            Self::Generic => generic::parse(headers, body),
        }
    }
}

impl Parsed {
    /// Counts what an entry turned out to be.
    fn take(&mut self, entry: Result<Option<RegistryEvent>, NotText>) {
        match entry {
            Ok(Some(event)) => self.events.push(event),
            Ok(None) | Err(NotText) => self.ignored += 1,
        }
    }
}

/// Within so many seconds the same message is taken for one that was sent again, where it has neither an id nor a time.
const SENT_AGAIN_WITHIN: i64 = 300;

/// The event under a key that also tells it from the same content at another time, where nothing in it does: else a
/// tag that is pushed again would be a push that is known already.
#[must_use]
pub fn told_apart(event: RegistryEvent, received: Timestamp) -> RegistryEvent {
    if event.time.is_some() || has_own_id(&event) {
        return event;
    }
    let stretch = received.as_second().div_euclid(SENT_AGAIN_WITHIN);
    RegistryEvent {
        id: format!("{}@{stretch}", event.id),
        ..event
    }
}

/// Whether the id is the format's own, and no key made of the content.
#[must_use]
pub fn has_own_id(event: &RegistryEvent) -> bool {
    event.id != fields::content_id(event)
}

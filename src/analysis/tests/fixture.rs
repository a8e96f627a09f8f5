use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{
    analysis::{
        ClusterEvidence, ClusterState, EventEvidence, Evidence, Filter, Question, Range, RegistryEvidence,
        Subject,
    },
    cluster::{ContainerType, Lifecycle, WorkloadUse},
    crd::{ClientDetails, ClusterName, ImageUsageReportStatus, WorkloadDetail},
    dialect::Format,
    event::{AddressSource, Attribution, ForwardedAddress, LogicalCategory, Network, SourceAddress},
    image::{Digest, Reference, RunningDigest, RunningForm},
    store::{Gap, SourceState, TagPointer, Tally, Window},
};

pub const REPOSITORY: &str = "r.example/team/app";

pub fn now() -> Timestamp {
    time("2026-06-30T12:00:00Z")
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The digest that one letter stands for.
pub fn digest(letter: char) -> Digest {
    format!("sha256:{}", letter.to_string().repeat(64))
        .parse()
        .unwrap()
}

pub fn question(subject: Subject) -> Question {
    Question {
        repository: REPOSITORY.parse().unwrap(),
        subject,
        range: Range::Last(SignedDuration::from_hours(24)),
        filter: Filter {
            categories: [].into(),
            network_types: [].into(),
            limit: 50,
        },
    }
}

pub fn tag(name: &str) -> Subject {
    Subject::Tag(name.to_owned())
}

/// One use of the image; `running` is a letter for a digest, after `~` in the bare form.
pub fn used(reference: &str, running: Option<&str>, lifecycle: Lifecycle, pods: i64) -> WorkloadUse {
    let image: Reference = reference.parse().unwrap();
    WorkloadUse {
        namespace: "shop".into(),
        kind: "Deployment".into(),
        name: "web".into(),
        container: "app".into(),
        container_type: ContainerType::Container,
        reference: reference.into(),
        image: Arc::new(image),
        running: running.map(|running| RunningDigest {
            digest: digest(running.trim_start_matches('~').chars().next().unwrap()),
            form: if running.starts_with('~') {
                RunningForm::Bare
            } else {
                RunningForm::Repository
            },
        }),
        lifecycle,
        pods,
        ready_pods: pods,
        since: time("2026-06-01T00:00:00Z"),
    }
}

pub fn cluster(name: &str, uses: Vec<WorkloadUse>) -> ClusterEvidence {
    ClusterEvidence {
        name: ClusterName {
            namespace: "system".into(),
            name: name.into(),
        },
        uid: format!("uid-{name}"),
        state: ClusterState::Synced {
            since: time("2026-06-29T00:00:00Z"),
        },
        scope_limited: false,
        uses,
        past: Vec::new(),
        same_content_elsewhere: 0,
        node_addresses: vec!["192.0.2.10".parse().unwrap()],
        egress: Vec::new(),
        workloads: WorkloadDetail::Names,
    }
}

pub fn evidence(clusters: Vec<ClusterEvidence>, registry: RegistryEvidence) -> Evidence {
    Evidence {
        clusters,
        hidden_clusters: 0,
        withdrawn: Vec::new(),
        registry,
    }
}

/// Tags and the letters of the digests they pointed at, oldest first; `-` for a deleted tag.
pub fn events(pointers: &[(&str, char)]) -> EventEvidence {
    EventEvidence {
        registry: "system/registry".into(),
        repository: REPOSITORY.parse().unwrap(),
        mirrors: Vec::new(),
        retention: SignedDuration::from_hours(24 * 30),
        client_details: ClientDetails::Full,
        network: Arc::new(Network::new::<&str>(ForwardedAddress::Untrusted, &[], &[]).unwrap()),
        pointers: pointers
            .iter()
            .map(|(tag, letter)| TagPointer {
                tag: (*tag).to_owned(),
                digest: (*letter != '-').then(|| digest(*letter)),
                from: time("2026-06-01T00:00:00Z"),
            })
            .collect(),
        tags: Vec::new(),
        sources: vec![SourceState {
            source: "notifications".into(),
            since: time("2026-06-01T00:00:00Z"),
            last_delivery: now(),
            last_event: Some(now()),
            stored: 1,
            duplicates: 0,
            ignored: 0,
            quarantined: 0,
            reported: [].into(),
            gaps: Vec::new(),
        }],
        formats: [("notifications".to_owned(), Format::Distribution)].into(),
        tally: Vec::new(),
        tag_tallies: [].into(),
        lines: Vec::new(),
    }
}

pub fn known(pointers: &[(&str, char)]) -> RegistryEvidence {
    RegistryEvidence::Events(Box::new(events(pointers)))
}

pub fn tally(category: LogicalCategory, address: Option<&str>, count: i64) -> Tally {
    Tally {
        actor: None,
        category,
        target: None,
        address: address.map(|address| SourceAddress {
            ip: address.parse().unwrap(),
            source: AddressSource::Peer,
        }),
        network_type: None,
        attribution: Attribution::Named,
        count,
        first: time("2026-06-30T10:00:00Z"),
        last: time("2026-06-30T11:00:00Z"),
    }
}

pub fn gap(start: &str, end: &str) -> Gap {
    Gap {
        reason: "NewInstance".into(),
        window: Window {
            start: time(start),
            end: time(end),
        },
        is_open: false,
    }
}

pub fn answer(subject: Subject, evidence: &Evidence) -> ImageUsageReportStatus {
    crate::analysis::report(
        &question(subject),
        evidence,
        &ImageUsageReportStatus::default(),
        1,
        now(),
    )
}

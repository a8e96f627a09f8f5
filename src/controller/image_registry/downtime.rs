//! An operator that was away, by the parts that it is made of: store, webhook server, what is said of both.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use local_cluster::wait_until;
use secrecy::SecretString;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::decide::{Received, status_of};
use crate::{
    analysis::{EventEvidence, Evidence, Filter, Question, Range, RegistryEvidence, Subject, report},
    controller::{
        listening::{keep_saying, losses},
        registries::{Registries, fixture},
    },
    crd::{ClientDetails, EventCategory, ImageRegistry, ImageRegistryStatus, ImageUsageReportStatus},
    dialect::Format,
    image::RepositoryName,
    receive::{self, Authentication, Directory, Method, Receiver, Source, SourcePath},
    store::{EventReader as _, SourceState, SqliteStore, Upkeep as _},
};

const TOKEN: &str = "0123456789abcdef-first";
const SOON: Duration = Duration::from_secs(20);
/// The first is sent once, the second until it is taken.
const SOURCES: [(&str, Format); 2] = [
    ("hub", Format::DockerHub),
    ("notifications", Format::Distribution),
];

struct Running {
    store: Arc<SqliteStore>,
    registries: Arc<Registries>,
    address: SocketAddr,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    async fn start(folder: &Path) -> Self {
        let store = Arc::new(SqliteStore::open(&folder.join("events.db"), |_, _| {}).unwrap());
        let registries = Arc::new(Registries::default());
        let registry = fixture::registry(&SOURCES);
        let directory = Arc::new(Directory::default());
        for (name, format) in SOURCES {
            let path = SourcePath {
                namespace: registry.key.namespace.clone(),
                name: registry.key.name.clone(),
                source: name.to_owned(),
            };
            let source = Source {
                registry: registry.store_key(),
                name: name.to_owned(),
                format,
                authentication: Authentication {
                    method: Method::Bearer,
                    secrets: vec![SecretString::from(TOKEN)],
                },
                rate: None,
            };
            directory.insert(path, source);
        }
        registries.insert(registry);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let receiver = Receiver::new(directory, store.clone());
        let serving = receive::serve(listener, None, receiver, cancel.clone());
        tasks.spawn(async move { serving.await.unwrap() });
        tasks.spawn({
            let (store, loses, cancel) = (store.clone(), losses(registries.clone()), cancel.clone());
            async move { keep_saying(store.as_ref(), loses, &cancel).await }
        });
        Self {
            store,
            registries,
            address,
            cancel,
            tasks,
        }
    }

    async fn deliver(&self, source: &str, body: &[u8]) {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "POST /v1/events/team/registry/{source} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(body).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }

    async fn sources(&self) -> Vec<SourceState> {
        let registry = &self.registries.all()[0];
        self.store.sources(registry.store_key()).await.unwrap()
    }

    async fn stop(mut self) {
        self.cancel.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.store.close().await.unwrap();
    }
}

fn object() -> ImageRegistry {
    let sources = SOURCES.map(|(name, format)| {
        json!({
            "name": name,
            "format": format.name(),
            "webhook": {"authentication": {"type": "Bearer", "bearer": {"secretRef": {"name": "s", "keys": ["k"]}}}},
        })
    });
    serde_json::from_value(json!({
        "metadata": {"namespace": "team", "name": "registry", "generation": 1},
        "spec": {"endpoints": [{"host": "r.example"}], "sources": sources},
    }))
    .unwrap()
}

/// Whether a report about pushes that rests on this source alone is complete, and why not.
fn events_complete(source: &SourceState) -> (String, String) {
    let events = EventEvidence {
        registry: "team/registry".to_owned(),
        repository: RepositoryName {
            host: "r.example".to_owned(),
            path: "app".to_owned(),
        },
        mirrors: Vec::new(),
        retention: SignedDuration::from_hours(720),
        network: Arc::new(fixture::network()),
        client_details: ClientDetails::Full,
        pointers: Vec::new(),
        tags: Vec::new(),
        sources: vec![source.clone()],
        formats: SOURCES.map(|(name, format)| (name.to_owned(), format)).into(),
        tally: Vec::new(),
        tag_tallies: [].into(),
        lines: Vec::new(),
    };
    let question = Question {
        repository: "r.example/shop/web".parse().unwrap(),
        subject: Subject::Repository,
        range: Range::Last(SignedDuration::from_hours(1)),
        filter: Filter {
            categories: [EventCategory::Push].into(),
            network_types: [].into(),
            limit: 50,
        },
    };
    let evidence = Evidence {
        clusters: Vec::new(),
        hidden_clusters: 0,
        withdrawn: Vec::new(),
        registry: RegistryEvidence::Events(Box::new(events)),
    };
    let answer = report(
        &question,
        &evidence,
        &ImageUsageReportStatus::default(),
        1,
        Timestamp::now(),
    );
    let condition = answer
        .conditions
        .into_iter()
        .find(|condition| condition.r#type == "EventsComplete")
        .unwrap();
    (condition.reason, condition.message)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_was_away_tells_so_of_a_source_that_sends_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let push = include_bytes!("../../../tests/fixtures/events/docker-hub/push.json");
    let pull = include_bytes!("../../../tests/fixtures/events/distribution/pull-by-containerd.json");
    let first = Running::start(folder.path()).await;
    first.deliver("hub", push).await;
    first.deliver("notifications", pull).await;
    let before = Timestamp::now();
    first.stop().await;
    let stopped = Timestamp::now();

    let second = Running::start(folder.path()).await;
    let sources = wait_until(SOON, "the gap", async || {
        let sources = second.sources().await;
        anyhow::ensure!(!sources[0].gaps.is_empty(), "{sources:?}");
        Ok(sources)
    });
    let sources = sources.await.unwrap();
    let [hub, notifications] = sources.as_slice() else {
        panic!("{sources:?}");
    };
    assert_eq!(notifications.gaps, [], "distribution sends it again");
    let window = hub.gaps[0].window;
    assert!(before <= window.start && window.start <= stopped, "{window:?}");
    assert!(
        window.start < window.end && window.end <= Timestamp::now(),
        "{window:?}"
    );
    assert_eq!(events_complete(hub).0, "PossibleGap");
    assert_ne!(events_complete(notifications).0, "PossibleGap");

    let received = Received {
        sources: Some(sources),
        rejected: [].into(),
        rivals: Vec::new(),
        refusing: None,
        exceeded: None,
        unread: BTreeMap::new(),
        missing_keys: None,
    };
    let status = status_of(
        Ok(received),
        &object(),
        &ImageRegistryStatus::default(),
        Timestamp::now(),
    );
    let told: Vec<_> = status
        .sources
        .iter()
        .map(|source| {
            let push = &source.coverage[0];
            let reasons: Vec<&str> = push.gaps.iter().map(|gap| gap.reason.as_str()).collect();
            (source.name.as_str(), push.state.as_str(), reasons)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("hub", "Partial", vec!["ReceiverDown"]),
            ("notifications", "Complete", vec![])
        ]
    );
    second.stop().await;
}

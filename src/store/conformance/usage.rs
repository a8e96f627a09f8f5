use super::Backend;
use crate::{
    cluster::{ContainerType, Lifecycle, WorkloadUse},
    event::fixture::at,
    image::{RepositoryName, RunningDigest, RunningForm},
    store::{LastKnown, UsageSpan, UsageStore},
};

const CLUSTER: &str = "6c2f";

fn repository(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

fn used(reference: &str, name: &str, pods: i64) -> WorkloadUse {
    WorkloadUse {
        namespace: "shop".into(),
        kind: "Deployment".into(),
        name: name.into(),
        container: "app".into(),
        container_type: ContainerType::Init,
        reference: reference.into(),
        image: std::sync::Arc::new(reference.parse().unwrap()),
        running: Some(RunningDigest {
            digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
            form: RunningForm::Bare,
        }),
        lifecycle: Lifecycle::Running,
        pods,
        ready_pods: pods,
        since: at(5.0),
    }
}

async fn known(store: &impl UsageStore, cluster: &str, repositories: &[&str]) -> Option<LastKnown> {
    let repositories = repositories.iter().map(|name| repository(name)).collect();
    store.last_known(cluster.to_owned(), repositories).await.unwrap()
}

pub(crate) async fn what_a_cluster_was_last_seen_to_run_is_read_back<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    assert_eq!(known(&store, CLUSTER, &["r.example/a"]).await, None);

    let template = WorkloadUse {
        running: None,
        lifecycle: Lifecycle::Scheduled,
        container_type: ContainerType::ImageVolume,
        ..used("r.example/a", "nightly", 0)
    };
    let uses = vec![used("r.example/a:v1", "web", 3), template];
    let changed = vec![
        (repository("r.example/a"), uses.clone()),
        (repository("r.example/b"), vec![used("r.example/b:v1", "web", 1)]),
    ];
    store
        .save_uses(CLUSTER.to_owned(), at(10.0), changed)
        .await
        .unwrap();
    backend.close(store).await;

    let store = backend.open().await;
    let found = known(&store, CLUSTER, &["r.example/a", "r.example/none"])
        .await
        .unwrap();
    assert_eq!((found.as_of, &found.uses), (at(10.0), &uses));
    assert_eq!(known(&store, "other", &["r.example/a"]).await, None);
}

pub(crate) async fn uses_are_replaced_by_repository_and_forgotten_by_cluster<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let save = async |cluster: &str, seconds, repository_name: &str, uses| {
        let changed = vec![(repository(repository_name), uses)];
        store
            .save_uses(cluster.to_owned(), at(seconds), changed)
            .await
            .unwrap();
    };
    save(
        CLUSTER,
        1.0,
        "r.example/a",
        vec![used("r.example/a:v1", "web", 1)],
    )
    .await;
    save(
        CLUSTER,
        2.0,
        "r.example/b",
        vec![used("r.example/b:v1", "web", 1)],
    )
    .await;
    save(
        CLUSTER,
        3.0,
        "r.example/a",
        vec![used("r.example/a:v2", "web", 2)],
    )
    .await;
    save(
        "other",
        4.0,
        "r.example/a",
        vec![used("r.example/a:v1", "web", 1)],
    )
    .await;

    let both = ["r.example/a", "r.example/b"];
    let found = known(&store, CLUSTER, &both).await.unwrap();
    let references: Vec<_> = found.uses.iter().map(|used| used.reference.to_string()).collect();
    assert_eq!(
        (found.as_of, references.as_slice()),
        (
            at(3.0),
            &["r.example/a:v2".to_owned(), "r.example/b:v1".to_owned()][..]
        )
    );

    save(CLUSTER, 5.0, "r.example/a", Vec::new()).await;
    assert_eq!(
        store.used_repositories(CLUSTER.to_owned()).await.unwrap(),
        [repository("r.example/b")]
    );
    store
        .save_uses(CLUSTER.to_owned(), at(6.0), Vec::new())
        .await
        .unwrap();
    assert_eq!(
        known(&store, CLUSTER, &both).await.unwrap().as_of,
        at(6.0),
        "nothing changed, and it is current"
    );

    store.forget_uses(CLUSTER.to_owned()).await.unwrap();
    assert_eq!(known(&store, CLUSTER, &both).await, None);
    assert_eq!(store.usage_clusters().await.unwrap(), ["other"]);
    assert_eq!(known(&store, "other", &both).await.unwrap().uses.len(), 1);
}

/// Spans as lines `NAME START END`, by start; seconds.
async fn spans(store: &impl UsageStore) -> Vec<String> {
    let clusters = vec![CLUSTER.to_owned(), "never".to_owned()];
    let repositories = ["r.example/a", "r.example/never"].map(repository);
    let found = store.usage_spans(clusters, repositories.to_vec()).await.unwrap();
    assert!(found.keys().all(|cluster| cluster == CLUSTER), "{found:?}");
    let mut spans = found.get(CLUSTER).cloned().unwrap_or_default();
    spans.sort_by_key(|span| (span.used.since, span.used.name.clone()));
    let seconds = |time: jiff::Timestamp| time.as_second() - at(0.0).as_second();
    spans
        .iter()
        .map(|UsageSpan { used, until }| {
            let end = until.map_or("-".to_owned(), |until| seconds(until).to_string());
            format!("{} {} {end}", used.name, seconds(used.since))
        })
        .collect()
}

pub(crate) async fn what_ran_is_remembered_from_when_to_when<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let save = async |seconds: f64, uses: Vec<WorkloadUse>| {
        let changed = vec![(repository("r.example/a"), uses)];
        store
            .save_uses(CLUSTER.to_owned(), at(seconds), changed)
            .await
            .unwrap();
    };
    let web = used("r.example/a:v1", "web", 1);
    let template = WorkloadUse {
        lifecycle: Lifecycle::Template,
        ..used("r.example/a:v1", "idle", 0)
    };
    assert_eq!(spans(&store).await, [""; 0]);
    save(10.0, vec![web.clone(), template.clone()]).await;
    assert_eq!(spans(&store).await, ["web 5 -"], "a template runs nothing");
    // More pods of the same are no news.
    let more = WorkloadUse {
        pods: 9,
        since: at(4.0),
        ..web.clone()
    };
    save(20.0, vec![more]).await;
    assert_eq!(spans(&store).await, ["web 5 -"]);
    save(30.0, vec![template.clone()]).await;
    assert_eq!(spans(&store).await, ["web 5 30"]);
    // Back within the hour: it is as if it had never been away.
    save(3_000.0, vec![web.clone()]).await;
    assert_eq!(spans(&store).await, ["web 5 -"]);
    // Another digest is another span, and one that comes back later is a new one.
    let moved = WorkloadUse {
        running: None,
        since: at(3_500.0),
        ..web.clone()
    };
    save(4_000.0, vec![moved.clone()]).await;
    assert_eq!(spans(&store).await, ["web 5 4000", "web 3500 -"]);
    let back = WorkloadUse {
        since: at(9_000.0),
        ..web
    };
    save(10_000.0, vec![back.clone(), moved]).await;
    assert_eq!(spans(&store).await, ["web 5 4000", "web 3500 -", "web 9000 -"]);

    let read = store
        .usage_spans(vec![CLUSTER.to_owned()], vec![repository("r.example/a")])
        .await
        .unwrap();
    let newest = read[CLUSTER]
        .iter()
        .find(|span| span.used.since == at(9_000.0))
        .unwrap();
    let expected = WorkloadUse {
        pods: 0,
        ready_pods: 0,
        ..back
    };
    assert_eq!(newest.used, expected);

    // It is forgotten after 400 days, and with its cluster.
    let days = |days: f64| days * 86_400.0;
    save(days(401.0), vec![template]).await;
    let kept = spans(&store).await;
    let end = days(401.0);
    assert_eq!(kept, [format!("web 3500 {end}"), format!("web 9000 {end}")]);
    store.forget_uses(CLUSTER.to_owned()).await.unwrap();
    assert_eq!(spans(&store).await, [""; 0]);
}

use super::Backend;
use crate::{
    cluster::{ContainerType, Lifecycle, WorkloadUse},
    event::fixture::at,
    image::{RepositoryName, RunningDigest, RunningForm},
    store::{LastKnown, UsageStore},
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

//! The running operator: what it opens, which tasks it owns, how it stops.

use std::{fmt::Display, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    api::PartialObjectMeta,
    runtime::{WatchStreamExt, reflector, watcher},
};
use tokio::{net::TcpListener, signal::unix, task::JoinSet, time::MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, info, warn};

use crate::{
    cluster::{Guard, Kubeconfig, Timeouts},
    controller::{self, Interests, ObjectKey, Registries, Touched, World},
    receive::{self, Directory, Fetcher, Receiver, Remote, Tls},
    settings::Settings,
    store::{PostgresStore, RegistryKey, SqliteStore, Store},
    telemetry::{self, Metrics, StoreMetrics},
    web::{self, Readiness},
};

/// What is still under way when the operator stops has this long.
const STOP_WITHIN: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often events of times that are over are counted for good.
const SEAL_EVERY: Duration = Duration::from_mins(1);
const WEBHOOK: &str = "webhook server";
const NAMESPACES: &str = "namespaces";

/// Runs the operator until it is told to stop. An error says why it could not go on.
pub fn run(settings: Settings) -> Result<(), String> {
    telemetry::start_logging(settings.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(failed("failed to start the runtime"))?;
    runtime.block_on(operate(settings))
}

async fn operate(settings: Settings) -> Result<(), String> {
    let cancel = CancellationToken::new();
    let tracker = TaskTracker::new();
    let metrics = Metrics::default();
    let readiness = Readiness::waiting_for(&[
        WEBHOOK,
        NAMESPACES,
        controller::WEBHOOKS,
        "ClusterAuthorization",
        "ImageRegistry",
        "ImageUsageReport",
    ]);
    let client = own_client(&settings)?;
    let registries = Arc::new(Registries::default());
    let interests = Arc::new(Interests::default());
    let touched_registries = Arc::new(Touched::default());
    let store = open_store(&settings, &registries, &interests, &touched_registries).await?;
    let directory = Arc::new(Directory::default());
    let webhook_tls = settings.webhook_tls_dir.clone().map(Tls::open).transpose();
    let webhook_tls = webhook_tls
        .map_err(failed("failed to open WEBHOOK_TLS_DIR"))?
        .map(Arc::new);
    let webhook = bind(settings.webhook_address).await?;
    let health = bind(settings.health_address).await?;
    let remote = remote(&settings, &tracker, &cancel, &directory, &touched_registries)?;
    let (namespaces, namespace_writer) = reflector::store();
    let world = Arc::new(World {
        client: client.clone(),
        clusters: controller::Clusters::default(),
        registries,
        directory: directory.clone(),
        remote,
        events: store.clone(),
        log: store.clone(),
        cursors: store.clone(),
        usage: store.clone(),
        keeping: store.clone(),
        unsaved: Arc::default(),
        interests,
        touched_clusters: Arc::default(),
        touched_registries,
        namespaces,
        readiness,
        metrics,
        budget: controller::WriteBudget::default(),
        tasks: tracker.clone(),
        cancel: cancel.clone(),
        kinds: settings.kinds(),
        settings,
    });
    info!(version = env!("CARGO_PKG_VERSION"), webhook = %world.settings.webhook_address, "starting");

    let receiver = Receiver::new(directory, store.clone());
    world
        .metrics
        .register(|registry| receiver.metrics().register(registry));
    world
        .metrics
        .register(|registry| registry.register_collector(Box::new(StoreMetrics(store.clone()))));
    world.readiness.is_there(WEBHOOK);
    let mut tasks = start(&world, &store, receiver, (webhook, webhook_tls), health);
    tasks.own(
        NAMESPACES,
        follow_namespaces(world.clone(), namespace_writer).map(Ok),
    );
    let outcome = tasks.until_stopped().await;
    info!("stopping");
    cancel.cancel();
    tracker.close();
    let stopping = async {
        tasks.join().await;
        tracker.wait().await;
    };
    if tokio::time::timeout(STOP_WITHIN, stopping).await.is_err() {
        warn!("some tasks did not end in time");
    }
    if let Err(error) = store.close().await {
        error!(%error, "failed to close the event store");
    }
    info!("stopped");
    outcome
}

/// Starts the tasks of the process.
fn start(
    world: &Arc<World>,
    store: &Arc<dyn Store>,
    receiver: Receiver,
    (webhook, webhook_tls): (TcpListener, Option<Arc<Tls>>),
    health: TcpListener,
) -> Tasks {
    let (cancel, mut tasks) = (&world.cancel, Tasks::default());
    tasks.own(WEBHOOK, {
        let cancel = cancel.clone();
        async move {
            receive::serve(webhook, webhook_tls, receiver, cancel)
                .await
                .map_err(|error| error.to_string())
        }
    });
    tasks.own("health server", {
        let cancel = cancel.clone();
        let serving = web::serve(health, world.readiness.clone(), world.metrics.clone(), cancel);
        async move { serving.await.map_err(|error| error.to_string()) }
    });
    tasks.own(
        "ClusterAuthorization",
        controller::run_cluster_authorizations(world.clone()).map(Ok),
    );
    tasks.own(
        "ImageRegistry",
        controller::run_image_registries(world.clone()).map(Ok),
    );
    tasks.own(
        "ImageUsageReport",
        controller::run_image_usage_reports(world.clone()).map(Ok),
    );
    tasks.own(
        "last known deployments",
        controller::keep_last_known(world.clone()).map(Ok),
    );
    tasks.own(
        "listening",
        controller::run_listening(world.clone(), store.clone()).map(Ok),
    );
    tasks.own(
        "retention",
        controller::run_retention(world.clone(), store.clone()).map(Ok),
    );
    tasks.own("sums of events", seal(world.clone(), store.clone()).map(Ok));
    tasks.own("event store", {
        let (cancel, store) = (cancel.clone(), store.clone());
        async move {
            match cancel.run_until_cancelled(store.closed()).await {
                None => Ok(()),
                Some(()) => Err("it can write no more".to_owned()),
            }
        }
    });
    tasks
}

/// The tasks of the process: any that ends before it is told to ends the process.
#[derive(Default)]
struct Tasks(JoinSet<(&'static str, Result<(), String>)>);

impl Tasks {
    fn own(&mut self, name: &'static str, task: impl Future<Output = Result<(), String>> + Send + 'static) {
        let task: BoxFuture<'static, _> = task.boxed();
        self.0.spawn(async move { (name, task.await) });
    }

    /// Until a signal, or until a task ends by itself.
    async fn until_stopped(&mut self) -> Result<(), String> {
        let mut terminate =
            unix::signal(unix::SignalKind::terminate()).map_err(failed("failed to follow SIGTERM"))?;
        let mut interrupt =
            unix::signal(unix::SignalKind::interrupt()).map_err(failed("failed to follow SIGINT"))?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            Some(ended) = self.0.join_next() => Err(match ended {
                Ok((name, Ok(()))) => format!("{name} ended unexpectedly"),
                Ok((name, Err(error))) => format!("{name} failed: {error}"),
                Err(error) => format!("a task panicked: {error}"),
            }),
        }
    }

    async fn join(&mut self) {
        while let Some(ended) = self.0.join_next().await {
            if let Ok((name, Err(error))) = ended {
                error!(task = name, error, "failed while stopping");
            }
        }
    }
}

fn own_client(settings: &Settings) -> Result<Client, String> {
    let config = match &settings.kubeconfig {
        None => {
            let mut config = Config::incluster().map_err(failed("failed to read the service account"))?;
            config.connect_timeout = Some(CONNECT_TIMEOUT);
            config
        }
        Some(path) => {
            let bytes = std::fs::read(path).map_err(failed("failed to read the kubeconfig"))?;
            let kubeconfig =
                Kubeconfig::from_kubeconfig(&bytes).map_err(failed("failed to read the kubeconfig"))?;
            kubeconfig.into_config(Timeouts {
                connect: CONNECT_TIMEOUT,
                read: None,
                write: CONNECT_TIMEOUT,
            })
        }
    };
    Client::try_from(config).map_err(failed(
        "failed to set up the client of the operator's own cluster",
    ))
}

async fn open_store(
    settings: &Settings,
    registries: &Arc<Registries>,
    interests: &Arc<Interests>,
    touched: &Arc<Touched>,
) -> Result<Arc<dyn Store>, String> {
    let (registries, interests, touched) = (registries.clone(), interests.clone(), touched.clone());
    let on_change = move |registry: &RegistryKey, repositories: &[String]| {
        let key = ObjectKey {
            namespace: registry.namespace.clone(),
            name: registry.name.clone(),
        };
        if repositories.is_empty() {
            if let Some(registry) = registries.get(&key) {
                interests.touch_endpoints(&registry.endpoints);
            }
        } else {
            interests.touch_repositories(&registries.names(&key, repositories));
        }
        touched.touch([key]);
    };
    if let Some(database) = settings.store.database() {
        let store = PostgresStore::open(&database, on_change).await;
        return Ok(Arc::new(store.map_err(|error| error.to_string())?));
    }
    std::fs::create_dir_all(&settings.store.data_dir).map_err(failed("failed to make the data folder"))?;
    let keep_free = settings.keep_free.unwrap_or_default();
    let store = SqliteStore::open_keeping_free(&settings.store.file(), keep_free, on_change)
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(store))
}

/// What fetches keys and certificates. Where keys come or go, the registries that use them are looked at again.
fn remote(
    settings: &Settings,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
    directory: &Arc<Directory>,
    touched: &Arc<Touched>,
) -> Result<Remote, String> {
    let guard = Guard::new(settings.address_rules());
    let fetcher = Fetcher::new(&settings.webhook_fetch_hosts, &guard)
        .map_err(failed("failed to set up what fetches keys of webhooks"))?;
    let (directory, touched) = (directory.clone(), touched.clone());
    let on_change = move |url: &http::Uri| {
        let using = directory.with_keys_at(url).into_iter();
        touched.touch(using.map(|path| ObjectKey {
            namespace: path.namespace,
            name: path.name,
        }));
    };
    Ok(Remote::new(fetcher, tasks.clone(), cancel.clone(), on_change))
}

async fn bind(address: std::net::SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("failed to listen on {address}: {error}"))
}

/// Keeps the labels of namespaces, which grants select by.
async fn follow_namespaces(
    world: Arc<World>,
    writer: reflector::store::Writer<PartialObjectMeta<Namespace>>,
) {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(world.client.clone());
    let events = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|namespace| {
            namespace.metadata.managed_fields = None;
            namespace.metadata.annotations = None;
        })
        .reflect(writer)
        .for_each(|event| {
            match event {
                Ok(watcher::Event::InitDone) => {
                    world.readiness.is_there(NAMESPACES);
                    world.interests.touch_all();
                }
                Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => world.interests.touch_all(),
                Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
                Err(error) => warn!(%error, "failed to follow namespaces, trying again"),
            }
            futures::future::ready(())
        });
    world.cancel.run_until_cancelled(events).await;
}

/// Has the store count the events of times that are over, so that questions need not read them.
async fn seal(world: Arc<World>, store: Arc<dyn Store>) {
    let mut ticks = tokio::time::interval(SEAL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while world.cancel.run_until_cancelled(ticks.tick()).await.is_some() {
        match world
            .cancel
            .run_until_cancelled(store.seal(Timestamp::now()))
            .await
        {
            Some(Ok(sealed)) if sealed > 0 => debug!(sealed, "counted events of times that are over"),
            Some(Ok(_)) | None => {}
            Some(Err(error)) => warn!(%error, "failed to count events of times that are over"),
        }
    }
}

fn failed<E: Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}

//! A message that cannot be read, in the middle of what a real registry sends: distribution sends one at a time, and
//! one that is refused again and again for ever.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use local_cluster::{Cluster, Image, NotificationEndpoint, Registry, wait_until};
use serde_json::json;
use story::{
    NAMESPACE, TOKEN,
    operator::{Operator, accepted, ask},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const SOON: Duration = Duration::from_secs(30);
/// The status of a registry counts once a minute.
const COUNTED_WITHIN: Duration = Duration::from_secs(90);
const REPOSITORY: &str = "team/app";
const STORED: &str = "image_usage_events_stored_total";

/// Stands between a registry and the operator, and spoils the next body that tells of a manifest's push when it is
/// told to.
#[derive(Debug, Default)]
struct Spoiler {
    spoil: AtomicBool,
}

impl Spoiler {
    /// Forwards to the operator until it is dropped.
    async fn start(self: &Arc<Self>, operator: &Operator) -> Result<(SocketAddr, JoinSet<()>)> {
        let listener = TcpListener::bind((operator.webhook().ip(), 0)).await?;
        let (address, to, spoiler) = (listener.local_addr()?, operator.webhook(), self.clone());
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let spoiler = spoiler.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| spoiler.forward(request, to));
                    // A registry closes its connections whenever it likes.
                    let _ = server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok((address, listening))
    }

    async fn forward(&self, request: Request<Incoming>, to: SocketAddr) -> Result<Response<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        let mut body = body.collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        let is_push = text.contains("\"push\"") && text.contains("/manifests/");
        if is_push && self.spoil.swap(false, Ordering::SeqCst) {
            body.truncate(body.len() / 2);
            head.headers
                .insert(http::header::CONTENT_LENGTH, body.len().into());
        }
        let stream = TcpStream::connect(to).await?;
        let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::from_parts(head, Full::new(body));
        let answer = async {
            let answer = sender.send_request(request).await?;
            drop(sender);
            let status = answer.status();
            anyhow::Ok((status, answer.into_body().collect().await?.to_bytes()))
        };
        let (answer, _) = tokio::join!(answer, connection);
        let (status, body) = answer.unwrap_or((StatusCode::BAD_GATEWAY, Bytes::new()));
        Ok(Response::builder().status(status).body(Full::new(body))?)
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_holds_up_no_other() -> Result<()> {
    let mut home = Cluster::builder()
        .registry(Registry::v3("v3"))
        .registry(Registry::v2("v2"))
        .start()
        .await?;
    let operator = Operator::start(&home).await?;
    for name in ["v3", "v2"] {
        let host = home
            .registry_host_of(name)
            .expect("the cluster has it")
            .to_owned();
        let path = accepted(&home, name, &host).await?;
        let spoiler = Arc::new(Spoiler::default());
        let (address, _listening) = spoiler.start(&operator).await?;
        let endpoint =
            NotificationEndpoint::new("operator", &format!("http://{address}{path}")).bearer(TOKEN);
        home.set_notifications(name, vec![endpoint]).await?;

        let push = async |tag: &str| {
            let image = Image::scratch().file("/text", format!("{tag} of {name}"), 0o644);
            home.push_image_to(&host, &image, REPOSITORY, tag).await
        };
        let stored_before = operator.metric(STORED, "").await?;
        push("before").await?;
        wait_until(SOON, "the first push", async || {
            let stored = operator.metric(STORED, "").await?;
            ensure!(stored > stored_before, "nothing is stored");
            Ok(())
        })
        .await?;
        spoiler.spoil.store(true, Ordering::SeqCst);
        push("spoiled").await?;
        push("after").await?;
        push("last").await?;

        let spec = json!({"repository": format!("{host}/{REPOSITORY}")});
        let (report, ()) = ask(&home, name, &spec, |report| {
            let mut tags: Vec<_> = report
                .events("Push")
                .into_iter()
                .filter_map(|push| push["tag"].as_str().map(str::to_owned))
                .collect();
            tags.sort();
            ensure!(tags == ["after", "before", "last"], "{tags:?}");
            Ok(())
        })
        .await?;
        assert!(!spoiler.spoil.load(Ordering::SeqCst), "a message was spoiled");
        assert_eq!(
            report.condition("EventsComplete").0,
            "False",
            "what was spoiled is missing: {:#}",
            report.0
        );
        wait_until(COUNTED_WITHIN, "the registry to tell of it", async || {
            let object = home
                .get_json(&["imageregistry", name, "--namespace", NAMESPACE])
                .await?;
            let source = &object["status"]["sources"][0];
            ensure!(source["events"]["quarantined"] == 1, "{source:#}");
            ensure!(source["events"]["rejected"] == 0, "{source:#}");
            let gaps = source["coverage"][0]["gaps"].as_array();
            let is_there = gaps.is_some_and(|gaps| gaps.iter().any(|gap| gap["reason"] == "Quarantined"));
            ensure!(is_there, "{source:#}");
            Ok(())
        })
        .await?;
    }
    home.end().await;
    Ok(())
}

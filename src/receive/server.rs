//! Connections: how many, how long, how they end.

use std::{io, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use tracing::{debug, warn};

use super::Receiver;

/// Bytes of the largest head.
const HEAD_BYTES: usize = 32 * 1024;
/// Wait after a failure to accept, such as too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves deliveries until cancelled, then lets those under way finish.
pub async fn serve(listener: TcpListener, receiver: Receiver, cancel: CancellationToken) -> io::Result<()> {
    let limits = receiver.limits();
    let router = receiver.router();
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let Some(Some((place, accepted))) = cancel.run_until_cancelled(accepted).await else {
            break;
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let (router, cancel) = (router.clone(), cancel.clone());
        connections.spawn(async move {
            serve_connection(stream, router, limits.head_within, cancel).await;
            drop(place);
        });
    }
    // Whoever connects now is refused at once instead of waiting for an answer that never comes.
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.stop_within, connections.wait())
        .await
        .is_err()
    {
        warn!("some deliveries did not end in time");
    }
    Ok(())
}

async fn serve_connection(
    stream: TcpStream,
    router: axum::Router,
    head_within: Duration,
    cancel: CancellationToken,
) {
    // An answer is one small packet: it must not wait for an acknowledgement.
    drop(stream.set_nodelay(true));
    let service =
        hyper::service::service_fn(move |request: hyper::Request<Incoming>| router.clone().oneshot(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_within)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke off");
    }
}

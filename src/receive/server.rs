//! Connections: how many, how long, how they end.

use std::{io, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use tracing::{debug, warn};

use super::{Receiver, Tls, tls::ClientNames};

/// Bytes of the largest head.
const HEAD_BYTES: usize = 32 * 1024;
/// Wait after a failure to accept, such as too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves deliveries until cancelled, then lets those under way finish. In the open where `tls` is absent.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    receiver: Receiver,
    cancel: CancellationToken,
) -> io::Result<()> {
    let limits = receiver.limits();
    let router = receiver.router();
    let connections = TaskTracker::new();
    if let Some(tls) = tls.clone() {
        let cancel = cancel.clone();
        connections.spawn(async move { tls.follow(cancel).await });
    }
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
        // An answer is one small packet: it must not wait for an acknowledgement.
        drop(stream.set_nodelay(true));
        let (router, tls, cancel) = (router.clone(), tls.clone(), cancel.clone());
        connections.spawn(async move {
            match tls {
                None => {
                    serve_connection(stream, ClientNames::default(), router, limits.head_within, cancel)
                        .await;
                }
                Some(tls) => match tokio::time::timeout(limits.head_within, tls.accept(stream)).await {
                    Ok(Ok((stream, names))) => {
                        serve_connection(stream, names, router, limits.head_within, cancel).await;
                    }
                    Ok(Err(error)) => debug!(%error, "a connection was not secured"),
                    Err(_) => debug!("a connection was not secured in time"),
                },
            }
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

/// `names` are those of the certificate that the client has shown.
async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    names: ClientNames,
    router: axum::Router,
    head_within: Duration,
    cancel: CancellationToken,
) {
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(names.clone());
        router.clone().oneshot(request)
    });
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

//! One request: handed on to the cluster, or answered in its stead.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Asked, ENDLESS, Fault, Shared, forged};

pub(super) type Body = UnsyncBoxBody<Bytes, anyhow::Error>;

const PODS: &str = "/api/v1/pods";

/// An error closes the connection.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let fault = shared.fault();
    let path = request.uri().path();
    let is_watch = asks(&request, "watch=1");
    let turn = shared.note(request.method(), path, is_watch, fault);
    let is_endless = fault == Fault::EndlessList && path == PODS && is_watch;
    let answer = match fault {
        Fault::Unauthorized => forged::status(401, None),
        Fault::Throttled { retry_after } => forged::status(429, Some(retry_after)),
        Fault::Expired if is_watch && turn.is_multiple_of(2) => forged::status(410, None),
        Fault::Expired if is_watch => forged::expired_event(),
        Fault::HugeLine if is_watch && path == PODS => forged::huge_frame(),
        Fault::HugeLine if is_watch => forged::huge_line(),
        Fault::HugeAnswer if !is_watch => forged::huge_line(),
        Fault::EndlessList if is_endless && asks(&request, "sendInitialEvents=true") => {
            endless(&shared, request).await?
        }
        Fault::EndlessList if is_endless => forged::status(410, None),
        _ => forward(&shared, request).await?.map(|body| {
            body.map_err(|error| anyhow!(error).context("the cluster broke off"))
                .boxed_unsync()
        }),
    };
    Ok(answer)
}

fn asks(request: &Request<Incoming>, pair: &str) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|asked| asked == pair)
}

impl Shared {
    /// Keeps the request for the record; how often the same was asked before.
    fn note(&self, method: &Method, path: &str, is_watch: bool, fault: Fault) -> usize {
        let what = format!("{method} {path}{}", if is_watch { "?watch" } else { "" });
        let mut asked = self
            .asked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let turn = asked.iter().filter(|asked| asked.what == what).count();
        asked.push(Asked {
            at: Instant::now(),
            what,
            fault,
        });
        turn
    }
}

/// Asks the cluster, on a connection of its own.
async fn forward(shared: &Shared, request: Request<Incoming>) -> Result<Response<Incoming>> {
    let tcp = TcpStream::connect(shared.cluster).await?;
    let tls = shared.connector.0.connect(shared.server_name(), tcp).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
    // Ends with the request's body and the answer's.
    tokio::spawn(connection);
    let (mut head, body) = request.into_parts();
    let target = head.uri.path_and_query().context("a request has a path")?;
    head.uri = target.as_str().parse()?;
    end_to_end(&mut head.headers);
    head.headers
        .insert(header::HOST, shared.cluster.to_string().parse()?);
    let (mut head, body) = sender
        .send_request(Request::from_parts(head, body))
        .await?
        .into_parts();
    end_to_end(&mut head.headers);
    Ok(Response::from_parts(head, body))
}

/// Leaves out what concerns one connection alone.
fn end_to_end(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE] {
        headers.remove(name);
    }
}

/// The list that was asked for, until it brings the pod to be repeated; then that for ever.
async fn endless(shared: &Shared, request: Request<Incoming>) -> Result<Response<Body>> {
    let (head, mut body) = forward(shared, request).await?.into_parts();
    let mut stream = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            stream.extend_from_slice(&data);
        }
        if let Some(frame) = forged::frame_with(&stream, ENDLESS) {
            return Ok(Response::from_parts(head, forged::endless(frame)));
        }
    }
    Err(anyhow!("the cluster has no pod {ENDLESS}"))
}

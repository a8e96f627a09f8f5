//! The client of a cluster that others described.

use bytes::Bytes;
use http::{Response, StatusCode, header::RETRY_AFTER, uri::Scheme};
use http_body_util::{Either, Full};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client, connect::dns::GaiResolver},
    rt::{TokioExecutor, TokioTimer},
};
use kube::client::ConfigExt as _;
use serde_json::json;
use thiserror::Error;
use tower::{BoxError, ServiceBuilder};

use super::{ADDRESS_NOT_ALLOWED, AddressNotAllowed, Guard, Resolver};

/// Bytes of a connection's read buffer. What TLS hands over is never longer; hyper's own
/// grows during a list, and stays so for as long as the watch after it.
const READ_BUFFER: usize = 16 * 1024;

/// Why no client could be made. Nothing was sent yet.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error(transparent)]
    Address(#[from] AddressNotAllowed),
    #[error(
        "failed to set up the connection: it is not https, or asks for a proxy, a command or unverified TLS"
    )]
    Unsafe,
    #[error("failed to set up TLS")]
    Tls(#[source] Box<kube::Error>),
    #[error("failed to set up authentication")]
    Authentication(#[source] Box<kube::Error>),
}

impl ClientError {
    /// The reason of a condition.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Address(_) => ADDRESS_NOT_ALLOWED,
            Self::Unsafe => "ConnectionUnsafe",
            Self::Tls(_) => "TLSSetupFailed",
            Self::Authentication(_) => "AuthenticationSetupFailed",
        }
    }
}

/// A client that connects to permitted addresses only, over verified TLS and
/// HTTP/1.1, with the timeouts of `config`. Unlike kube's own it follows no proxy,
/// retries nothing, logs no remote text and sends no extra or impersonation headers.
///
/// Of an unsuccessful answer it keeps the status code alone: kube copies the body
/// into its error, whatever its length and whoever wrote it. A watch's error line
/// comes in a successful answer and is the reader's to cut.
pub fn guarded_client(config: kube::Config, guard: &Guard) -> Result<kube::Client, ClientError> {
    build(config, guard, GaiResolver::new())
}

pub(super) fn build<R: Resolver>(
    config: kube::Config,
    guard: &Guard,
    resolver: R,
) -> Result<kube::Client, ClientError> {
    // The reader writes none of these; kube would run commands right here.
    let auth = &config.auth_info;
    if config.cluster_url.scheme() != Some(&Scheme::HTTPS)
        || config.proxy_url.is_some()
        || config.accept_invalid_certs
        || auth.exec.is_some()
        || auth.auth_provider.is_some()
    {
        return Err(ClientError::Unsafe);
    }
    guard.check(&config.cluster_url)?;

    let auth_layer = config
        .auth_layer()
        .map_err(|error| ClientError::Authentication(Box::new(error)))?;
    let tls = config
        .rustls_https_connector_with_connector(guard.connector_with(resolver))
        .map_err(|error| ClientError::Tls(Box::new(error)))?;
    let mut connector = TimeoutConnector::new(tls);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);

    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(auth_layer)
        .map_response(without_remote_text)
        .map_err(BoxError::from)
        .service(
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                // One that died in the pool costs a single request.
                .pool_max_idle_per_host(1)
                .http1_read_buf_exact_size(READ_BUFFER)
                .build(connector),
        );
    Ok(kube::Client::new(service, config.default_namespace))
}

/// Keeps a successful body and replaces any other by a `Status` made of its code.
fn without_remote_text<B>(response: Response<B>) -> Response<Either<B, Full<Bytes>>> {
    let code = match response.status() {
        code if code.is_success() || code == StatusCode::SWITCHING_PROTOCOLS => {
            return response.map(Either::Left);
        }
        code if code.is_client_error() || code.is_server_error() => code,
        // kube takes a redirect for an answer, and its body for an empty list.
        _ => StatusCode::BAD_GATEWAY,
    };
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason_of(code),
        "message": code.canonical_reason().unwrap_or("Unknown"),
        "code": code.as_u16(),
    });
    let mut replaced = Response::new(Either::Right(Full::new(status.to_string().into())));
    *replaced.status_mut() = code;
    if let Some(wait) = response.headers().get(RETRY_AFTER) {
        replaced.headers_mut().insert(RETRY_AFTER, wait.clone());
    }
    replaced
}

/// `StatusReason` of `k8s.io/apimachinery/pkg/apis/meta/v1`, as far as a code tells.
fn reason_of(code: StatusCode) -> &'static str {
    match code {
        StatusCode::BAD_REQUEST => "BadRequest",
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
        StatusCode::NOT_ACCEPTABLE => "NotAcceptable",
        StatusCode::CONFLICT => "Conflict",
        StatusCode::GONE => "Expired",
        StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLarge",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "UnsupportedMediaType",
        StatusCode::UNPROCESSABLE_ENTITY => "Invalid",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::INTERNAL_SERVER_ERROR => "InternalError",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        StatusCode::GATEWAY_TIMEOUT => "Timeout",
        _ => "Unknown",
    }
}

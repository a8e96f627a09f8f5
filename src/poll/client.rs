//! Requests to a registry, through the guard.

use std::time::Duration;

use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use kube::client::Body;

use super::{
    problem::Problem,
    source::{Credentials, Server},
};
use crate::cluster::{
    ClientError, Guard,
    guard::{reason, reason_of_code, retry_after},
    guarded_client,
};

/// The whole of an answer is there within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of the largest page.
pub(super) const LARGEST_PAGE: usize = 8 * 1024 * 1024;

/// Asks one registry. Each request goes to permitted addresses only, over verified TLS; no redirect is followed.
pub(super) struct Client(kube::Client);

/// Why there is no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) problem: Problem,
    /// How long the registry asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// The same request may be answered later.
    pub(super) is_passing: bool,
}

impl Failure {
    fn passing(reason: &'static str, retry_after: Option<Duration>) -> Self {
        Self {
            problem: Problem::Unreachable(reason),
            retry_after,
            is_passing: true,
        }
    }

    pub(super) fn lasting(problem: Problem) -> Self {
        Self {
            problem,
            retry_after: None,
            is_passing: false,
        }
    }

    fn of(code: StatusCode, retry_after: Option<Duration>) -> Self {
        match code {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::lasting(Problem::Unauthorized),
            StatusCode::NOT_FOUND => Self::lasting(Problem::NotFound),
            code if code == StatusCode::TOO_MANY_REQUESTS || code.is_server_error() => {
                Self::passing(reason_of_code(code), retry_after)
            }
            code => Self::lasting(Problem::Unreachable(reason_of_code(code))),
        }
    }
}

impl Client {
    pub(super) fn new(server: Server, guard: &Guard) -> Result<Self, ClientError> {
        let Server {
            url,
            credentials,
            roots,
        } = server;
        let mut config = kube::Config::new(url);
        config.root_cert = roots;
        config.connect_timeout = Some(CONNECT_WITHIN);
        config.read_timeout = None;
        config.write_timeout = Some(CONNECT_WITHIN);
        config.disable_compression = true;
        config.default_retry = false;
        match credentials {
            Credentials::Basic { username, password } => {
                config.auth_info.username = Some(username);
                config.auth_info.password = Some(password);
            }
            Credentials::Bearer(token) => config.auth_info.token = Some(token),
        }
        guarded_client(config, guard).map(Self)
    }

    /// The whole body of a successful answer.
    pub(super) async fn get(&self, target: &str) -> Result<Vec<u8>, Failure> {
        tokio::time::timeout(ANSWER_WITHIN, self.answer(target))
            .await
            .unwrap_or_else(|_| Err(Failure::passing("TimedOut", None)))
    }

    async fn answer(&self, target: &str) -> Result<Vec<u8>, Failure> {
        let request = Request::get(target)
            .header(header::ACCEPT, "application/json")
            .body(Body::empty())
            // Only of a header or path that is none, and both are made here.
            .map_err(|_| Failure::lasting(Problem::NotFound))?;
        let response = self
            .0
            .send(request)
            .await
            .map_err(|error| Failure::passing(reason(&error), None))?;
        let (head, mut body) = response.into_parts();
        if !head.status.is_success() {
            return Err(Failure::of(head.status, retry_after(&head.headers)));
        }
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::passing(reason(&error), None))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > LARGEST_PAGE {
                return Err(Failure::lasting(Problem::Unreadable));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    }
}

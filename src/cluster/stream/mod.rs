//! Reading one kind's objects over HTTP: a request, then bytes as they arrive. Every
//! wait has an end, and nothing is held whole but one page of a paged list.

mod split;

use std::{error::Error as StdError, io, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use kube::client::{Body, Client};
use thiserror::Error;
use tokio::time::timeout;

use self::split::Splitter;
use super::{
    Kind,
    wire::{self, Event, Failure, Format, Malformed},
};

/// What stopped a request or a stream. Never holds text of the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StreamError {
    #[error("failed to connect to the API server")]
    Unreachable,
    #[error("failed to trust the API server's certificate")]
    Untrusted,
    #[error("the API server did not answer in time")]
    NoAnswer,
    #[error("the API server did not accept the credentials")]
    Unauthorized,
    #[error("the credentials do not allow to read this kind")]
    Forbidden,
    #[error("the API server does not serve this kind")]
    NotServed,
    #[error("the API server does not speak the format asked for")]
    NotAcceptable,
    #[error("the API server refused the request as invalid")]
    Rejected,
    #[error("the version asked for is no longer kept")]
    Expired,
    #[error("the API server asks to come back later")]
    Throttled { retry_after: Option<Duration> },
    #[error("the API server failed with code {code}")]
    ServerError {
        code: u16,
        retry_after: Option<Duration>,
    },
    #[error("the API server answered with the unexpected code {code}")]
    Unexpected { code: u16 },
    #[error("the stream broke off")]
    Broken,
    #[error("the stream fell silent")]
    Silent,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("an object is larger than the limit")]
    FrameTooLarge,
    #[error("the list is larger than the limit")]
    ListTooLarge,
    #[error("the list takes longer than the limit")]
    ListTooSlow,
    #[error("the initial list has no end")]
    NoListEnd,
    #[error("the cluster's memory budget is used up")]
    BudgetExceeded,
}

impl StreamError {
    /// A word for conditions, metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::Untrusted => "UntrustedCertificate",
            Self::NoAnswer => "NoAnswer",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotServed => "NotServed",
            Self::NotAcceptable => "NotAcceptable",
            Self::Rejected => "Rejected",
            Self::Expired => "Expired",
            Self::Throttled { .. } => "Throttled",
            Self::ServerError { .. } => "ServerError",
            Self::Unexpected { .. } => "UnexpectedAnswer",
            Self::Broken => "ConnectionBroken",
            Self::Silent => "ConnectionSilent",
            Self::Malformed(Malformed) => "Malformed",
            Self::FrameTooLarge => "ObjectTooLarge",
            Self::ListTooLarge => "ListTooLarge",
            Self::ListTooSlow => "ListTooSlow",
            Self::NoListEnd => "NoListEnd",
            Self::BudgetExceeded => "MemoryBudgetExceeded",
        }
    }

    /// What an HTTP status, or the code of an `ERROR` frame, means here.
    fn from_code(code: u16, retry_after: Option<Duration>) -> Self {
        match code {
            400 | 422 => Self::Rejected,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 | 405 => Self::NotServed,
            406 | 415 => Self::NotAcceptable,
            410 => Self::Expired,
            429 => Self::Throttled { retry_after },
            500..=599 => Self::ServerError { code, retry_after },
            code => Self::Unexpected { code },
        }
    }
}

impl From<Failure> for StreamError {
    fn from(failure: Failure) -> Self {
        Self::from_code(failure.code, failure.retry_after)
    }
}

/// What to read of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask<'a> {
    /// All objects there are, an end mark, then changes (`sendInitialEvents`).
    StreamedList,
    /// All objects there are, a page at a time.
    Page { size: u32, next: Option<&'a str> },
    /// Changes since a version.
    Changes { since: &'a str },
}

/// How long to wait and how much to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until the head of a response.
    pub answer: Duration,
    /// Between two bytes of a stream. The API server sends a bookmark every minute.
    pub silence: Duration,
    /// Of a whole list, or of a page.
    pub list: Duration,
    /// Bytes of one object.
    pub frame_bytes: usize,
    /// Bytes of a page; one that is larger is asked for again in smaller ones.
    pub page_bytes: usize,
    /// Bytes of a list. 20,000 ordinary pods take 210 MB.
    pub list_bytes: u64,
    /// Objects of a page.
    pub page_size: u32,
    /// Estimated heap bytes of one cluster's inventory.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(30),
            silence: Duration::from_secs(90),
            list: Duration::from_mins(15),
            frame_bytes: 8 << 20,
            page_bytes: 32 << 20,
            list_bytes: 16 << 30,
            page_size: 500,
            memory: 256 << 20,
        }
    }
}

/// After this long a server ends a watch by itself, in seconds: never all at once.
const WATCH_SECONDS: std::ops::Range<u64> = 300..600;

/// Path and query of a request.
fn target(kind: Kind, ask: Ask<'_>, random: u64) -> String {
    let path = kind.path();
    let watch = |tail: &str| {
        let seconds = WATCH_SECONDS.start + random % (WATCH_SECONDS.end - WATCH_SECONDS.start);
        format!("{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}{tail}")
    };
    match ask {
        Ask::StreamedList => watch("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
        Ask::Changes { since } => watch(&format!("&resourceVersion={}", escape(since))),
        Ask::Page { size, next: None } => format!("{path}?limit={size}"),
        Ask::Page {
            size,
            next: Some(token),
        } => format!("{path}?limit={size}&continue={}", escape(token)),
    }
}

/// A query value: versions and tokens are the remote's, and opaque.
fn escape(value: &str) -> String {
    use std::fmt::Write as _;
    value.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
        escaped
    })
}

/// Asks for protobuf, and takes JSON from whoever has nothing else.
fn accept(ask: Ask<'_>, format: Format) -> &'static str {
    match (format, ask) {
        (Format::Json, _) => "application/json",
        (Format::Protobuf, Ask::Page { .. }) => "application/vnd.kubernetes.protobuf,application/json;q=0.1",
        (Format::Protobuf, _) => "application/vnd.kubernetes.protobuf;stream=watch,application/json;q=0.1",
    }
}

/// Sends a request and waits for the head of the response.
async fn open(
    client: &Client,
    kind: Kind,
    ask: Ask<'_>,
    format: Format,
    random: u64,
    limits: &Limits,
) -> Result<(Body, Format), StreamError> {
    let request = Request::get(target(kind, ask, random))
        .header(header::ACCEPT, accept(ask, format))
        .body(Body::empty())
        // Only of a header or path that is none, and both are made above.
        .map_err(|_| StreamError::Unexpected { code: 0 })?;
    let response: Response<Body> = timeout(limits.answer, client.send(request))
        .await
        .map_err(|_| StreamError::NoAnswer)?
        .map_err(|error| why(&error))?;
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(StreamError::from_code(
            head.status.as_u16(),
            retry_after(&head.headers),
        ));
    }
    let is_protobuf = head.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .starts_with(b"application/vnd.kubernetes.protobuf")
    });
    let format = if is_protobuf {
        Format::Protobuf
    } else {
        Format::Json
    };
    Ok((body, format))
}

/// Seconds; API servers send no dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// Tells a certificate that is not trusted from all else that keeps from connecting.
fn why(error: &(dyn StdError + 'static)) -> StreamError {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error hides the error it carries from its chain of sources.
        let carried = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .is_some_and(|inner| matches!(inner.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))));
        if carried || matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return StreamError::Untrusted;
        }
        next = error.source();
    }
    StreamError::Unreachable
}

/// A stream of events that was begun.
#[derive(Debug)]
pub(super) struct EventStream {
    kind: Kind,
    format: Format,
    body: Body,
    splitter: Splitter,
}

/// What [`EventStream::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// Bytes, as many as this.
    Bytes(u64),
    /// The server ended the stream in good order.
    End,
}

impl EventStream {
    pub(super) async fn open(
        client: &Client,
        kind: Kind,
        ask: Ask<'_>,
        format: Format,
        random: u64,
        limits: &Limits,
    ) -> Result<Self, StreamError> {
        let (body, format) = open(client, kind, ask, format, random, limits).await?;
        Ok(Self {
            kind,
            format,
            body,
            splitter: Splitter::new(format, limits.frame_bytes),
        })
    }

    /// Waits for the next bytes and hands over each event they complete. Nothing is
    /// lost if it is dropped while it waits.
    pub(super) async fn next<E: From<StreamError>>(
        &mut self,
        mut each: impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<Arrived, E> {
        let Some(chunk) = next_chunk(&mut self.body).await? else {
            return if self.splitter.is_at_boundary() {
                Ok(Arrived::End)
            } else {
                Err(StreamError::Broken.into())
            };
        };
        let (kind, format) = (self.kind, self.format);
        self.splitter.feed(&chunk, |frame| {
            each(wire::event(format, kind, frame).map_err(StreamError::from)?)
        })?;
        Ok(Arrived::Bytes(chunk.len() as u64))
    }
}

async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, StreamError> {
    while let Some(frame) = body.frame().await {
        // Anything but data is a trailer.
        if let Ok(data) = frame.map_err(|_| StreamError::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// One page of a list, whole.
pub(super) struct Page {
    pub(super) format: Format,
    pub(super) body: Vec<u8>,
}

impl Page {
    pub(super) async fn read(
        client: &Client,
        kind: Kind,
        ask: Ask<'_>,
        format: Format,
        limits: &Limits,
    ) -> Result<Self, StreamError> {
        let (mut body, format) = open(client, kind, ask, format, 0, limits).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = timeout(limits.silence, next_chunk(&mut body))
            .await
            .map_err(|_| StreamError::Silent)??
        {
            if bytes.len() + chunk.len() > limits.page_bytes {
                return Err(StreamError::FrameTooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Self { format, body: bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_it_wants() {
        let table = [
            (
                Ask::StreamedList,
                "/api/v1/pods?watch=1&allowWatchBookmarks=true&timeoutSeconds=300\
                 &sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
            ),
            (
                Ask::Changes { since: "12&a" },
                "/api/v1/pods?watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=12%26a",
            ),
            (
                Ask::Page {
                    size: 500,
                    next: None,
                },
                "/api/v1/pods?limit=500",
            ),
            (
                Ask::Page {
                    size: 5,
                    next: Some("a=/+"),
                },
                "/api/v1/pods?limit=5&continue=a%3D%2F%2B",
            ),
        ];
        for (ask, expected) in table {
            assert_eq!(target(Kind::Pod, ask, 0), expected);
        }
    }

    #[test]
    fn codes_say_what_to_do() {
        let later = Some(Duration::from_secs(7));
        assert_eq!(StreamError::from_code(410, None), StreamError::Expired);
        assert_eq!(
            StreamError::from_code(429, later),
            StreamError::Throttled { retry_after: later }
        );
        assert_eq!(StreamError::from_code(503, later).reason(), "ServerError");
        assert_eq!(StreamError::from_code(302, None).reason(), "UnexpectedAnswer");
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_apart() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert_eq!(why(&io::Error::other(tls)), StreamError::Untrusted);
        assert_eq!(why(&io::Error::other("refused")), StreamError::Unreachable);
    }
}

use http::{Request, Response, StatusCode, header};
use kube::client::{Body, Client};
use std::ops::Range;
use tokio::time::timeout;

use super::{Limits, StreamError};
use crate::cluster::{Kind, guard, wire::Format};

/// What to read of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cluster) enum Ask<'a> {
    /// All objects there are, an end mark, then changes (`sendInitialEvents`).
    StreamedList,
    /// All objects there are, a page at a time.
    Page { size: u32, next: Option<&'a str> },
    /// Changes since a version.
    Changes { since: &'a str },
}

/// After this long a server ends a watch by itself, in seconds: never all at once.
const WATCH_SECONDS: Range<u64> = 300..600;

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
pub(super) async fn open(
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
        .map_err(|error| StreamError::Unreachable {
            reason: guard::reason(&error),
        })?;
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(StreamError::from_code(
            head.status.as_u16(),
            guard::retry_after(&head.headers),
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
}

use anyhow::{Result, bail};
use http::{Request, header};
use http_body_util::BodyExt as _;
use image_usage_operator::cluster::{Kind, wire::Format};
use kube::{Client, client::Body};

use super::{Clock, Measured};

/// Reads the initial list of every kind at once; looks at nothing but where each object begins.
pub(super) async fn read(client: &Client, format: Format) -> Result<Measured> {
    let clock = Clock::start(client).await?;
    let reads = Kind::ALL.map(|kind| tokio::spawn(discard(client.clone(), kind, format)));
    let mut pods = 0;
    for (kind, read) in Kind::ALL.into_iter().zip(reads) {
        let objects = read.await??;
        if kind == Kind::Pod {
            pods = objects;
        }
    }
    clock.stop(pods, 0)
}

/// The objects before the bookmark that ends the initial list.
async fn discard(client: Client, kind: Kind, format: Format) -> Result<u64> {
    let (mut frames, mut lines) = (Frames::default(), Lines::default());
    let mut body = initial_list(&client, kind, format).await?;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        match format {
            Format::Protobuf if frames.is_end(&data) => return Ok(frames.objects),
            Format::Json if lines.is_end(&data) => return Ok(lines.objects),
            Format::Protobuf | Format::Json => {}
        }
    }
    bail!("the stream ended before the list")
}

pub(super) async fn initial_list(client: &Client, kind: Kind, format: Format) -> Result<Body> {
    let target = format!(
        "{}?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
        kind.path()
    );
    let accept = match format {
        Format::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        Format::Json => "application/json",
    };
    let request = Request::get(target)
        .header(header::ACCEPT, accept)
        .body(Body::empty())?;
    Ok(client.send(request).await?.into_body())
}

/// The head of a frame: its length, and the event's type, field 1.
const HEAD: usize = 4 + 2 + 8;
const BOOKMARK: &[u8] = b"\x0a\x08BOOKMARK";

/// Goes from protobuf frame to frame without holding any.
#[derive(Default)]
pub(super) struct Frames {
    head: Vec<u8>,
    skip: usize,
    objects: u64,
}

impl Frames {
    /// Whether these bytes hold the head of a bookmark.
    pub(super) fn is_end(&mut self, mut rest: &[u8]) -> bool {
        while !rest.is_empty() {
            let skipped = self.skip.min(rest.len());
            rest = &rest[skipped..];
            self.skip -= skipped;
            let taken = rest.len().min(HEAD - self.head.len());
            self.head.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            if self.head.len() == HEAD {
                if &self.head[4..] == BOOKMARK {
                    return true;
                }
                let length = [self.head[0], self.head[1], self.head[2], self.head[3]];
                self.skip = u32::from_be_bytes(length) as usize + 4 - HEAD;
                self.objects += 1;
                self.head.clear();
            }
        }
        false
    }
}

const JSON_BOOKMARK: &[u8] = br#"{"type":"BOOKMARK""#;

/// Goes from JSON line to line without holding any.
#[derive(Default)]
struct Lines {
    head: Vec<u8>,
    objects: u64,
}

impl Lines {
    /// Whether these bytes hold the head of a bookmark.
    fn is_end(&mut self, mut rest: &[u8]) -> bool {
        while !rest.is_empty() {
            let taken = rest.len().min(JSON_BOOKMARK.len() - self.head.len());
            self.head.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            if self.head == JSON_BOOKMARK {
                return true;
            }
            let Some(end) = memchr::memchr(b'\n', rest) else {
                return false;
            };
            rest = &rest[end + 1..];
            self.objects += 1;
            self.head.clear();
        }
        false
    }
}

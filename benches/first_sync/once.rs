//! One measurement in a fresh process.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, header};
use http_body_util::BodyExt as _;
use image_usage_operator::{
    cluster::{ClusterState, Kind, Limits, SharedInventory, Target, TouchSink, watch},
    image::RepositoryName,
};
use jiff::Timestamp;
use kube::{Client, client::Body};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{Result, process};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) wall: Duration,
    pub(crate) processor: Duration,
    /// Growth of resident memory, from before the first stream until after the last object.
    pub(crate) grown: u64,
    pub(crate) resident: u64,
    pub(crate) peak: u64,
    pub(crate) pods: u64,
    /// The inventory's own estimate, in bytes; 0 where there is none.
    pub(crate) estimate: u64,
}

struct Clock {
    begun: Instant,
    processor: Duration,
    resident: u64,
}

impl Clock {
    /// After one request, so that connecting and the first TLS session are not measured.
    async fn start(client: &Client) -> Result<Self> {
        client.apiserver_version().await?;
        Ok(Self {
            processor: process::processor_time()?,
            resident: process::resident()?,
            begun: Instant::now(),
        })
    }

    fn stop(self, pods: u64, estimate: u64) -> Result<Measured> {
        let wall = self.begun.elapsed();
        Ok(Measured {
            wall,
            processor: process::processor_time()?.saturating_sub(self.processor),
            grown: process::resident()?.saturating_sub(self.resident),
            resident: process::resident()?,
            peak: process::resident_peak()?,
            pods,
            estimate,
        })
    }
}

/// Reads the initial list of every kind at once; looks at nothing but the frames' heads.
pub(crate) async fn raw(client: &Client) -> Result<Measured> {
    let clock = Clock::start(client).await?;
    let reads = Kind::ALL.map(|kind| tokio::spawn(discard(client.clone(), kind)));
    let mut pods = 0;
    for (kind, read) in Kind::ALL.into_iter().zip(reads) {
        let frames = read.await??;
        if kind == Kind::Pod {
            pods = frames;
        }
    }
    clock.stop(pods, 0)
}

/// The objects before the bookmark that ends the initial list.
async fn discard(client: Client, kind: Kind) -> Result<u64> {
    let mut walker = Walker::default();
    let mut body = initial_list(&client, kind).await?;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data()
            && walker.is_end(&data)
        {
            return Ok(walker.frames);
        }
    }
    Err("the stream ended before the list".into())
}

pub(crate) async fn initial_list(client: &Client, kind: Kind) -> Result<Body> {
    let target = format!(
        "{}?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
        kind.path()
    );
    let request = Request::get(target)
        .header(header::ACCEPT, "application/vnd.kubernetes.protobuf;stream=watch")
        .body(Body::empty())?;
    Ok(client.send(request).await?.into_body())
}

/// The head of a frame: its length, and the event's type, field 1.
const HEAD: usize = 4 + 2 + 8;
const BOOKMARK: &[u8] = b"\x0a\x08BOOKMARK";

/// Goes from frame to frame without holding any.
#[derive(Default)]
pub(crate) struct Walker {
    head: Vec<u8>,
    skip: usize,
    frames: u64,
}

impl Walker {
    /// Whether these bytes hold the head of a bookmark.
    pub(crate) fn is_end(&mut self, mut rest: &[u8]) -> bool {
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
                self.frames += 1;
                self.head.clear();
            }
        }
        false
    }
}

#[derive(Debug)]
struct NobodyToTell;

impl TouchSink for NobodyToTell {
    fn listed(&self) {}

    fn repositories(&self, _names: &[Arc<RepositoryName>]) {}
    fn everything(&self) {}
}

/// The product's own first sync: until every kind is complete.
pub(crate) async fn sync(client: &Client) -> Result<Measured> {
    let clock = Clock::start(client).await?;
    let inventory = SharedInventory::default();
    let (states, mut receiver) = tokio::sync::watch::channel(ClusterState::new(Timestamp::now()));
    let target = Target {
        inventory: inventory.clone(),
        sink: Arc::new(NobodyToTell),
        states,
    };
    let (_clients, newest) = tokio::sync::watch::channel(client.clone());
    let cancel = CancellationToken::new();
    let running = tokio::spawn(watch::run(newest, Limits::default(), target, cancel.clone()));
    receiver.wait_for(ClusterState::is_synced).await?;
    let (pods, estimate) = {
        let inventory = inventory.read();
        (inventory.usage().pods, inventory.memory())
    };
    let measured = clock.stop(u64::try_from(pods)?, estimate as u64)?;
    cancel.cancel();
    running.await??;
    Ok(measured)
}

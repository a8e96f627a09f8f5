//! Reading one kind's objects over HTTP: a request, then bytes as they arrive. Every
//! wait has an end, and nothing is held whole but one page of a paged list.

mod error;
mod request;
mod split;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use kube::client::{Body, Client};
use tokio::time::timeout;

use self::{request::open, split::Splitter};
use super::{
    Kind,
    wire::{self, Event, Format},
};

pub use error::StreamError;
pub(super) use request::Ask;

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

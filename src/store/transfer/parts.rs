//! Records on their way from a store that reads itself to whoever takes them.

use std::fmt;

use tokio::sync::mpsc;

use super::Record;
use crate::store::StoreError;

/// Records of one part.
const PART: usize = 1_000;
/// Parts made ahead of whoever takes them.
const AHEAD: usize = 2;

type Part = Result<Vec<Record>, StoreError>;

/// Both ends; `told` puts into words what fails.
pub(in crate::store) fn parts<E>(told: fn(E) -> StoreError) -> (Parts<E>, Reading) {
    let (send, parts) = mpsc::channel(AHEAD);
    let reading = Reading {
        parts,
        is_whole: false,
    };
    let parts = Parts {
        send,
        part: Vec::new(),
        told,
    };
    (parts, reading)
}

/// Why no more is read.
pub(in crate::store) enum Stop<E> {
    Failed(E),
    /// Nobody takes the records any more.
    Nobody,
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Self {
        Self::Failed(error)
    }
}

/// The end that gives.
pub(in crate::store) struct Parts<E> {
    send: mpsc::Sender<Part>,
    part: Vec<Record>,
    told: fn(E) -> StoreError,
}

impl<E> Parts<E> {
    pub(in crate::store) async fn push(&mut self, record: Record) -> Result<(), Stop<E>> {
        self.part.push(record);
        if self.part.len() < PART {
            return Ok(());
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Stop<E>> {
        let part = std::mem::take(&mut self.part);
        self.send.send(Ok(part)).await.map_err(|_| Stop::Nobody)
    }

    /// Hands over what is left, or why there is no more.
    pub(in crate::store) async fn end(mut self, read: Result<(), Stop<E>>) {
        let ended = match read {
            Ok(()) => self.flush().await,
            Err(Stop::Failed(error)) => {
                let error = (self.told)(error);
                self.send.send(Err(error)).await.map_err(|_| Stop::Nobody)
            }
            Err(Stop::Nobody) => Ok(()),
        };
        // Who takes nothing any more asks for no reason either.
        drop(ended);
    }
}

/// The end that takes.
pub(in crate::store) struct Reading {
    parts: mpsc::Receiver<Part>,
    is_whole: bool,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

impl Reading {
    /// The next part; nothing after the last record.
    pub(in crate::store) async fn next(&mut self) -> Part {
        match self.parts.recv().await {
            Some(part) => {
                let part = part?;
                self.is_whole |= matches!(part.last(), Some(Record::End));
                Ok(part)
            }
            None if self.is_whole => Ok(Vec::new()),
            None => Err(StoreError::Read("the reading ended before its end".to_owned())),
        }
    }
}

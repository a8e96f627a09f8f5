//! How much of the volume is free.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::store::KeepFree;

/// The volume is asked once in so long …
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// … or once in so many bytes of deliveries: a fast writer fills a small volume in less.
const LOOK_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Space {
    folder: PathBuf,
    keep: KeepFree,
    seen: Mutex<Seen>,
}

/// What the volume said last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    at: Instant,
    /// Bytes of deliveries since then.
    taken: usize,
    pub(super) free: Option<u64>,
    pub(super) keep_free: u64,
    pub(super) low: bool,
}

impl Space {
    pub(super) fn new(folder: PathBuf, keep: KeepFree) -> Self {
        let unknown = Seen {
            at: Instant::now(),
            taken: 0,
            free: None,
            keep_free: keep.of(u64::MAX),
            low: false,
        };
        let space = Self {
            folder,
            keep,
            seen: Mutex::new(unknown),
        };
        let seen = space.ask(unknown);
        *space.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        space
    }

    /// How it is before a delivery of so many bytes is written.
    pub(super) fn look(&self, bytes: usize) -> Seen {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.taken = seen.taken.saturating_add(bytes);
        if seen.at.elapsed() >= LOOK_EVERY || seen.taken >= LOOK_BYTES {
            *seen = self.ask(*seen);
        }
        *seen
    }

    /// A write was refused for lack of room, whatever the volume says: until it is asked
    /// again, nothing is tried.
    pub(super) fn is_full(&self) -> Seen {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.at = Instant::now();
        seen.taken = 0;
        seen.low = true;
        *seen
    }

    fn ask(&self, before: Seen) -> Seen {
        let at = Instant::now();
        // A volume that does not say is taken to have room: a write then tells.
        let Ok(volume) = rustix::fs::statvfs(&self.folder) else {
            return Seen {
                at,
                taken: 0,
                free: None,
                low: false,
                ..before
            };
        };
        let block = volume.f_frsize;
        let free = volume.f_bavail.saturating_mul(block);
        let keep_free = self.keep.of(volume.f_blocks.saturating_mul(block));
        // An eighth more ends it than began it, so that it does not come and go.
        let enough = if before.low {
            keep_free.saturating_add(keep_free / 8)
        } else {
            keep_free
        };
        Seen {
            at,
            taken: 0,
            free: Some(free),
            keep_free,
            low: free < enough,
        }
    }
}

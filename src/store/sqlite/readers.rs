//! The connections that read, beside the writer.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::schema;
use crate::store::StoreError;

/// How many questions are answered at a time; the others wait.
const READERS: usize = 3;

/// A few connections, opened when first needed. Each answers from one snapshot.
#[derive(Debug, Clone)]
pub(super) struct Readers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    closed: AtomicBool,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(Arc::new(Shared {
            path,
            turns: Arc::new(Semaphore::new(READERS)),
            idle: Mutex::default(),
            closed: AtomicBool::new(false),
        }))
    }

    /// Answers from one snapshot, on a thread that may block. A reader that fails or
    /// panics is not used again.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.0.turns)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let shared = Arc::clone(&self.0);
        let answer = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let connection = match shared.take() {
                Some(connection) => connection,
                None => schema::open_reader(&shared.path)?,
            };
            let snapshot = connection.unchecked_transaction()?;
            let answer = question(&snapshot)?;
            snapshot.finish()?;
            shared.give_back(connection);
            Ok::<T, rusqlite::Error>(answer)
        });
        match answer.await {
            Ok(answer) => answer.map_err(|error| StoreError::Read(error.to_string())),
            Err(panicked) => Err(StoreError::Read(panicked.to_string())),
        }
    }

    /// Answers no more, and waits for the answers under way.
    pub(super) async fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        // All turns at once: nobody is reading. Whoever waits behind is told that it is closed.
        let all = u32::try_from(READERS).unwrap_or(u32::MAX);
        let _all = self.0.turns.acquire_many(all).await;
        self.0.turns.close();
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Shared {
    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, connection: Connection) {
        if !self.closed.load(Ordering::Acquire) {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
    }
}

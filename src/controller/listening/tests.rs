use std::sync::Mutex;

use futures::{FutureExt, future::BoxFuture};

use super::*;
use crate::{controller::registries::fixture::registry, dialect::Format, store::StoreError};

/// Takes the first `failing` notes not at all.
#[derive(Default)]
struct Stub {
    failing: usize,
    /// Seconds after the start, and whether it goes on.
    said: Mutex<Vec<(u64, bool)>>,
    begun: Option<tokio::time::Instant>,
}

impl Listening for Stub {
    fn listened(&self, listened: Listened) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut said = self.said.lock().unwrap();
        said.push((self.begun.unwrap().elapsed().as_secs(), listened.goes_on));
        let failed = said.len() <= self.failing;
        async move { if failed { Err(StoreError::Busy) } else { Ok(()) } }.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_said_at_once_every_minute_and_when_it_stops() {
    let store = Stub {
        failing: 2,
        begun: Some(tokio::time::Instant::now()),
        ..Stub::default()
    };
    let cancel = CancellationToken::new();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(100)).await;
        cancel.cancel();
    };
    tokio::join!(keep_saying(&store, Arc::new(|_, _, _| true), &cancel), stop);
    assert_eq!(
        *store.said.lock().unwrap(),
        [(0, true), (5, true), (10, true), (70, true), (100, false)]
    );
}

#[test]
fn what_no_sender_is_known_to_send_again_is_lost() {
    let registries = Registries::default();
    let known = registry(&[
        ("distribution", Format::Distribution),
        ("harbor", Format::Harbor),
        ("hub", Format::DockerHub),
    ]);
    let key = known.store_key();
    registries.insert(known);
    let lost = |source, seconds| loses(&registries, &key, source, SignedDuration::from_secs(seconds));
    assert_eq!(
        ["distribution", "harbor", "hub", "gone"].map(|source| lost(source, 20)),
        [false, false, true, true]
    );
    assert!(lost("harbor", 48) && !lost("distribution", 1_000_000));
    let of_that_name = RegistryKey {
        uid: "another".to_owned(),
        ..key.clone()
    };
    assert!(loses(
        &registries,
        &of_that_name,
        "distribution",
        SignedDuration::from_secs(1)
    ));
}

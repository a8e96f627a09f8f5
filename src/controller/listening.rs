//! Says every minute that deliveries can come, so that the time in which they could not is told.

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    dialect::Format,
    store::{LISTENED_EVERY, Listened, Listening, Loses, RegistryKey, Store},
};

use super::{registries::Registries, touch::ObjectKey, world::World};

/// How soon it is said again where the store does not take it.
const RETRY: Duration = Duration::from_secs(5);

/// Runs until cancelled, from when the operator is ready: before, no Service sends anything here.
pub async fn run(world: Arc<World>, store: Arc<dyn Store>) {
    let ready = world.cancel.run_until_cancelled(world.readiness.whole()).await;
    if ready.is_some() {
        keep_saying(store.as_ref(), losses(world.registries.clone()), &world.cancel).await;
    }
}

/// Until cancelled, with the webhook server that listens from now on.
pub(super) async fn keep_saying<L: Listening + ?Sized>(store: &L, loses: Loses, cancel: &CancellationToken) {
    let since = Timestamp::now();
    loop {
        let goes_on = !cancel.is_cancelled();
        let listened = Listened {
            since,
            until: Timestamp::now(),
            goes_on,
            loses: loses.clone(),
        };
        let said = store.listened(listened).await;
        if let Err(error) = &said {
            warn!(%error, "failed to note that the webhook server listens");
        }
        if !goes_on {
            return;
        }
        let pause = if said.is_ok() { LISTENED_EVERY } else { RETRY };
        // Then once more, so that a stop in between is told exactly.
        let _: Option<()> = cancel.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}

pub(super) fn losses(registries: Arc<Registries>) -> Loses {
    Arc::new(move |registry, source, pause| loses(&registries, registry, source, pause))
}

/// What is not known to be sent again is lost. A log that is polled waits.
fn loses(registries: &Registries, registry: &RegistryKey, source: &str, pause: SignedDuration) -> bool {
    let key = ObjectKey {
        namespace: registry.namespace.clone(),
        name: registry.name.clone(),
    };
    let known = registries.get(&key).filter(|known| known.uid == registry.uid);
    let Some(known) = known else { return true };
    let is_sent_again = |format: &Format| pause <= format.sends_again_for();
    !known.polled.contains(source) && !known.formats.get(source).is_some_and(is_sent_again)
}

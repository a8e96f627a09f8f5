//! Removes events past their registry's retention, and what is left of registries that are gone.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt, api::ListParams, core::DeserializeGuard};
use tracing::{info, warn};

use crate::{
    crd::{ImageRegistry, parse_duration},
    store::{Kept, RegistryKey, Store, StoreError},
};

use super::World;

const EVERY: Duration = Duration::from_mins(10);

/// Of a registry that went before anything told how long its events are kept: what an `ImageRegistry` that
/// says nothing asks for.
const RETENTION_UNKNOWN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is done about one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Release(RegistryKey),
    Purge(RegistryKey, Timestamp),
    Remove(RegistryKey),
}

/// Runs until cancelled.
pub async fn run(world: Arc<World>, store: Arc<dyn Store>) {
    let mut ticks = tokio::time::interval(EVERY);
    while world.cancel.run_until_cancelled(ticks.tick()).await.is_some() {
        let round = keep_in_order(&world, store.as_ref());
        world.cancel.run_until_cancelled(round).await;
    }
}

async fn keep_in_order(world: &World, store: &dyn Store) {
    // The store is asked first: a registry that is made meanwhile is not taken for one that is gone.
    let kept = match store.kept().await {
        Ok(kept) => kept,
        Err(error) => {
            warn!(%error, "failed to read which registries have events");
            return;
        }
    };
    let there = existing(world).await;
    let accepted = world.registries.all();
    let accepted = accepted
        .iter()
        .map(|registry| (registry.uid.clone(), registry.retention))
        .collect();
    for step in steps(&kept, there.as_ref(), &accepted, Timestamp::now()) {
        let (registry, done) = match step {
            Step::Release(registry) => {
                info!(registry = %name(&registry), "the ImageRegistry is gone: its events stay until their retention is over");
                (registry.clone(), store.release(registry, Timestamp::now()).await)
            }
            Step::Purge(registry, before) => (registry.clone(), purge(store, registry, before).await),
            Step::Remove(registry) => {
                info!(registry = %name(&registry), "removing what is left of a registry that is gone");
                (registry.clone(), store.remove(registry).await)
            }
        };
        if let Err(error) = done {
            warn!(registry = %name(&registry), %error, "failed to remove old events");
        }
    }
}

async fn purge(store: &dyn Store, registry: RegistryKey, before: Timestamp) -> Result<(), StoreError> {
    let purged = store.purge(registry.clone(), before).await?;
    if purged.raw > 0 {
        info!(registry = %name(&registry), events = purged.raw, "removed old events");
    }
    Ok(())
}

/// How long events are kept, by the uid of an `ImageRegistry`.
type Retentions = HashMap<String, SignedDuration>;

/// All `ImageRegistries` by uid, accepted or not, and how long each asks its events to be kept if that can be
/// read; `None` where the API server does not say.
async fn existing(world: &World) -> Option<HashMap<String, Option<SignedDuration>>> {
    let api: Api<DeserializeGuard<ImageRegistry>> = Api::all(world.client.clone());
    match api.list(&ListParams::default()).await {
        Ok(list) => Some(
            list.items
                .iter()
                .filter_map(|object| {
                    let spec = object.0.as_ref().ok().map(|object| &object.spec);
                    let retention = spec.and_then(|spec| parse_duration(&spec.retention));
                    Some((object.uid()?, retention))
                })
                .collect(),
        ),
        Err(error) => {
            warn!(%error, "failed to list ImageRegistries: none is taken for gone");
            None
        }
    }
}

/// What is done now. What an object asks for counts, as it is now: what the store was told may be older than a
/// change that was made while the operator was away, and is used only where there is no object any more.
fn steps(
    kept: &[Kept],
    there: Option<&HashMap<String, Option<SignedDuration>>>,
    accepted: &Retentions,
    now: Timestamp,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for Kept {
        registry,
        retention: told,
        released,
    } in kept
    {
        let retention = match (there, released) {
            (Some(there), _) if there.contains_key(&registry.uid) => there[&registry.uid],
            (Some(_), None) => {
                steps.push(Step::Release(registry.clone()));
                *told
            }
            (_, Some(released)) => {
                let end = released.checked_add(told.unwrap_or(RETENTION_UNKNOWN));
                if end.is_ok_and(|end| end <= now) {
                    steps.push(Step::Remove(registry.clone()));
                    continue;
                }
                *told
            }
            (None, None) => accepted.get(&registry.uid).copied(),
        };
        if let Some(before) = retention.and_then(|retention| now.checked_sub(retention).ok()) {
            steps.push(Step::Purge(registry.clone(), before));
        }
    }
    steps
}

fn name(registry: &RegistryKey) -> String {
    format!("{}/{}", registry.namespace, registry.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(uid: &str) -> RegistryKey {
        RegistryKey {
            namespace: "team".into(),
            name: "registry".into(),
            uid: uid.into(),
        }
    }

    fn kept(uid: &str, days: Option<i64>, released: Option<&str>) -> Kept {
        Kept {
            registry: registry(uid),
            retention: days.map(|days| SignedDuration::from_hours(24 * days)),
            released: released.map(time),
        }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// What is done about one registry, while these objects (uid and days) are there.
    fn decided(kept: Kept, there: Option<&[(&str, Option<i64>)]>) -> Vec<Step> {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        let there = there.map(|objects| {
            objects
                .iter()
                .map(|(uid, retention)| ((*uid).to_owned(), retention.map(days)))
                .collect()
        });
        let accepted = Retentions::from([("accepted".to_owned(), days(60))]);
        steps(&[kept], there.as_ref(), &accepted, time("2026-06-30T00:00:00Z"))
    }

    fn purge_before(uid: &str, text: &str) -> Step {
        Step::Purge(registry(uid), time(text))
    }

    #[test]
    fn events_go_when_the_retention_that_their_registry_asks_for_now_is_over() {
        assert_eq!(
            decided(kept("a", Some(30), None), Some(&[("a", Some(30))])),
            [purge_before("a", "2026-05-31T00:00:00Z")]
        );
        assert_eq!(
            decided(kept("a", Some(30), None), Some(&[("a", Some(3650))])),
            [purge_before("a", "2016-07-02T00:00:00Z")],
            "raised while the operator was away"
        );
        assert_eq!(
            decided(kept("a", Some(30), None), Some(&[("a", None)])),
            [],
            "it cannot be read: nothing goes"
        );
    }

    #[test]
    fn a_registry_that_is_gone_is_released_and_one_of_the_same_name_is_another() {
        assert_eq!(
            decided(kept("a", Some(30), None), Some(&[("b", Some(1))])),
            [
                Step::Release(registry("a")),
                purge_before("a", "2026-05-31T00:00:00Z")
            ]
        );
        assert_eq!(
            decided(kept("a", None, None), Some(&[])),
            [Step::Release(registry("a"))]
        );
    }

    #[test]
    fn while_the_api_server_does_not_say_only_what_is_known_since_the_start_goes() {
        assert_eq!(decided(kept("a", Some(30), None), None), []);
        assert_eq!(
            decided(kept("accepted", Some(30), None), None),
            [purge_before("accepted", "2026-05-01T00:00:00Z")]
        );
    }

    #[test]
    fn what_is_left_of_a_registry_goes_once_its_retention_has_passed_since_it_went() {
        let gone = |released| decided(kept("a", Some(30), Some(released)), Some(&[]));
        assert_eq!(
            gone("2026-05-31T00:00:01Z"),
            [purge_before("a", "2026-05-31T00:00:00Z")]
        );
        assert_eq!(gone("2026-05-31T00:00:00Z"), [Step::Remove(registry("a"))]);
        assert_eq!(
            decided(
                kept("a", Some(30), Some("2026-05-01T00:00:00Z")),
                Some(&[("a", Some(30))])
            ),
            [purge_before("a", "2026-05-31T00:00:00Z")],
            "found again, as after its cluster was restored"
        );
        // Nobody told how long: as long as one that says nothing.
        assert_eq!(decided(kept("a", None, Some("2026-06-01T00:00:00Z")), None), []);
        assert_eq!(
            decided(kept("a", None, Some("2026-05-01T00:00:00Z")), None),
            [Step::Remove(registry("a"))]
        );
    }
}

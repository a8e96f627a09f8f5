//! What changed, told to the one who opened the store: by this operator at once, by others
//! when a notification hints at it, or at the latest at the next look into a table.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    failure::Failure,
    session::{Database, READ_WITHIN, Session, within},
    values::get,
};
use crate::store::RegistryKey;

/// Called with what changed, after it can be read.
pub(super) type OnChange = Arc<dyn Fn(&RegistryKey, &[String]) + Send + Sync>;

/// The channel of notifications. Their payload is the operator that wrote.
pub(super) const CHANNEL: &str = "image_usage_changes";

/// How long after a change another operator knows of it where notifications do not arrive.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// A change may become visible this much after the time it bears: no transaction that writes
/// one takes longer.
const OVERLAP: Duration = Duration::from_secs(90);

/// Writes that a repository changed (0: what is known of sources), in the caller's transaction.
pub(super) async fn tell(
    session: &Session,
    operator: i64,
    registry: i64,
    repository: i64,
) -> Result<(), Failure> {
    session
        .execute(
            TELL,
            &[&registry, &repository, &operator, &CHANNEL, &operator.to_string()],
        )
        .await?;
    Ok(())
}

pub(super) const TELL: &str = "WITH told AS (
         INSERT INTO changes (registry, repository, operator, changed)
         VALUES ($1, $2, $3, clock_timestamp())
         ON CONFLICT (registry, repository, operator) DO UPDATE SET changed = excluded.changed
     )
     SELECT pg_notify($4, $5)";

/// Follows what other operators change until it is cancelled.
pub(super) async fn follow(
    database: Arc<Database>,
    operator: i64,
    hints: Arc<Notify>,
    on_change: OnChange,
    cancel: CancellationToken,
) {
    let following = async {
        let mut seen = HashMap::new();
        let mut last = Instant::now();
        loop {
            // Hinted at, or in time.
            let _ = tokio::time::timeout(LOOK_EVERY, hints.notified()).await;
            let began = Instant::now();
            let since = last.elapsed() + OVERLAP;
            let look = look(&database, operator, since, &mut seen, &on_change);
            match within(READ_WITHIN, look).await {
                Ok(()) => last = began,
                Err(error) => debug!(%error, "failed to look for changes of other operators"),
            }
        }
    };
    let _: Option<()> = cancel.run_until_cancelled(following).await;
}

/// A change: registry, repository, operator.
type Change = (i64, i64, i64);

async fn look(
    database: &Database,
    operator: i64,
    since: Duration,
    seen: &mut HashMap<Change, i64>,
    on_change: &OnChange,
) -> Result<(), Failure> {
    let session = database.session().await?;
    let rows = session.query(LOOK, &[&operator, &since.as_secs_f64()]).await?;
    session.done();
    let mut still = HashMap::with_capacity(rows.len());
    for row in &rows {
        let change = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
        let changed: i64 = get(row, 3)?;
        still.insert(change, changed);
        if seen.get(&change).is_some_and(|told| *told >= changed) {
            continue;
        }
        let registry = RegistryKey {
            namespace: get(row, 4)?,
            name: get(row, 5)?,
            uid: get(row, 6)?,
        };
        let path: Option<String> = get(row, 7)?;
        on_change(&registry, path.as_slice());
    }
    *seen = still;
    Ok(())
}

const LOOK: &str = "SELECT c.registry, c.repository, c.operator,
         (extract(epoch FROM c.changed) * 1000000)::bigint, g.namespace, g.name, g.uid, r.path
     FROM changes c
     JOIN registries g ON g.id = c.registry
     LEFT JOIN repositories r ON r.id = c.repository
     WHERE c.changed > clock_timestamp() - make_interval(secs => $2) AND c.operator <> $1";

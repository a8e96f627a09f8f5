//! What has to be done now and then, whoever asks for what.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    failure::Failure,
    partitions::Partitions,
    session::{Database, within},
};

const EVERY: Duration = Duration::from_mins(30);
const WITHIN: Duration = Duration::from_mins(1);

/// Makes the partitions of the coming days, and forgets changes that everybody has seen.
pub(super) async fn run(database: Arc<Database>, partitions: Arc<Partitions>, cancel: CancellationToken) {
    let keeping = async {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            if let Err(error) = within(WITHIN, keep(&database, &partitions)).await {
                warn!(%error, "failed to keep the database in order: trying again later");
            }
        }
    };
    let _: Option<()> = cancel.run_until_cancelled(keeping).await;
}

async fn keep(database: &Database, partitions: &Partitions) -> Result<(), Failure> {
    let session = database.session().await?;
    partitions.make_ahead(&session).await?;
    session
        .execute(
            "DELETE FROM changes WHERE changed < clock_timestamp() - interval '1 hour'",
            &[],
        )
        .await?;
    session.done();
    Ok(())
}

//! Bodies that could not be read: a ring, so that a source that sends nothing else
//! cannot fill the disk.

use super::{failure::Failure, session::Session};
use crate::store::Quarantined;

/// Keeps a body; the oldest of any source leave where there is no room.
pub(super) async fn keep(
    session: &Session,
    source: i64,
    received: i64,
    quarantined: &Quarantined,
) -> Result<(), Failure> {
    session
        .execute(
            "INSERT INTO quarantine (source, received, reason, body) VALUES ($1, $2, $3, $4)",
            &[&source, &received, &quarantined.reason, &quarantined.body],
        )
        .await?;
    session.execute(LEAVE, &[]).await?;
    Ok(())
}

/// At most 1,000 entries and 16 MiB stay.
const LEAVE: &str = "DELETE FROM quarantine WHERE id IN (
         SELECT id FROM (
             SELECT id, row_number() OVER newest AS place, sum(octet_length(body)) OVER newest AS bytes
             FROM quarantine WINDOW newest AS (ORDER BY id DESC)
         ) ring
         WHERE place > 1000 OR bytes > 16 * 1024 * 1024)";

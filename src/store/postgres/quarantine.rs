//! Bodies that could not be read: a ring, so that a source that sends nothing else
//! cannot fill the disk.

use tokio_postgres::Row;

use super::{
    failure::Failure,
    gaps,
    session::Session,
    values::{get, time},
};
use crate::store::{BodyAside, CONFIRMATION_ASKED, Quarantined, QuarantinedBody, RegistryKey};

/// Keeps a body; the oldest of any source leave where there is no room. What they may have said is lost for good.
pub(super) async fn keep(
    session: &Session,
    source: i64,
    received: i64,
    quarantined: &Quarantined,
) -> Result<(), Failure> {
    let Quarantined {
        reason,
        format,
        headers,
        body,
    } = quarantined;
    let headers = serde_json::to_string(headers).map_err(|_| Failure::Malformed("headers of a body"))?;
    session
        .execute(
            "INSERT INTO quarantine (source, received, reason, format, headers, body)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[&source, &received, reason, format, &headers, body],
        )
        .await?;
    for row in session.query(LEAVE, &[]).await? {
        if get::<String>(&row, 2)? != CONFIRMATION_ASKED {
            let (source, received) = (get(&row, 0)?, get(&row, 1)?);
            gaps::open(session, source, gaps::QUARANTINE_FULL, received, received).await?;
        }
    }
    Ok(())
}

/// At most 1,000 entries and 16 MiB stay.
const LEAVE: &str = "DELETE FROM quarantine WHERE id IN (
         SELECT id FROM (
             SELECT id, row_number() OVER newest AS place, sum(octet_length(body)) OVER newest AS bytes
             FROM quarantine WINDOW newest AS (ORDER BY id DESC)
         ) ring
         WHERE place > 1000 OR bytes > 16 * 1024 * 1024)
     RETURNING source, received, reason";

/// Takes a body of a source out, if it is there.
pub(super) async fn take_out(session: &Session, source: i64, id: i64) -> Result<(), Failure> {
    session
        .execute(
            "DELETE FROM quarantine WHERE id = $1 AND source = $2",
            &[&id, &source],
        )
        .await?;
    Ok(())
}

/// The next bodies that may hold events, by their numbers.
pub(super) async fn next(session: &Session, after: i64) -> Result<Vec<BodyAside>, Failure> {
    session
        .query(NEXT, &[&after, &CONFIRMATION_ASKED])
        .await?
        .iter()
        .map(aside)
        .collect()
}

const NEXT: &str = "SELECT q.id, g.namespace, g.name, g.uid, s.name, q.received, q.reason,
         octet_length(q.body)::bigint, q.format, q.headers, q.body
     FROM quarantine q JOIN sources s ON s.id = q.source JOIN registries g ON g.id = s.registry
     WHERE q.id > $1 AND q.reason <> $2 ORDER BY q.id LIMIT 16";

fn aside(row: &Row) -> Result<BodyAside, Failure> {
    let headers: String = get(row, 9)?;
    Ok(BodyAside {
        of: QuarantinedBody {
            id: get(row, 0)?,
            registry: RegistryKey {
                namespace: get(row, 1)?,
                name: get(row, 2)?,
                uid: get(row, 3)?,
            },
            source: get(row, 4)?,
            received: time(row, 5)?,
            reason: get(row, 6)?,
            bytes: get(row, 7)?,
        },
        format: get(row, 8)?,
        headers: serde_json::from_str(&headers).map_err(|_| Failure::Malformed("headers of a body"))?,
        body: get(row, 10)?,
    })
}

//! Stretches of time whose events may be lost, per source.

use super::{failure::Failure, session::Session, values::get};
pub(super) use crate::store::gap::{NEW_INSTANCE, QUARANTINE_FULL, QUARANTINED, RECEIVER_DOWN, REFUSED};
use crate::store::{
    CONFIRMATION_ASKED,
    gap::{JOIN, MOST, of_both},
};

/// Half-open, and never empty: it holds at least its start. Where the source's row is not locked, two near ones may stay
/// two.
pub(super) async fn open(
    session: &Session,
    source: i64,
    reason: &str,
    start: i64,
    end: i64,
) -> Result<(), Failure> {
    let end = end.max(start.saturating_add(1));
    let near = session
        .query_opt(
            "SELECT id FROM gaps
             WHERE source = $1 AND reason = $2 AND start <= $4 AND finish >= $3
             ORDER BY start DESC LIMIT 1",
            &[
                &source,
                &reason,
                &start.saturating_sub(JOIN),
                &end.saturating_add(JOIN),
            ],
        )
        .await?;
    if let Some(row) = near {
        session
            .execute(
                "UPDATE gaps SET start = least(start, $2), finish = greatest(finish, $3) WHERE id = $1",
                &[&get::<i64>(&row, 0)?, &start, &end],
            )
            .await?;
        return Ok(());
    }
    session
        .execute(
            "INSERT INTO gaps (source, reason, start, finish) VALUES ($1, $2, $3, $4)",
            &[&source, &reason, &start, &end],
        )
        .await?;
    bound(session, source).await
}

/// Ends the gaps that bodies opened around this time, of which none is in quarantine any more.
pub(super) async fn close(session: &Session, source: i64, time: i64) -> Result<(), Failure> {
    session
        .execute(
            "DELETE FROM gaps WHERE source = $1 AND reason = $3 AND start <= $2 AND finish > $2
             AND NOT EXISTS (SELECT 1 FROM quarantine q
                 WHERE q.source = $1 AND q.reason <> $4
                     AND q.received >= gaps.start AND q.received < gaps.finish)",
            &[&source, &time, &QUARANTINED, &CONFIRMATION_ASKED],
        )
        .await?;
    Ok(())
}

/// One as it is, once.
pub(super) async fn put(
    session: &Session,
    source: i64,
    reason: &str,
    start: i64,
    end: i64,
) -> Result<(), Failure> {
    session
        .execute(
            "INSERT INTO gaps (source, reason, start, finish) SELECT $1::bigint, $2::text, $3::bigint, $4::bigint
             WHERE NOT EXISTS (SELECT 1 FROM gaps
                 WHERE source = $1 AND reason = $2 AND start <= $3 AND finish >= $4)",
            &[&source, &reason, &start, &end],
        )
        .await?;
    bound(session, source).await
}

/// Keeps the number of gaps bounded without hiding one: the oldest are told as one
/// longer stretch.
async fn bound(session: &Session, source: i64) -> Result<(), Failure> {
    let rows = session
        .query(
            "SELECT id, finish, count(*) OVER (), reason FROM gaps WHERE source = $1 ORDER BY start LIMIT 2",
            &[&source],
        )
        .await?;
    let [kept, joined] = rows.as_slice() else {
        return Ok(());
    };
    if get::<i64>(kept, 2)? <= MOST {
        return Ok(());
    }
    let end = get::<i64>(kept, 1)?.max(get(joined, 1)?);
    let (reason, newer): (String, String) = (get(kept, 3)?, get(joined, 3)?);
    session
        .execute("DELETE FROM gaps WHERE id = $1", &[&get::<i64>(joined, 0)?])
        .await?;
    session
        .execute(
            "UPDATE gaps SET finish = $2, reason = $3 WHERE id = $1",
            &[&get::<i64>(kept, 0)?, &end, &of_both(&reason, &newer)],
        )
        .await?;
    Ok(())
}

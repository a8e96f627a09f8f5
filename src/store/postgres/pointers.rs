//! Facts about tags, kept as long as the registry.
//!
//! `event::pointer` says what an event teaches and what the facts add up to. A tag that
//! is pulled a million times teaches the same fact a million times, so one that only
//! repeats what held just before it is left out. When a late event changes what held,
//! the next fact of that tag may repeat nothing any more: it is then taken from the raw
//! events. Until retention removes them, the facts kept add up to what all facts do.

use std::collections::{BTreeMap, BTreeSet};

use futures::try_join;
use tokio_postgres::Row;

use super::{
    failure::Failure,
    session::{Parameters, Session},
    values::{digest_bytes, digest_of, get, nanoseconds, timestamp},
};
use crate::event::{
    StoredEvent,
    pointer::{self, PointerChange, PointerFact},
};

/// Digests that tags were seen at, by tag and time.
type Points = BTreeMap<String, BTreeMap<i64, BTreeSet<Vec<u8>>>>;

/// When pointers ended: tag, digest, time; empty for all.
type Ends = BTreeSet<(String, Vec<u8>, i64)>;

/// Learns what the raw events of a stretch, all of them, tell about tags.
pub(super) async fn learn(
    session: &Session,
    repository: i64,
    (first, last): (i64, i64),
    raw: &[StoredEvent],
) -> Result<(), Failure> {
    let (mut points, ends) = told(raw);
    if points.is_empty() && ends.is_empty() {
        return Ok(());
    }
    let new_ends = keep_ends(session, repository, &ends).await?;
    let mut changed: BTreeSet<String> = new_ends
        .iter()
        .filter(|(tag, ..)| !tag.is_empty())
        .map(|(tag, ..)| tag.clone())
        .collect();
    if !points.is_empty() {
        let known = Known::load(session, repository, (first, last), &points).await?;
        for (tag, time, digest) in &known.kept {
            let times = points.entry(tag.clone()).or_default();
            times.entry(*time).or_default().insert(digest.clone());
            // Perhaps as the next fact after a stretch before this one: nothing was looked for
            // after it then.
            changed.insert(tag.clone());
        }
        let news = known.news(&points);
        changed.extend(keep(session, repository, &news).await?);
    }
    uncover(session, repository, last, &changed, &new_ends).await
}

fn told(raw: &[StoredEvent]) -> (Points, Ends) {
    let (mut points, mut ends) = (Points::new(), Ends::new());
    for PointerFact { time, change } in raw.iter().flat_map(pointer::facts) {
        let time = nanoseconds(time);
        match change {
            PointerChange::Points { tag, digest } => {
                let times = points.entry(tag).or_default();
                times
                    .entry(time)
                    .or_default()
                    .insert(digest_bytes(&digest).to_vec());
            }
            PointerChange::TagDeleted { tag } => {
                ends.insert((tag, Vec::new(), time));
            }
            PointerChange::ManifestDeleted { digest } => {
                ends.insert((String::new(), digest_bytes(&digest).to_vec(), time));
            }
            PointerChange::RepositoryDeleted => {
                ends.insert((String::new(), Vec::new(), time));
            }
        }
    }
    (points, ends)
}

/// Keeps ends; those that are new.
async fn keep_ends(session: &Session, repository: i64, ends: &Ends) -> Result<Ends, Failure> {
    if ends.is_empty() {
        return Ok(Ends::new());
    }
    let tags: Vec<&str> = ends.iter().map(|(tag, ..)| tag.as_str()).collect();
    let digests: Vec<&[u8]> = ends.iter().map(|(_, digest, _)| digest.as_slice()).collect();
    let times: Vec<i64> = ends.iter().map(|(.., time)| *time).collect();
    let rows = session
        .query(
            "INSERT INTO tag_ends (repository, tag, digest, time)
             SELECT $1::bigint, * FROM unnest($2::text[], $3::bytea[], $4::bigint[])
             ON CONFLICT DO NOTHING RETURNING tag, digest, time",
            &[&repository, &tags, &digests, &times],
        )
        .await?;
    read_ends(&rows)
}

fn read_ends(rows: &[Row]) -> Result<Ends, Failure> {
    rows.iter()
        .map(|row| Ok((get(row, 0)?, get(row, 1)?, get(row, 2)?)))
        .collect()
}

/// What is known of some tags around a stretch of time.
struct Known {
    /// The newest fact of each tag before it.
    held: BTreeMap<String, (i64, Vec<u8>)>,
    /// The facts kept in it.
    kept: BTreeSet<(String, i64, Vec<u8>)>,
    /// The ends since the oldest of these.
    ends: Ends,
}

impl Known {
    async fn load(
        session: &Session,
        repository: i64,
        (first, last): (i64, i64),
        points: &Points,
    ) -> Result<Self, Failure> {
        let tags: Vec<&str> = points.keys().map(String::as_str).collect();
        let before: Parameters<'_> = &[&repository, &tags, &first];
        let within: Parameters<'_> = &[&repository, &tags, &first, &last];
        let (held_rows, kept_rows) = try_join!(session.query(HELD, before), session.query(KEPT, within))?;
        let mut held = BTreeMap::new();
        let mut since = first;
        let mut digests: BTreeSet<Vec<u8>> = points
            .values()
            .flat_map(BTreeMap::values)
            .flatten()
            .cloned()
            .collect();
        for row in &held_rows {
            let (time, digest): (i64, Vec<u8>) = (get(row, 1)?, get(row, 2)?);
            since = since.min(time);
            digests.insert(digest.clone());
            held.insert(get(row, 0)?, (time, digest));
        }
        let mut kept = BTreeSet::new();
        for row in &kept_rows {
            let digest: Vec<u8> = get(row, 2)?;
            digests.insert(digest.clone());
            kept.insert((get(row, 0)?, get(row, 1)?, digest));
        }
        let digests: Vec<Vec<u8>> = digests.into_iter().collect();
        let ends = session
            .query(ENDS, &[&repository, &tags, &digests, &since, &last])
            .await?;
        Ok(Self {
            held,
            kept,
            ends: read_ends(&ends)?,
        })
    }

    /// The facts that are not kept and change what held. Where several share a time, all: one
    /// too many does no harm.
    fn news(&self, points: &Points) -> Vec<(String, i64, Vec<u8>)> {
        let mut news = Vec::new();
        for (tag, times) in points {
            let mut held = self.held.get(tag).map(|(since, digest)| (*since, digest));
            for (&time, digests) in times {
                let repeats = digests.len() == 1
                    && held.is_some_and(|(since, digest)| {
                        digests.contains(digest) && !self.ended(tag, digest, since, time)
                    });
                if repeats {
                    continue;
                }
                for digest in digests {
                    let fact = (tag.clone(), time, digest.clone());
                    if !self.kept.contains(&fact) {
                        news.push(fact);
                    }
                }
                // Of several, none is sure to have come last.
                held = digests
                    .first()
                    .filter(|_| digests.len() == 1)
                    .map(|digest| (time, digest));
            }
        }
        news
    }

    /// Whether anything ended the pointer of a tag at a digest from `first` to `last`.
    fn ended(&self, tag: &str, digest: &[u8], first: i64, last: i64) -> bool {
        [(tag, &[][..]), ("", digest), ("", &[][..])]
            .into_iter()
            .any(|(tag, digest)| {
                let from = (tag.to_owned(), digest.to_vec(), first);
                let to = (tag.to_owned(), digest.to_vec(), last);
                self.ends.range(from..=to).next().is_some()
            })
    }
}

pub(super) const HELD: &str = "SELECT DISTINCT ON (tag) tag, time, digest FROM tag_facts
     WHERE repository = $1 AND tag = ANY ($2) AND time < $3
     ORDER BY tag, time DESC, digest DESC";

pub(super) const KEPT: &str = "SELECT tag, time, digest FROM tag_facts
     WHERE repository = $1 AND tag = ANY ($2) AND time >= $3 AND time <= $4";

pub(super) const ENDS: &str = "SELECT tag, digest, time FROM tag_ends
     WHERE repository = $1 AND tag = ANY ($2) AND digest = ''::bytea AND time >= $4 AND time <= $5
     UNION ALL SELECT tag, digest, time FROM tag_ends
     WHERE repository = $1 AND tag = '' AND digest = ANY ($3) AND time >= $4 AND time <= $5
     UNION ALL SELECT tag, digest, time FROM tag_ends
     WHERE repository = $1 AND tag = '' AND digest = ''::bytea AND time >= $4 AND time <= $5";

/// Keeps facts; the tags of those that are new.
async fn keep(
    session: &Session,
    repository: i64,
    facts: &[(String, i64, Vec<u8>)],
) -> Result<Vec<String>, Failure> {
    if facts.is_empty() {
        return Ok(Vec::new());
    }
    let tags: Vec<&str> = facts.iter().map(|(tag, ..)| tag.as_str()).collect();
    let times: Vec<i64> = facts.iter().map(|(_, time, _)| *time).collect();
    let digests: Vec<&[u8]> = facts.iter().map(|(.., digest)| digest.as_slice()).collect();
    session
        .query(
            "INSERT INTO tag_facts (repository, tag, time, digest)
             SELECT $1::bigint, * FROM unnest($2::text[], $3::bigint[], $4::bytea[])
             ON CONFLICT DO NOTHING RETURNING tag",
            &[&repository, &tags, &times, &digests],
        )
        .await?
        .iter()
        .map(|row| get(row, 0))
        .collect()
}

/// Keeps the next fact after the stretch of each tag that changed in it, and of each that
/// points at a digest that was deleted. Of the newest event there is none.
async fn uncover(
    session: &Session,
    repository: i64,
    last: i64,
    changed: &BTreeSet<String>,
    new_ends: &Ends,
) -> Result<(), Failure> {
    let all = new_ends
        .iter()
        .any(|(tag, digest, _)| tag.is_empty() && digest.is_empty());
    let digests: Vec<&[u8]> = new_ends
        .iter()
        .filter(|(_, digest, _)| !digest.is_empty())
        .map(|(_, digest, _)| digest.as_slice())
        .collect();
    if !all && changed.is_empty() && digests.is_empty() {
        return Ok(());
    }
    let tags: Vec<&str> = changed.iter().map(String::as_str).collect();
    let rows = session
        .query_by_values(LATER_POINTS, &[&repository, &last, &all, &tags, &digests])
        .await?;
    let later: Vec<(String, i64, Vec<u8>)> = rows
        .iter()
        .map(|row| Ok::<_, Failure>((get(row, 0)?, get(row, 1)?, get(row, 2)?)))
        .collect::<Result<_, _>>()?;
    keep(session, repository, &later).await?;
    Ok(())
}

/// The first of each tag after $2 among pushes and pulls, where they are not too many: all of
/// those that share its time.
pub(super) const LATER_POINTS: &str = "SELECT tag, time, digest FROM (
         SELECT tag, time, digest, rank() OVER (PARTITION BY tag ORDER BY time) AS place FROM (
             SELECT tag, time, digest FROM raw_events
             WHERE repository = $1 AND time > $2 AND category <> 3
             ORDER BY time LIMIT 20000
         ) later
         WHERE tag IS NOT NULL AND digest IS NOT NULL
             AND ($3 OR tag = ANY ($4) OR digest = ANY ($5))
     ) ranked
     WHERE place = 1";

/// All facts kept of a repository.
pub(super) async fn facts(session: &Session, repository: i64) -> Result<Vec<PointerFact>, Failure> {
    let mut facts = Vec::new();
    let points = session
        .query(
            "SELECT tag, time, digest FROM tag_facts WHERE repository = $1",
            &[&repository],
        )
        .await?;
    for row in &points {
        facts.push(PointerFact {
            time: timestamp(get(row, 1)?)?,
            change: PointerChange::Points {
                tag: get(row, 0)?,
                digest: digest_of(get(row, 2)?)?,
            },
        });
    }
    let ends = session
        .query(
            "SELECT tag, digest, time FROM tag_ends WHERE repository = $1",
            &[&repository],
        )
        .await?;
    for (tag, digest, time) in read_ends(&ends)? {
        let change = match (tag.is_empty(), digest.as_slice()) {
            (false, _) => PointerChange::TagDeleted { tag },
            (true, []) => PointerChange::RepositoryDeleted,
            (true, digest) => PointerChange::ManifestDeleted {
                digest: digest_of(digest)?,
            },
        };
        facts.push(PointerFact {
            time: timestamp(time)?,
            change,
        });
    }
    Ok(facts)
}

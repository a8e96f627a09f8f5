//! Digests known to be manifests.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    failure::Failure,
    session::Session,
    values::{digest_bytes, digest_of, get, media_type_bytes, nanoseconds},
};
use crate::{
    event::{Category, StoredEvent},
    image::Digest,
};

/// Manifests that were not known, column by column.
#[derive(Debug, Default)]
struct News<'a> {
    digest: Vec<&'a [u8]>,
    media_type: Vec<Option<Vec<u8>>>,
    time: Vec<i64>,
}

/// Learns from pushes and pulls that name a digest, which prove it a manifest: blobs never
/// become events. The times of the deletes that waited to hear it.
pub(super) async fn learn(
    session: &Session,
    repository: i64,
    raw: &[StoredEvent],
) -> Result<Vec<i64>, Failure> {
    let told = told(raw);
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let known = known(session, repository, told.keys().copied()).await?;
    let mut news: News<'_> = News::default();
    let mut typed: (Vec<&[u8]>, Vec<Vec<u8>>) = Default::default();
    for (&digest, &(media_type, time)) in &told {
        let media_type = media_type.map(media_type_bytes);
        match (known.get(digest), media_type) {
            (None, media_type) => {
                news.digest.push(digest);
                news.media_type.push(media_type);
                news.time.push(time);
            }
            (Some(false), Some(media_type)) => {
                typed.0.push(digest);
                typed.1.push(media_type);
            }
            (Some(_), _) => {}
        }
    }
    if !typed.0.is_empty() {
        set_media_types(session, repository, &typed.0, &typed.1).await?;
    }
    if news.digest.is_empty() {
        return Ok(Vec::new());
    }
    session
        .execute(
            "INSERT INTO manifests (repository, digest, media_type, learnt)
             SELECT $1::bigint, * FROM unnest($2::bytea[], $3::bytea[], $4::bigint[])
             ON CONFLICT DO NOTHING",
            &[&repository, &news.digest, &news.media_type, &news.time],
        )
        .await?;
    session
        .query(DELETES_BY_DIGEST, &[&repository, &news.digest])
        .await?
        .iter()
        .map(|row| get(row, 0))
        .collect()
}

/// Sets the media types of manifests that are known without one.
pub(super) async fn set_media_types(
    session: &Session,
    repository: i64,
    digests: &[&[u8]],
    media_types: &[Vec<u8>],
) -> Result<(), Failure> {
    session
        .execute(
            "UPDATE manifests SET media_type = told.media_type
             FROM unnest($2::bytea[], $3::bytea[]) AS told (digest, media_type)
             WHERE manifests.repository = $1 AND manifests.digest = told.digest
                 AND manifests.media_type IS NULL",
            &[&repository, &digests, &media_types],
        )
        .await?;
    Ok(())
}

pub(super) const DELETES_BY_DIGEST: &str =
    "SELECT time FROM raw_events WHERE repository = $1 AND category = 3 AND digest = ANY ($2)";

/// What events tell of each digest: a media type, and when first.
fn told(raw: &[StoredEvent]) -> BTreeMap<&[u8], (Option<&str>, i64)> {
    let mut told: BTreeMap<&[u8], (Option<&str>, i64)> = BTreeMap::new();
    for stored in raw {
        let (Category::Push | Category::Pull, Some(digest)) = (stored.event.category, &stored.event.digest)
        else {
            continue;
        };
        let (media_type, time) = told
            .entry(digest_bytes(digest))
            .or_insert((None, nanoseconds(stored.time)));
        *media_type = media_type.or(stored.event.media_type.as_deref());
        *time = nanoseconds(stored.time).min(*time);
    }
    told
}

/// Those of these that are known, and whether with their media type.
async fn known<'a>(
    session: &Session,
    repository: i64,
    digests: impl Iterator<Item = &'a [u8]>,
) -> Result<HashMap<Vec<u8>, bool>, Failure> {
    let digests: Vec<&[u8]> = digests.collect();
    session
        .query(
            "SELECT digest, media_type IS NOT NULL FROM manifests
             WHERE repository = $1 AND digest = ANY ($2)",
            &[&repository, &digests],
        )
        .await?
        .iter()
        .map(|row| Ok((get(row, 0)?, get(row, 1)?)))
        .collect()
}

/// The digests among those that raw events name that are known to be manifests: what is
/// pushed or pulled is, what is deleted has to be looked up.
pub(super) async fn among(
    session: &Session,
    repository: i64,
    raw: &[StoredEvent],
) -> Result<HashSet<Digest>, Failure> {
    let mut manifests = HashSet::new();
    let mut deleted: HashSet<&[u8]> = HashSet::new();
    for stored in raw {
        let Some(digest) = &stored.event.digest else {
            continue;
        };
        if stored.event.category == Category::Delete {
            deleted.insert(digest_bytes(digest));
        } else if !manifests.contains(digest) {
            manifests.insert(digest.clone());
        }
    }
    if !deleted.is_empty() {
        for digest in known(session, repository, deleted.into_iter()).await?.keys() {
            manifests.insert(digest_of(digest)?);
        }
    }
    Ok(manifests)
}

//! Facts that outlive events, many in one statement each. Their tables may be sharded by
//! repository: what is there already is changed one repository at a time.

use std::collections::{BTreeMap, HashSet};

use super::super::{
    failure::Failure,
    manifests, purge,
    session::Session,
    values::{Numbered, digest_bytes, get, media_type_bytes, nanoseconds},
};
use crate::store::transfer::Fact;

/// Facts column by column.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    points: Points<'a>,
    ends: Points<'a>,
    manifests: Manifests<'a>,
    times: Times<'a>,
}

/// That tags were seen to point at digests, or stopped to: empty for all of them.
#[derive(Debug, Default)]
struct Points<'a> {
    repository: Vec<i64>,
    tag: Vec<&'a str>,
    time: Vec<i64>,
    digest: Vec<&'a [u8]>,
}

#[derive(Debug, Default)]
struct Manifests<'a> {
    repository: Vec<i64>,
    digest: Vec<&'a [u8]>,
    media_type: Vec<Option<Vec<u8>>>,
    learnt: Vec<i64>,
}

/// Digests and their media types.
type Typed<'a> = (Vec<&'a [u8]>, Vec<Vec<u8>>);

#[derive(Debug, Default)]
struct Times<'a> {
    repository: Vec<i64>,
    tag: Vec<&'a str>,
    category: Vec<i16>,
    first: Vec<i64>,
    last: Vec<i64>,
}

impl<'a> Facts<'a> {
    pub(super) fn push(&mut self, repository: i64, fact: &'a Fact) {
        match fact {
            Fact::Points { tag, time, digest } => {
                self.points
                    .push(repository, tag, nanoseconds(*time), digest_bytes(digest));
            }
            Fact::Ended { time, tag, digest } => {
                let tag = tag.as_deref().unwrap_or_default();
                let digest = digest.as_ref().map_or(&[][..], digest_bytes);
                self.ends.push(repository, tag, nanoseconds(*time), digest);
            }
            Fact::Manifest {
                digest,
                media_type,
                learnt,
            } => {
                let manifests = &mut self.manifests;
                manifests.repository.push(repository);
                manifests.digest.push(digest_bytes(digest));
                manifests
                    .media_type
                    .push(media_type.as_deref().map(media_type_bytes));
                manifests.learnt.push(nanoseconds(*learnt));
            }
            Fact::Times {
                tag,
                category,
                first,
                last,
            } => {
                let times = &mut self.times;
                times.repository.push(repository);
                times.tag.push(tag.as_deref().unwrap_or_default());
                times.category.push(category.number());
                times.first.push(nanoseconds(*first));
                times.last.push(nanoseconds(*last));
            }
        }
    }

    /// In the caller's transaction.
    pub(super) async fn insert(&self, session: &Session) -> Result<(), Failure> {
        let Self {
            points,
            ends,
            manifests,
            times,
        } = self;
        points
            .insert(
                session,
                "INSERT INTO tag_facts (repository, tag, time, digest)
                 SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[])
                 ON CONFLICT DO NOTHING",
            )
            .await?;
        ends.insert(
            session,
            "INSERT INTO tag_ends (repository, tag, time, digest)
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[])
             ON CONFLICT DO NOTHING",
        )
        .await?;
        manifests.insert(session).await?;
        times.insert(session).await
    }
}

impl<'a> Points<'a> {
    fn push(&mut self, repository: i64, tag: &'a str, time: i64, digest: &'a [u8]) {
        self.repository.push(repository);
        self.tag.push(tag);
        self.time.push(time);
        self.digest.push(digest);
    }

    async fn insert(&self, session: &Session, sql: &str) -> Result<(), Failure> {
        if !self.repository.is_empty() {
            session
                .execute(sql, &[&self.repository, &self.tag, &self.time, &self.digest])
                .await?;
        }
        Ok(())
    }
}

impl Manifests<'_> {
    /// Of those that are there without one, the media type is set.
    async fn insert(&self, session: &Session) -> Result<(), Failure> {
        let Self {
            repository,
            digest,
            media_type,
            learnt,
        } = self;
        if repository.is_empty() {
            return Ok(());
        }
        let rows = session
            .query(
                "INSERT INTO manifests (repository, digest, media_type, learnt)
                 SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[])
                 ON CONFLICT DO NOTHING RETURNING repository, digest",
                &[repository, digest, media_type, learnt],
            )
            .await?;
        let mut new: HashSet<(i64, &[u8])> = HashSet::with_capacity(rows.len());
        for row in &rows {
            new.insert((get(row, 0)?, get(row, 1)?));
        }
        let mut known: BTreeMap<i64, Typed<'_>> = BTreeMap::new();
        for ((repository, digest), media_type) in repository.iter().zip(digest).zip(media_type) {
            if let Some(media_type) = media_type
                && !new.contains(&(*repository, *digest))
            {
                let (digests, media_types) = known.entry(*repository).or_default();
                digests.push(digest);
                media_types.push(media_type.clone());
            }
        }
        for (repository, (digests, media_types)) in known {
            manifests::set_media_types(session, repository, &digests, &media_types).await?;
        }
        Ok(())
    }
}

impl Times<'_> {
    /// Those that are there grow by what is told.
    async fn insert(&self, session: &Session) -> Result<(), Failure> {
        let Self {
            repository,
            tag,
            category,
            first,
            last,
        } = self;
        if repository.is_empty() {
            return Ok(());
        }
        let rows = session
            .query(
                "INSERT INTO category_facts (repository, tag, category, first, last)
                 SELECT * FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::bigint[], $5::bigint[])
                 ON CONFLICT DO NOTHING RETURNING repository, tag, category",
                &[repository, tag, category, first, last],
            )
            .await?;
        let mut new: HashSet<(i64, &str, i16)> = HashSet::with_capacity(rows.len());
        for row in &rows {
            new.insert((get(row, 0)?, get(row, 1)?, get(row, 2)?));
        }
        let mut known: BTreeMap<(i64, i16), BTreeMap<String, (i64, i64)>> = BTreeMap::new();
        let times = first.iter().zip(last);
        for (((&repository, &tag), &category), (&first, &last)) in
            repository.iter().zip(tag).zip(category).zip(times)
        {
            if !new.contains(&(repository, tag, category)) {
                let times = known.entry((repository, category)).or_default();
                times.insert(tag.to_owned(), (first, last));
            }
        }
        for ((repository, category), times) in known {
            purge::keep_facts(session, repository, category, &times).await?;
        }
        Ok(())
    }
}

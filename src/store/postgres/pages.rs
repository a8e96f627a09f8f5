//! Pages of events, newest first: the scans of a question, merged. Where only some clients are
//! asked for, sealed buckets tell where their events lie, and the rest is not read.

use std::ops::Range;

use futures::future::BoxFuture;
use tokio_postgres::types::ToSql;

use super::{
    failure::Failure,
    ids, logical,
    parts::{cut, rollups},
    query::{Parameter, sql},
    session::Session,
    values::{Numbered, id_bytes},
};
use crate::store::{
    AttributedEvent, EventQuery, PageKey,
    bucket::{Level, Part},
    scan::{Page, Place, Scan, newest_first},
    sought::{self, Sought},
};

/// Rows of one statement where most may be of clients that were not asked for.
const ROWS: usize = 1_000;

/// Newest first, at most `limit`, before the given key.
pub(super) async fn events(
    session: &Session,
    query: &EventQuery,
    before: Option<&PageKey>,
    limit: usize,
) -> Result<Vec<AttributedEvent>, Failure> {
    let Some(repository) = ids::repository(session, &query.registry, &query.repository).await? else {
        return Ok(Vec::new());
    };
    let mut page = Page::new(before, limit);
    for scan in newest_first(query) {
        if let Some(range) = page.range(&scan) {
            let mut search = Search {
                session,
                repository,
                query,
                scan: &scan,
                limit,
                found: Vec::new(),
            };
            search.within(range).await?;
            page.add(search.found);
        }
    }
    Ok(page.into_events())
}

/// Collects one scan's newest events, of the clients that are asked for.
struct Search<'a> {
    session: &'a Session,
    repository: i64,
    query: &'a EventQuery,
    scan: &'a Scan<'a>,
    limit: usize,
    /// Newest first.
    found: Vec<AttributedEvent>,
}

impl Search<'_> {
    fn is_full(&self) -> bool {
        self.found.len() >= self.limit
    }

    async fn within(&mut self, range: Range<Place>) -> Result<(), Failure> {
        if self.query.clients.are_all() || self.scan.scope.is_none() {
            return self.read(range).await;
        }
        let Range { start, end } = range;
        // Of the last instant only what comes before the end's id.
        let instant = start.clone().max(Place::at(end.time));
        let window = start.time..end.time;
        if instant < end {
            self.read(instant..end).await?;
        }
        let levels = Level::ALL.into_iter().rev();
        let parts = cut(self.session, self.repository, window.clone(), levels).await?;
        self.seek(parts, window).await
    }

    /// Goes back through the parts that lie within a stretch, and into those sealed buckets alone
    /// where such clients were.
    fn seek(&mut self, parts: Vec<Part<()>>, within: Range<i64>) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let Some(scope) = &self.scan.scope else {
                return Ok(());
            };
            let sealed = parts.iter().filter_map(|part| match part {
                Part::Sealed { bucket, sums: () } => Some(*bucket),
                Part::Scan(_) => None,
            });
            let sums = rollups(self.session, self.repository, sealed, scope, self.scan.category).await?;
            for part in parts.into_iter().rev() {
                if self.is_full() {
                    break;
                }
                let span = part.span();
                let span = span.start.max(within.start)..span.end.min(within.end);
                if span.is_empty() {
                    continue;
                }
                let bucket = match part {
                    Part::Scan(_) => {
                        self.read_times(span).await?;
                        continue;
                    }
                    Part::Sealed { bucket, sums: () } => bucket,
                };
                let sought = match sums.get(&bucket) {
                    Some(sums) => sought::seek(sums, bucket.start, &self.query.clients)?,
                    None => Sought::Nowhere,
                };
                match sought {
                    Sought::Nowhere => {}
                    Sought::At(times) => {
                        for time in times {
                            self.read_times(time..time.saturating_add(1)).await?;
                        }
                    }
                    Sought::Within(range) if bucket.level == Level::Quarter => self.read_times(range).await?,
                    Sought::Within(range) => {
                        let finer = bucket.level.finer();
                        let parts = cut(self.session, self.repository, bucket.span(), finer).await?;
                        self.seek(parts, range).await?;
                    }
                }
            }
            Ok(())
        })
    }

    async fn read_times(&mut self, range: Range<i64>) -> Result<(), Failure> {
        self.read(Place::at(range.start)..Place::at(range.end)).await
    }

    /// Reads the newest in a range, until the page is full.
    async fn read(&mut self, range: Range<Place>) -> Result<(), Failure> {
        let rows = if self.query.clients.are_all() {
            self.limit.min(ROWS)
        } else {
            ROWS
        };
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let Range { start, mut end } = range;
        while !self.is_full() {
            let answer = {
                let key = Parameter::of(self.scan.key);
                let (first, before) = (id_bytes(&start.id.0), id_bytes(&end.id.0));
                let category = self.scan.category.number();
                let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
                    &self.repository,
                    &category,
                    &start.time,
                    &first,
                    &end.time,
                    &before,
                    &rows,
                ];
                parameters.extend(key.as_sql());
                self.session.query(sql(self.scan.kind).page, &parameters).await?
            };
            let mut last = None;
            for row in &answer {
                let event = AttributedEvent {
                    event: logical::read(row, &self.query.repository)?,
                    attribution: self.scan.attribution,
                };
                last = Some(Place::of(&event));
                if !self.is_full() && self.query.clients.let_through(event.client()) {
                    self.found.push(event);
                }
            }
            match last {
                Some(last) if i64::try_from(answer.len()).unwrap_or(i64::MAX) >= rows => end = last,
                _ => break,
            }
        }
        Ok(())
    }
}

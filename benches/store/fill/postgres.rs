//! The month in a `PostgreSQL` database, and that of many other repositories: each has a hundredth of the hot one's
//! events, by chance. Copies are made by the server, in order of time over all repositories, so that rows lie as
//! they would had they come one by one.
//!
//! A table that is filled has no index, and nothing of it is in the write-ahead log: the transaction
//! empties it first, or makes it, and the server runs with `wal_level=minimal` meanwhile.

use std::time::Instant;

use image_usage_operator::store::Upkeep;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Client;

use super::{deliver, progress::Progress, room};
use crate::{
    Result,
    hot::{self, DAY, History},
    numbers::rate,
    server::Server,
};

/// For the fill alone.
const SETTINGS: [&str; 5] = [
    "wal_level = minimal",
    "max_wal_senders = 0",
    "autovacuum = off",
    "maintenance_work_mem = '1GB'",
    "checkpoint_timeout = '1h'",
];

/// What part of the hot repository's events each other one has.
pub(crate) const PARTS: u64 = 100;

/// Fills the server's database with the hot repository and so many others. To count the days is left to the store,
/// unless there are others: then the first day's counts are copied too.
pub(crate) async fn fill(server: &mut Server, history: History, others: u64) -> Result<()> {
    server.restart(&SETTINGS).await?;
    // Makes the schema.
    server.store().await?.close().await?;
    let client = server.connect().await?;
    let first_day = partition(0)?;
    client
        .batch_execute(&format!(
            "CREATE TABLE {first_day} PARTITION OF raw_events {}",
            bounds(0)
        ))
        .await?;
    let (begun, a_day) = (Instant::now(), history.first_day().end);
    deliver(server.store().await?, history, history.first_day()).await?;
    println!(
        "a day of {a_day} events through the store, {:.0} a second",
        rate(usize::try_from(a_day)?, begun.elapsed())
    );

    let of_day = size(&client, &[&first_day, "logical_events", "logical_tags"]).await?;
    let template = Template::make(&client, others).await?;
    let store = server.store().await?;
    store
        .seal(History::start() + SignedDuration::from_hours(25))
        .await?;
    store.close().await?;
    let events = history.events() + others * history.events() / PARTS;
    let expected = of_day * events / a_day + sums(&client, &template).await?;
    room::expect(expected, events)?;

    let raw = template.copy(server).await?;
    client
        .execute("UPDATE sources SET kept = $1", &[&i64::try_from(raw)?])
        .await?;
    client.batch_execute("DROP SCHEMA fill CASCADE").await?;
    client.batch_execute("ANALYZE").await?;
    deliver(server.store().await?, history, history.last_hours()).await
}

/// Bytes on the disk of these tables and their indexes.
async fn size(client: &Client, tables: &[&str]) -> Result<u64> {
    let row = client
        .query_one(
            "SELECT sum(pg_total_relation_size(t::regclass))::bigint FROM unnest($1::text[]) t",
            &[&tables],
        )
        .await?;
    Ok(u64::try_from(row.get::<_, i64>(0))?)
}

/// What the counts of all days will take, as far as they are known of the first.
async fn sums(client: &Client, template: &Template) -> Result<u64> {
    let row = client
        .query_one(
            "SELECT coalesce(sum(60 + pg_column_size(sums)) FILTER (WHERE repository = $1), 0)::bigint,
                 coalesce(sum(60 + pg_column_size(sums)), 0)::bigint FROM rollups",
            &[&template.hot],
        )
        .await?;
    let hot = u64::try_from(row.get::<_, i64>(0))?;
    let all = u64::try_from(row.get::<_, i64>(1))?.max(1);
    let size = size(client, &["rollups", "sealed"]).await?;
    let of_others = size * (all - hot) / all * template.others / template.others.clamp(1, PARTS);
    Ok((size * hot / all + of_others) * History::DAYS.unsigned_abs())
}

/// The raw events of a day lie in the partition that the store would have made for it.
fn partition(day: i64) -> Result<String> {
    let begin = Timestamp::from_nanosecond(History::day(day).into())?;
    Ok(format!("raw_events_{}", begin.strftime("%Y%m%d")))
}

fn bounds(day: i64) -> String {
    format!(
        "FOR VALUES FROM ({}) TO ({})",
        History::day(day),
        History::day(day + 1)
    )
}

/// The schema `fill`: the hot repository's first day, of each event in which slot of [`PARTS`] it is, of each
/// repository the slots that it has (`shares`), and the one that has the same counts (`models`).
struct Template {
    hot: i64,
    others: u64,
}

impl Template {
    async fn make(client: &Client, others: u64) -> Result<Self> {
        let (hot, other) = (hot::REPOSITORY, hot::other(""));
        let slot = format!("mod(hashtext(encode(id, 'hex'))::bigint + 2147483648, {PARTS})::int");
        client
            .batch_execute(&format!(
                "CREATE SCHEMA fill;
                 INSERT INTO repositories (registry, path)
                 SELECT registry, '{other}' || n FROM repositories, generate_series(1, {others}) n;
                 CREATE TABLE fill.shares AS
                 SELECT id AS repository, slot FROM repositories, generate_series(0, {PARTS} - 1) slot
                 WHERE path = '{hot}'
                 UNION ALL
                 SELECT id, ((row_number() OVER (ORDER BY id) - 1) % {PARTS})::int FROM repositories
                 WHERE path <> '{hot}';
                 CREATE TABLE fill.models AS
                 SELECT id AS repository, id AS model FROM repositories WHERE path = '{hot}'
                 UNION ALL
                 SELECT repository, min(repository) OVER (PARTITION BY slot)
                 FROM fill.shares JOIN repositories ON id = repository WHERE path <> '{hot}';
                 CREATE TABLE fill.raw_events AS SELECT *, {slot} AS slot FROM raw_events ORDER BY time, id;
                 CREATE TABLE fill.logical_events AS SELECT *, {slot} AS slot FROM logical_events ORDER BY time, id;
                 CREATE TABLE fill.logical_tags AS SELECT *, {slot} AS slot FROM logical_tags ORDER BY time, id;
                 CREATE TABLE fill.open_buckets AS TABLE open_buckets"
            ))
            .await?;
        client.batch_execute("ANALYZE").await?;
        let row = client
            .query_one("SELECT id FROM repositories WHERE path = $1", &[&hot])
            .await?;
        let template = Self {
            hot: row.get(0),
            others,
        };
        template.make_models(client).await?;
        Ok(template)
    }

    /// The first day of the other repositories whose counts are copied.
    async fn make_models(&self, client: &Client) -> Result<()> {
        let is_one = format!(
            "t.repository <> {} AND t.repository IN (SELECT model FROM fill.models)",
            self.hot
        );
        for (table, to) in [
            ("logical_events", SHARES),
            ("logical_tags", SHARES),
            ("open_buckets", ALL),
        ] {
            let copies = Copies::of(client, table, to).await?;
            client.execute(&copies.insert(table, 0, &is_one), &[]).await?;
        }
        Ok(())
    }

    /// Copies the first day to all days and repositories; how many raw events there are then.
    async fn copy(&self, server: &Server) -> Result<u64> {
        let (one, two) = (server.connect().await?, server.connect().await?);
        let made = async {
            self.refill(&one, "logical_events", SHARES).await?;
            if self.others == 0 {
                self.open(&one, 1..History::DAYS, "TRUE").await
            } else {
                one.batch_execute(
                    "CREATE TABLE fill.rollups AS TABLE rollups; CREATE TABLE fill.sealed AS TABLE sealed;
                     ANALYZE fill.rollups, fill.sealed",
                )
                .await?;
                self.refill(&one, "rollups", MODELS).await?;
                self.refill(&one, "sealed", MODELS).await?;
                let last = History::DAYS;
                self.open(&one, last..last + 1, &self.of_the_last_day("start"))
                    .await
            }
        };
        let said = async {
            let raw = self.raw_events(&two).await?;
            self.refill(&two, "logical_tags", SHARES).await?;
            Result::<u64>::Ok(raw)
        };
        let ((), raw) = tokio::try_join!(made, said)?;
        Ok(raw)
    }

    /// Which days are copied, and what of them: of the last only the beginning, and not to the hot repository, whose
    /// last hours go through the store.
    fn days(&self, to: &str) -> Vec<(i64, String)> {
        let whole = (0..History::DAYS).map(|day| (day, "TRUE".to_owned()));
        let last = (to == SHARES).then(|| (History::DAYS, self.of_the_last_day("time")));
        whole.chain(last).collect()
    }

    fn of_the_last_day(&self, time: &str) -> String {
        let length = History::end().as_second() * 1_000_000_000 - History::day(History::DAYS);
        let end = History::day(0) + length;
        format!("t.repository <> {} AND s.{time} < {end}", self.hot)
    }

    /// A table without partitions, made anew.
    async fn refill(&self, client: &Client, table: &'static str, to: &str) -> Result<()> {
        let copies = Copies::of(client, table, to).await?;
        let indexes = client.query(INDEXES, &[&table]).await?;
        client.batch_execute("BEGIN").await?;
        for index in &indexes {
            client.batch_execute(index.get(0)).await?;
        }
        client.batch_execute(&format!("TRUNCATE {table}")).await?;
        let mut progress = Progress::begin(table);
        for (day, only) in self.days(to) {
            room::check()?;
            progress.add(client.execute(&copies.insert(table, day, &only), &[]).await?)?;
        }
        let begun = Instant::now();
        for index in &indexes {
            room::check()?;
            client.batch_execute(index.get(1)).await?;
        }
        client.batch_execute("COMMIT").await?;
        progress.end(&format!(
            "{} s of it for {} indexes",
            begun.elapsed().as_secs(),
            indexes.len()
        ))?;
        Ok(())
    }

    /// How many there are. To attach a partition is to make its indexes.
    async fn raw_events(&self, client: &Client) -> Result<u64> {
        let copies = Copies::of(client, "raw_events", SHARES).await?;
        client
            .batch_execute(&format!("DROP TABLE {}", partition(0)?))
            .await?;
        let mut progress = Progress::begin("raw_events");
        for (day, only) in self.days(SHARES) {
            room::check()?;
            let (name, bounds) = (partition(day)?, bounds(day));
            client
                .batch_execute(&format!("BEGIN; CREATE TABLE {name} (LIKE raw_events)"))
                .await?;
            let rows = client.execute(&copies.insert(&name, day, &only), &[]).await?;
            client
                .batch_execute(&format!(
                    "ALTER TABLE raw_events ATTACH PARTITION {name} {bounds}; COMMIT"
                ))
                .await?;
            progress.add(rows)?;
        }
        progress.end("with indexes")
    }

    /// Leaves buckets of these days to be counted by the store.
    async fn open(&self, client: &Client, days: std::ops::Range<i64>, only: &str) -> Result<()> {
        let copies = Copies::of(client, "open_buckets", ALL).await?;
        for day in days {
            client
                .execute(&copies.insert("open_buckets", day, only), &[])
                .await?;
        }
        Ok(())
    }
}

/// Which repositories a row `s` of the template goes to.
const SHARES: &str = "fill.shares t ON t.slot = s.slot";
const MODELS: &str = "fill.models t ON t.model = s.repository";
const ALL: &str = "fill.models t ON TRUE";

/// How the indexes of a table are removed and made: the key last.
const INDEXES: &str = "SELECT
         CASE WHEN c.oid IS NULL THEN format('DROP INDEX %s', i.indexrelid::regclass)
             ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', i.indrelid::regclass, c.conname) END,
         CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
             ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', i.indrelid::regclass, c.conname,
                 pg_get_constraintdef(c.oid)) END
     FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype = 'p'
     WHERE i.indrelid = $1::text::regclass ORDER BY c.oid IS NOT NULL";

/// How the first day's rows of a table become those of another day and repository.
struct Copies<'a> {
    table: &'a str,
    columns: Vec<String>,
    to: &'a str,
}

impl<'a> Copies<'a> {
    async fn of(client: &Client, table: &'a str, to: &'a str) -> Result<Self> {
        let columns = client
            .query(
                "SELECT attname::text FROM pg_attribute
                 WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                &[&table],
            )
            .await?;
        Ok(Self {
            table,
            columns: columns.iter().map(|row| row.get(0)).collect(),
            to,
        })
    }

    fn insert(&self, into: &str, day: i64, only: &str) -> String {
        let Self { table, columns, to } = self;
        let moved: Vec<String> = columns.iter().map(|column| moved(column, day)).collect();
        format!(
            "INSERT INTO {into} ({}) SELECT {} FROM fill.{table} s JOIN {to} WHERE {only} ON CONFLICT DO NOTHING",
            columns.join(", "),
            moved.join(", ")
        )
    }
}

/// A column's value on another day, with ids and digests of that day's as the store would have written them: the
/// twelfth byte of an id, which is 0 on the first day, and the eighth of a digest are the day's number. Sums say
/// times from their bucket's start.
fn moved(column: &str, day: i64) -> String {
    match column {
        "repository" => "t.repository".to_owned(),
        "time" | "received" | "stated_time" | "start" => format!("s.{column} + {}", day * DAY),
        "id" => format!("set_byte(s.id, 11, {day})"),
        "digest" => format!("set_byte(s.digest, 7, {day})"),
        "key" => format!("CASE WHEN s.scope IN (2, 3) THEN set_byte(s.key, 7, {day}) ELSE s.key END"),
        _ => format!("s.{column}"),
    }
}

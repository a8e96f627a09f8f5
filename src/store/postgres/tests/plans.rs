//! No hot statement reads a whole table, or sorts.

use jiff::Timestamp;
use tokio_postgres::{Client, types::ToSql};

use super::{
    super::session::begin_keeping_plans,
    super::{
        append, changes, counts, facts, linker, logical, manifests, opened, parts, pointers, purge, query,
        raw, relink, sealing, transfer,
    },
    Postgres, connect,
};
use crate::store::{conformance::Backend, scan::Kind};

/// Enough that an index is worth it: 40,000 events of two repositories in three days.
const FILL: &str = "
    INSERT INTO raw_events (repository, time, id, received, time_source, source, category, tag, digest, address)
    SELECT n % 2, n * 6000000000, '\\x00' || n::text::bytea, n, 0, 1, CASE WHEN n % 100 = 0 THEN 3 ELSE 2 END,
        'v' || n % 50, decode(md5((n % 50)::text) || md5('x'), 'hex'), '\\x0a000001'
    FROM generate_series(1, 40000) n;
    INSERT INTO logical_events (repository, category, time, id, received, time_source, tags, tagged, digest, raw_count)
    SELECT repository, category, time, id, received, time_source, '[\"' || tag || '\"]', n % 2 = 0, digest, 1
    FROM raw_events, LATERAL (SELECT get_byte(digest, 0) AS n) d;
    INSERT INTO logical_tags (repository, tag, category, time, id)
    SELECT repository, tag, category, time, id FROM raw_events;
    INSERT INTO tag_facts (repository, tag, time, digest) SELECT repository, tag, time, digest FROM raw_events;
    INSERT INTO tag_ends (repository, tag, time, digest) SELECT repository, tag, time, ''::bytea FROM raw_events;
    INSERT INTO sealed (repository, level, start) SELECT repository, 2, time FROM raw_events;
    INSERT INTO open_buckets (repository, level, start) SELECT repository, 2, time FROM raw_events;
    INSERT INTO rollups (repository, level, start, scope, key, category, sums)
    SELECT repository, 2, time, 1, digest, 2, digest FROM raw_events;
    INSERT INTO unlinked (repository, start, mark, finish, events)
    SELECT repository, time, time, time, 1 FROM raw_events;
    ANALYZE";

/// A filled database, and a client for which plans are made as for those that ask.
async fn filled() -> (Postgres, Client) {
    let backend = Postgres::fresh().await;
    backend.open().await.close().await.unwrap();
    let client = connect(&backend.url).await;
    client.batch_execute(FILL).await.unwrap();
    client
        .batch_execute("SET plan_cache_mode = force_custom_plan")
        .await
        .unwrap();
    (backend, client)
}

async fn plan(client: &Client, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> String {
    let rows = client.query(&format!("EXPLAIN {sql}"), parameters).await.unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}

#[expect(clippy::too_many_lines, reason = "a table of statements")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_statements_search_by_index() {
    let (_backend, client) = filled().await;
    let (repository, category) = (1_i64, 2_i16);
    let (first, last, nothing) = (0_i64, i64::MAX, vec![0_u8]);
    let (tag, tags) = ("v7", vec!["v7"]);
    let digest: Vec<u8> = vec![7; 32];
    let (digests, ids, addresses) = (
        vec![digest.clone()],
        vec![vec![0_u8, 49]],
        vec![vec![10_u8, 0, 0, 1]],
    );
    let (limit, categories) = (50_i64, vec![1_i16, 2, 4]);
    let second = 1_000_000_000_i64;
    let (starts, scope) = (vec![1_i64, 2], 1_i16);
    let (start, end) = (60_000 * second, 60_010 * second);
    let mut statements: Vec<(&str, &str, Vec<&(dyn ToSql + Sync)>, bool)> = Vec::new();
    for (name, kind, key) in [
        ("all", Kind::All, None::<&(dyn ToSql + Sync)>),
        ("whole repository", Kind::WholeRepository, None),
        ("tag", Kind::Tag, Some(&tag as &(dyn ToSql + Sync))),
        ("tag delete", Kind::TagDelete, Some(&tag)),
        ("tagged digest", Kind::TaggedDigest, Some(&digest)),
        ("untagged digest", Kind::UntaggedDigest, Some(&digest)),
    ] {
        let mut parameters: Vec<&(dyn ToSql + Sync)> =
            vec![&repository, &category, &first, &nothing, &last, &nothing, &limit];
        parameters.extend(key);
        statements.push((name, query::sql(kind).page, parameters, true));
    }
    statements.extend([
        (
            "raw events to link",
            relink::RAW_IN_SPAN,
            vec![&repository as &(dyn ToSql + Sync), &start, &end],
            true,
        ),
        (
            "neighbours",
            relink::NEIGHBOURS,
            vec![&repository, &start, &end, &start, &end, &digests, &addresses],
            true,
        ),
        (
            "raw events of several sources",
            relink::MERGED,
            vec![&repository, &start, &end, &category, &start, &end],
            true,
        ),
        (
            "deletes of requests",
            relink::DELETES_OF_REQUESTS,
            vec![&repository, &ids, &start, &end],
            true,
        ),
        (
            "logical events to replace",
            relink::MADE_OF_OTHERS,
            vec![&repository, &start, &end, &ids],
            true,
        ),
        (
            "deletes to replace",
            relink::MADE_OF_DELETES,
            vec![&repository, &start, &end, &ids],
            true,
        ),
        (
            "logical events to remove",
            logical::DELETE,
            vec![&repository, &categories, &start, &end, &ids, &ids],
            true,
        ),
        (
            "their tags",
            logical::DELETE_TAGS,
            vec![&repository, &categories, &start, &end, &ids, &ids, &tags],
            true,
        ),
        (
            "deletes by digest",
            manifests::DELETES_BY_DIGEST,
            vec![&repository, &digests],
            true,
        ),
        (
            "facts held",
            pointers::HELD,
            vec![&repository, &tags, &start],
            false,
        ),
        (
            "facts kept",
            pointers::KEPT,
            vec![&repository, &tags, &start, &end],
            true,
        ),
        (
            "ends of pointers",
            pointers::ENDS,
            vec![&repository, &tags, &digests, &start, &end],
            true,
        ),
        ("marks", linker::MARKS, vec![&repository, &limit], true),
        ("names of tags", facts::TAG_NAMES, vec![&repository], false),
        (
            "last of tags",
            facts::LAST,
            vec![&repository, &tags, &category],
            true,
        ),
        (
            "bound of expired logical events",
            purge::BOUND_LOGICAL,
            vec![&repository, &category, &first, &start, &limit],
            true,
        ),
        (
            "expired logical events",
            purge::DELETE_LOGICAL,
            vec![&repository, &category, &start, &end, &end],
            true,
        ),
        (
            "bound of expired raw events",
            purge::BOUND_RAW,
            vec![&repository, &first, &start, &limit],
            true,
        ),
        (
            "sums of buckets",
            parts::SUMS,
            vec![&repository, &category, &starts, &scope, &nothing, &category],
            true,
        ),
        (
            "sealed buckets",
            parts::SEALED,
            vec![&repository, &category, &first, &last],
            true,
        ),
        (
            "buckets to open",
            opened::UNSEAL,
            vec![&repository, &starts, &starts, &starts],
            true,
        ),
        (
            "open buckets",
            sealing::OPEN,
            vec![&category, &last, &first, &first, &limit],
            true,
        ),
        (
            "events of a bucket",
            sealing::EVENTS,
            vec![&repository, &start, &end],
            true,
        ),
        (
            "size of a bucket",
            sealing::AT_MOST,
            vec![&repository, &start, &end, &limit],
            true,
        ),
        (
            "expired raw events",
            purge::DELETE_RAW,
            vec![&repository, &start, &end, &end],
            true,
        ),
    ]);
    for (name, sql, parameters, is_ordered) in statements {
        let plan = plan(&client, sql, &parameters).await;
        let scans_a_table = plan
            .lines()
            .any(|line| line.contains("Seq Scan on") && !line.contains("Seq Scan on category_facts"));
        assert!(!scans_a_table, "{name}:\n{plan}");
        assert!(!is_ordered || !plan.contains("Sort"), "{name}:\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stretch_of_one_day_looks_into_its_partition_alone() {
    let backend = Postgres::fresh().await;
    let store = backend.open().await;
    let client = connect(&backend.url).await;
    let today = i64::try_from(Timestamp::now().as_nanosecond()).unwrap();
    local_cluster::wait_until(std::time::Duration::from_secs(20), "partitions", async || {
        let row = client
            .query_one(
                "SELECT count(*) FROM pg_inherits WHERE inhparent = 'raw_events'::regclass",
                &[],
            )
            .await?;
        let count: i64 = row.get(0);
        anyhow::ensure!(count >= 5, "{count} partitions");
        Ok(())
    })
    .await
    .unwrap();
    client
        .batch_execute("SET plan_cache_mode = force_custom_plan")
        .await
        .unwrap();
    let plan = plan(&client, relink::RAW_IN_SPAN, &[&1_i64, &today, &(today + 1)]).await;
    assert_eq!(plan.matches(" on raw_events").count(), 1, "{plan}");
    store.close().await.unwrap();
}

/// Where it expects a part of a large table, it reads the whole of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_planner_expects_few_events_in_a_few_minutes() {
    let (_backend, client) = filled().await;
    let (repository, category, id, limit) = (1_i64, 2_i16, vec![0_u8], 50_i64);
    let (start, end) = (60_000_000_000_000_i64, 60_420_000_000_000_i64);
    let (tag, digest) = ("v7", vec![7_u8; 32]);
    for (kind, key) in [
        (Kind::All, None::<&(dyn ToSql + Sync)>),
        (Kind::Tag, Some(&tag as &(dyn ToSql + Sync))),
        (Kind::TaggedDigest, Some(&digest)),
    ] {
        let within: Vec<&(dyn ToSql + Sync)> = vec![&repository, &category, &start, &id, &end, &id];
        let tally = [within.clone(), key.into_iter().collect()].concat();
        let page = [within, vec![&limit], key.into_iter().collect()].concat();
        for (sql, parameters) in [(query::sql(kind).tally, tally), (query::sql(kind).page, page)] {
            let plan = plan(&client, sql, &parameters).await;
            let most = plan
                .split_whitespace()
                .filter_map(|word| word.strip_prefix("rows=")?.parse::<u64>().ok())
                .max();
            // 35 there are.
            assert!(most.unwrap() < 350, "{plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_reads_events_in_the_order_of_an_index() {
    let (_backend, client) = filled().await;
    client.batch_execute("SET enable_sort = off").await.unwrap();
    let plan = plan(
        &client,
        transfer::EVENTS,
        &[&1_i64, &0_i64, &[0_u8].as_slice(), &0_i64],
    )
    .await;
    // An append merges what is in order.
    assert!(!plan.contains("Sort  (") && !plan.contains("Seq Scan"), "{plan}");
}

/// A plan that is kept was made for no values, perhaps when tables were empty.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_that_are_kept_search_by_index() {
    let backend = Postgres::fresh().await;
    backend.open().await.close().await.unwrap();
    let client = connect(&backend.url).await;
    client.batch_execute(begin_keeping_plans!()).await.unwrap();
    let nothing = |parameters: usize| vec!["NULL"; parameters].join(", ");
    for (number, (sql, parameters, expected)) in [
        (
            raw::INSERT_ALL,
            nothing(22),
            "Index Cond: ((repository = sent.repository) AND (id = sent.id))",
        ),
        (counts::NOTE, nothing(15), "Index Cond"),
        (append::LOCK_SOURCES, nothing(1), "Index Cond"),
        (linker::MARKS, nothing(2), "Index Cond"),
        (linker::NAME, nothing(1), "Index Cond"),
        (
            relink::RAW_IN_SPAN,
            "1, 5, 6".to_owned(),
            "Index Cond: ((repository = $1) AND (\"time\" >= $2) AND (\"time\" <= $3))",
        ),
        (
            relink::BETWEEN,
            nothing(4),
            "Index Cond: ((repository = $1) AND (\"time\" > stretch.finish) AND (\"time\" < stretch.next))",
        ),
        (
            relink::NEIGHBOURS,
            "1, 1, 5, 6, 9, NULL, NULL".to_owned(),
            "Index Cond: ((repository = $1) AND (\"time\" > $4) AND (\"time\" <= $5))",
        ),
        (
            relink::DELETES_OF_REQUESTS,
            "1, NULL, 5, 6".to_owned(),
            "request_id_idx",
        ),
        (manifests::DELETES_BY_DIGEST, nothing(2), "digest_idx"),
        (pointers::HELD, nothing(3), "(tag = ANY ($2))"),
        (pointers::KEPT, nothing(4), "(tag = ANY ($2))"),
        (pointers::ENDS, nothing(5), "(tag = ANY ($2))"),
        (opened::UNSEAL, nothing(4), "Index Cond"),
        (changes::TELL, nothing(5), "Insert on changes"),
    ]
    .into_iter()
    .enumerate()
    {
        client
            .batch_execute(&format!("PREPARE kept_{number} AS {sql}"))
            .await
            .unwrap();
        let plan = plan(&client, &format!("EXECUTE kept_{number} ({parameters})"), &[]).await;
        assert!(!plan.contains("Seq Scan on"), "{sql}:\n{plan}");
        assert!(!plan.contains("Join"), "{sql}:\n{plan}");
        assert!(plan.contains(expected), "{sql}:\n{plan}");
    }
}

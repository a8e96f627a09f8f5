//! No hot statement reads a whole table or index, or sorts.

use rusqlite::Connection;

use super::super::{append, facts, opened, parts, pointers, purge, query, relink, schema, sealing, sums};
use super::Sqlite;
use crate::store::conformance::Backend;

/// The steps of a statement's plan.
fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let count = statement.parameter_count();
    let nothing = vec![rusqlite::types::Value::Null; count];
    statement
        .query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[tokio::test]
async fn hot_statements_search_by_index() {
    let backend = Sqlite::fresh().await;
    let connection = schema::open_writer(&backend.path()).unwrap();
    let pages = [
        (
            "all",
            query::ALL.page,
            "repository=? AND category=? AND (time,id)>(?,?) AND (time,id)<(?,?)",
        ),
        (
            "whole repository",
            query::WHOLE_REPOSITORY.page,
            "repository=? AND category=? AND (time,id)>(?,?) AND (time,id)<(?,?)",
        ),
        (
            "tag",
            query::TAG.page,
            "repository=? AND tag=? AND category=? AND (time,id)>(?,?) AND (time,id)<(?,?)",
        ),
        (
            "tag delete",
            query::TAG_DELETE.page,
            "repository=? AND tag=? AND category=? AND (time,id)>(?,?) AND (time,id)<(?,?)",
        ),
        (
            "tagged digest",
            query::TAGGED_DIGEST.page,
            "repository=? AND digest=? AND tagged=? AND category=? AND (time,id)>(?,?) AND (time,id)<(?,?)",
        ),
        (
            "untagged digest",
            query::UNTAGGED_DIGEST.page,
            "repository=? AND digest=? AND tagged=? AND category=? AND (time,id)>(?,?) AND (time,id)<(?,?)",
        ),
    ];
    for (name, sql, bounds) in pages {
        let plan = plan(&connection, sql);
        assert!(plan[0].contains(bounds), "{name}: {plan:?}");
        assert!(
            !plan.iter().any(|step| step.contains("TEMP B-TREE")),
            "{name} sorts: {plan:?}"
        );
    }
    let others = [
        ("count of all", query::ALL.count),
        ("count of a repository", query::WHOLE_REPOSITORY.count),
        ("count of a tag", query::TAG.count),
        ("count of tag deletes", query::TAG_DELETE.count),
        ("count of a tagged digest", query::TAGGED_DIGEST.count),
        ("count of an untagged digest", query::UNTAGGED_DIGEST.count),
        ("an id that has the time it was received", append::RECEIVED),
        ("an id to note as such", append::INSERT_RECEIVED),
        ("deletes of a digest", append::DELETES_BY_DIGEST),
        ("ends of a pointer", pointers::ENDED),
        ("later facts", pointers::LATER_POINTS),
        ("raw events to link", relink::RAW_IN_SPAN),
        ("where a part of them ends", relink::END_OF_PART),
        ("deletes of a request", relink::DELETES_OF_REQUESTS),
        ("raw events of several sources", relink::MERGED),
        ("what sources report", relink::REPORTING),
        ("pulls before", relink::PULLS_FROM),
        ("pulls after", relink::PULLS_TO),
        ("logical event to replace", relink::LOGICAL),
        ("expired logical events", purge::EXPIRED_LOGICAL),
        ("expired raw events", purge::EXPIRED_RAW),
        ("last of a tag", facts::LAST_OF_TAG),
        ("sealed buckets", parts::SEALED),
        ("sums of a bucket", parts::SUMS),
        ("buckets to open", opened::UNSEAL),
        ("open buckets", sealing::OPEN),
        ("events of a bucket", sums::EVENTS),
    ];
    for (name, sql) in pages.map(|(name, sql, _)| (name, sql)).into_iter().chain(others) {
        for step in plan(&connection, sql) {
            assert!(
                !step.contains("SCAN") || step.contains("SCAN CONSTANT ROW"),
                "{name}: {step}"
            );
        }
    }
    for step in plan(&connection, facts::TAG_NAMES) {
        assert!(
            !step.contains("SCAN logical_tags") && !step.contains("SCAN category_facts"),
            "{step}"
        );
    }
}

use std::collections::BTreeMap;

use super::{Backend, append_lines, ask, clause, ids, lines, query, registry, window};
use crate::{
    event::{
        Attribution, DeleteTarget, LogicalCategory,
        fixture::{at, digest, raw},
    },
    store::{Clause, Clients, EventQuery, EventReader, PageKey, RegistryKey, Select, Tally},
};

/// One tag that moved, another with the same digest, a client that pulls by digest, deletes.
const STORY: &str = "
    p1 100 a PUT v1 @A
    p2 200 a PUT stable @A
    g1 300 b GET v1 @A
    g2 400 c GET - @A
    g3 500 c GET stable @A
    p3 600 a PUT v1 @B
    g4 700 c GET - @B
    h1 800 d HEAD v1 @B
    d1 900 a DELETE stable -
    d2 1000 a DELETE - @A
    d3 1100 a DELETE - @X
    d4 1200 a DELETE - -
";

pub(crate) async fn events_come_newest_first_and_equal_times_by_id<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(
        &backend,
        &store,
        "b 1 a GET v1 @A\nc 1 b PUT v1 @A\na 1 c GET v2 @B\nz 0 a GET v1 @A",
    )
    .await;
    assert_eq!(ids(&store, Select::All).await, ["c", "b", "a", "z"]);
}

pub(crate) async fn pages_follow_each_other_without_gap_or_repeat<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    // Many at one instant, so that pages end between equal times.
    let history: Vec<String> = (0..40)
        .map(|n| format!("g{n:02} {} a GET t{} @A", n / 7 * 20, n % 3))
        .collect();
    append_lines(&backend, &store, &history.join("\n")).await;
    let clauses = vec![
        clause(Select::Tag("t0".to_owned())),
        clause(Select::Tag("t1".to_owned())),
    ];
    let whole = ask(&store, query(clauses.clone())).await;
    assert_eq!(whole.len(), 27);
    for size in [1, 2, 5, 26, 27, 28] {
        let mut pages = Vec::new();
        let mut before = None;
        loop {
            let page = store
                .events(query(clauses.clone()), before.clone(), size)
                .await
                .unwrap();
            assert!(page.len() <= size);
            let Some(last) = page.last() else { break };
            before = Some(PageKey {
                time: last.event.time,
                id: last.event.id.clone(),
            });
            pages.extend(page);
        }
        assert_eq!(pages, whole, "pages of {size}");
    }
    assert!(store.events(query(clauses), None, 0).await.unwrap().is_empty());
}

pub(crate) async fn each_clause_selects_its_own<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, STORY).await;
    let tag = |tag: &str| tag.to_owned();
    let found = |select| ids(&store, select);
    assert_eq!(found(Select::All).await.len(), 12);
    assert_eq!(found(Select::Tag(tag("v1"))).await, ["h1", "p3", "g1", "p1"]);
    assert_eq!(found(Select::Tag(tag("stable"))).await, ["d1", "g3", "p2"]);
    assert_eq!(found(Select::Tag(tag("v"))).await, [""; 0], "no prefix matches");
    assert_eq!(found(Select::WholeRepository).await, ["d4"]);
    assert_eq!(
        found(Select::Digest(digest('A'))).await,
        ["d2", "g3", "g2", "g1", "p2", "p1"]
    );
    assert_eq!(found(Select::UntaggedDigest(digest('A'))).await, ["d2", "g2"]);
    assert_eq!(found(Select::Digest(digest('X'))).await, ["d3"]);
    assert_eq!(found(Select::TagDelete(tag("stable"))).await, ["d1"]);
    assert_eq!(found(Select::TagDelete(tag("v1"))).await, [""; 0]);
}

pub(crate) async fn clauses_are_merged_with_their_attribution<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, STORY).await;
    let clauses = vec![
        clause(Select::Tag("v1".to_owned())),
        Clause {
            select: Select::UntaggedDigest(digest('A')),
            window: window(100.0, 600.0),
            attribution: Attribution::Shared,
        },
        Clause {
            select: Select::UntaggedDigest(digest('B')),
            window: window(600.0, 10_000.0),
            attribution: Attribution::Linked,
        },
        Clause {
            attribution: Attribution::Linked,
            ..clause(Select::WholeRepository)
        },
    ];
    let found = ask(&store, query(clauses)).await;
    let told: Vec<_> = found
        .iter()
        .map(|found| (found.event.id.as_str(), found.attribution))
        .collect();
    assert_eq!(
        told,
        [
            ("d4", Attribution::Linked),
            ("h1", Attribution::Named),
            ("g4", Attribution::Linked),
            ("p3", Attribution::Named),
            ("g2", Attribution::Shared),
            ("g1", Attribution::Named),
            ("p1", Attribution::Named),
        ]
    );
}

pub(crate) async fn categories_and_half_open_windows_filter<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, STORY).await;
    let in_window = |start, end, categories: &[LogicalCategory]| EventQuery {
        categories: categories.to_vec(),
        ..query(vec![Clause {
            window: window(start, end),
            ..clause(Select::All)
        }])
    };
    let start_in_end_out = ask(&store, in_window(200.0, 400.0, &[])).await;
    assert_eq!(
        lines(&start_in_end_out),
        ["g1 Pull v1 @A x1", "p2 Push stable @A x1"]
    );
    assert!(ask(&store, in_window(400.0, 400.0, &[])).await.is_empty());
    assert!(ask(&store, in_window(500.0, 400.0, &[])).await.is_empty());
    let told = |categories: &'static [LogicalCategory]| {
        let asked = in_window(0.0, 10_000.0, categories);
        async {
            ask(&store, asked)
                .await
                .into_iter()
                .map(|found| found.event.id)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(told(&[LogicalCategory::Push]).await, ["p3", "p2", "p1"]);
    assert_eq!(told(&[LogicalCategory::Check]).await, ["h1"]);
    assert_eq!(told(&[LogicalCategory::Delete]).await, ["d4", "d2", "d1"]);
    assert_eq!(told(&[LogicalCategory::UnresolvedDelete]).await, ["d3"]);
    let several = told(&[
        LogicalCategory::Pull,
        LogicalCategory::Push,
        LogicalCategory::Pull,
    ])
    .await;
    assert_eq!(several, ["g4", "p3", "g3", "g2", "g1", "p2", "p1"]);
}

pub(crate) async fn a_tally_counts_what_the_events_are<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, STORY).await;
    let clauses = vec![
        clause(Select::Tag("v1".to_owned())),
        Clause {
            attribution: Attribution::Linked,
            ..clause(Select::UntaggedDigest(digest('A')))
        },
        Clause {
            attribution: Attribution::Linked,
            window: window(0.0, 700.1),
            ..clause(Select::UntaggedDigest(digest('B')))
        },
        clause(Select::WholeRepository),
    ];
    let mut expected: BTreeMap<String, Tally> = BTreeMap::new();
    for found in ask(&store, query(clauses.clone())).await {
        let event = found.event;
        let key = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?}",
            event.category, event.target, event.address, event.network_type, event.actor, found.attribution
        );
        let tally = expected.entry(key).or_insert(Tally {
            category: event.category,
            target: event.target,
            address: event.address,
            network_type: event.network_type,
            actor: event.actor.map(Into::into),
            attribution: found.attribution,
            count: 0,
            first: event.time,
            last: event.time,
        });
        tally.count += 1;
        tally.first = tally.first.min(event.time);
        tally.last = tally.last.max(event.time);
    }
    let tallies = store.tally(query(clauses)).await.unwrap();
    let told: BTreeMap<String, Tally> = tallies
        .iter()
        .map(|tally| {
            let Tally {
                category,
                target,
                address,
                network_type,
                actor,
                attribution,
                ..
            } = tally;
            (
                format!("{category:?} {target:?} {address:?} {network_type:?} {actor:?} {attribution:?}"),
                tally.clone(),
            )
        })
        .collect();
    assert_eq!(told.len(), tallies.len(), "a group is told once: {tallies:?}");
    assert_eq!(told, expected);
    let linked = tallies
        .iter()
        .find(|tally| tally.category == LogicalCategory::Pull && tally.attribution == Attribution::Linked)
        .unwrap();
    assert_eq!(
        (linked.count, linked.first, linked.last),
        (2, at(400.0), at(700.0))
    );
    let manifest = tallies
        .iter()
        .find(|tally| tally.target == Some(DeleteTarget::Manifest))
        .unwrap();
    assert_eq!((manifest.count, manifest.first), (1, at(1000.0)));
}

pub(crate) async fn a_filter_on_clients_lists_and_counts_theirs_alone<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, STORY).await;
    // The client `c` of the lines, and whoever has no name.
    let address = raw("x 1 c GET v1 @A").event.address;
    let theirs = |clauses| EventQuery {
        clients: Clients::only(move |client| client.address == address && client.actor.is_none()),
        ..query(clauses)
    };
    let all = theirs(vec![clause(Select::All)]);
    let found = ask(&store, all.clone()).await;
    assert_eq!(
        lines(&found),
        ["g4 Pull - @B x1", "g3 Pull stable @A x1", "g2 Pull - @A x1"]
    );
    let newest = store.events(all.clone(), None, 2).await.unwrap();
    assert_eq!(newest, found[..2]);
    let key = PageKey {
        time: newest[1].event.time,
        id: newest[1].event.id.clone(),
    };
    assert_eq!(store.events(all.clone(), Some(key), 2).await.unwrap(), found[2..]);
    let tallies = store.tally(all).await.unwrap();
    assert_eq!(tallies.len(), 1, "{tallies:?}");
    assert_eq!((tallies[0].address, tallies[0].count), (address, 3));
    let stable = theirs(vec![clause(Select::Tag("stable".to_owned()))]);
    assert_eq!(lines(&ask(&store, stable).await), ["g3 Pull stable @A x1"]);
    let nobody = EventQuery {
        clients: Clients::only(|client| client.actor == Some("nobody")),
        ..query(vec![clause(Select::All)])
    };
    assert!(ask(&store, nobody.clone()).await.is_empty());
    assert!(store.tally(nobody).await.unwrap().is_empty());
}

pub(crate) async fn nothing_is_known_of_what_was_never_seen<B: Backend>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    for round in 0..2 {
        let elsewhere = RegistryKey {
            namespace: "elsewhere".to_owned(),
            ..registry()
        };
        for registry in [elsewhere, registry()] {
            let asked = EventQuery {
                registry: registry.clone(),
                repository: "never/seen".to_owned(),
                ..query(vec![clause(Select::All)])
            };
            assert!(ask(&store, asked.clone()).await.is_empty());
            assert!(store.tally(asked).await.unwrap().is_empty());
            let never = "never/seen".to_owned();
            assert!(
                store
                    .tag_pointers(registry.clone(), never.clone())
                    .await
                    .unwrap()
                    .is_empty()
            );
            assert!(store.tags(registry.clone(), never).await.unwrap().is_empty());
            if round == 0 {
                assert!(store.sources(registry).await.unwrap().is_empty());
            }
        }
        append_lines(&backend, &store, STORY).await;
        assert!(
            ask(&store, query(Vec::new())).await.is_empty(),
            "no clause selects nothing"
        );
    }
}

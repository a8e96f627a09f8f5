//! Exports and imports of one store; `moves` has those from one to another.

use std::io::BufReader;

use jiff::{SignedDuration, Timestamp};

use super::{Backend, append, delivery, empty, registry};
use crate::{
    cluster::{ContainerType, Lifecycle, WorkloadUse},
    event::fixture::{at, raw, raws},
    store::{
        Cursor, Cursors, Delivery, Keeping, LogKey, Quarantined, RegistryKey, StoreError, Terms, Upkeep,
        UsageStore,
        transfer::{
            EventKey, Progress, Record, Scope, TransferError, TransferReader, TransferWriter, decode, export,
            import,
        },
    },
};

pub(super) const CLUSTER: &str = "c1";
pub(super) const APP: &str = "registry.example.com/team/app";

/// A store under test that can be carried.
pub(crate) trait Carried: Backend {
    async fn reader(&self, scope: Scope) -> Result<Box<dyn TransferReader>, StoreError>;
    async fn writer(&self) -> Result<Box<dyn TransferWriter>, StoreError>;
}

/// Runs every behaviour of one store, or of moves from one kind to another.
macro_rules! transfer {
    ($kind:ty) => {
        crate::store::conformance::conformance!($kind: transfer::{
            an_export_goes_on_after_a_line_and_the_parts_are_the_whole,
            a_scope_leaves_out_other_registries_and_what_happened_before,
            an_export_tells_how_it_was_when_it_began,
            an_import_and_a_running_store_keep_out_of_each_others_way,
            the_same_file_again_changes_nothing,
            an_export_of_a_newer_form_changes_nothing,
            a_store_knows_more_than_a_file_that_comes_later,
        }, listening::{
            a_move_neither_hides_nor_invents_a_time_in_which_nobody_listened,
        });
    };
    ($from:ty => $to:ty) => {
        crate::store::conformance::transfer::transfer!($from => $to:
            a_moved_store_is_exported_as_the_same_lines_and_answers_the_same,
            an_interrupted_import_goes_on_and_the_content_is_the_same,
            a_file_that_was_cut_off_is_taken_as_far_as_it_goes_and_says_so,
            what_events_teach_need_not_be_in_the_file,
        );
    };
    ($from:ty => $to:ty: $($behaviour:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                crate::store::conformance::moves::$behaviour::<$from, $to>().await;
            }
        )+
    };
}
pub(crate) use transfer;

pub(crate) fn used() -> WorkloadUse {
    let reference = "registry.example.com/team/app:v1";
    WorkloadUse {
        namespace: "shop".into(),
        kind: "Deployment".into(),
        name: "web".into(),
        container: "app".into(),
        container_type: ContainerType::Container,
        reference: reference.into(),
        image: std::sync::Arc::new(reference.parse().unwrap()),
        running: None,
        lifecycle: Lifecycle::Running,
        pods: 3,
        ready_pods: 2,
        since: at(5.0),
    }
}

pub(super) fn other() -> RegistryKey {
    RegistryKey {
        uid: "2".to_owned(),
        ..registry()
    }
}

/// A little of everything; some facts outlive their events.
pub(super) async fn fill<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let terms = Terms {
        retention: SignedDuration::from_hours(720),
        quota: Some(100_000),
    };
    store.keep(registry(), terms).await.unwrap();
    let pulls: Vec<_> = (0..2500)
        .map(|n| raw(&format!("g{n} {} b GET v{} @A", 1000 + n, n % 7)))
        .collect();
    for part in pulls.chunks(250) {
        append(&store, delivery(part.to_vec())).await;
    }
    let others = "p1 1 a PUT v1 @A\nh1 2 c HEAD v1 @A\nq1 3 c GET - @A\nd1 4 a DELETE v2 -\nd2 5 a DELETE - @Z\n\
                  p2 80000 a PUT v2 @B received=90000\nd3 80001 a DELETE - @B";
    append(&store, delivery(raws(others))).await;
    let mut elsewhere = raw("5e0f3c1a-0000-4000-8000-00000000001f 7 a GET v1 @A");
    elsewhere.event.repository = "a".to_owned();
    elsewhere.event.time = None;
    elsewhere.event.instance_id = Some("i1".to_owned());
    append(&store, delivery(vec![elsewhere.clone()])).await;
    append(
        &store,
        Delivery {
            registry: other(),
            source: "second".to_owned(),
            ..delivery(vec![elsewhere])
        },
    )
    .await;
    let terms = Terms { quota: None, ..terms };
    store.keep(other(), terms).await.unwrap();
    store.release(other(), at(95_000.0)).await.unwrap();
    let unreadable = Quarantined {
        reason: "Malformed",
        body: b"{".to_vec(),
        ..Quarantined::default()
    };
    append(
        &store,
        Delivery {
            quarantined: Some(unreadable),
            ..empty(2000.0)
        },
    )
    .await;
    let log = LogKey {
        registry: registry(),
        source: super::SOURCE.to_owned(),
        log: "organization/team".to_owned(),
    };
    let cursor = Cursor {
        since: at(0.0),
        until: at(2000.0),
    };
    store.set_cursor(log, cursor).await.unwrap();
    backend.settle(&store).await;
    store.purge(registry(), at(1500.0)).await.unwrap();
    for (seconds, uses) in [(9.0, vec![used()]), (19.0, Vec::new()), (29_000.0, vec![used()])] {
        let changed = vec![(APP.parse().unwrap(), uses)];
        store
            .save_uses(CLUSTER.to_owned(), at(seconds), changed)
            .await
            .unwrap();
    }
    backend.close(store).await;
}

pub(super) async fn exported<B: Carried>(backend: &B, scope: Scope) -> String {
    let mut reader = backend.reader(scope).await.unwrap();
    written(reader.as_mut()).await
}

async fn written(reader: &mut dyn TransferReader) -> String {
    let mut out = Vec::new();
    export(reader, &mut out, |_| {}).await.unwrap();
    String::from_utf8(out).unwrap()
}

pub(super) async fn imported<B: Carried>(
    backend: &B,
    lines: &str,
    skip: u64,
) -> Result<Progress, TransferError> {
    let mut writer = backend.writer().await?;
    import(
        &mut BufReader::new(lines.as_bytes()),
        writer.as_mut(),
        skip,
        |_| {},
    )
    .await
}

pub(crate) async fn the_same_file_again_changes_nothing<B: Carried>() {
    let backend = B::fresh().await;
    fill(&backend).await;
    let lines = exported(&backend, Scope::default()).await;
    let again = imported(&backend, &lines, 0).await.unwrap();
    assert_eq!(again.events, 0);
    assert!(again.duplicates > 2000, "{again:?}");
    assert!(exported(&backend, Scope::default()).await == lines);
}

pub(crate) async fn an_export_of_a_newer_form_changes_nothing<B: Carried>() {
    let backend = B::fresh().await;
    fill(&backend).await;
    let lines = exported(&backend, Scope::default()).await;
    let newer = lines.replacen("\"version\":1", "\"version\":2", 1);
    let fresh = B::fresh().await;
    let refused = imported(&fresh, &newer, 0).await.unwrap_err();
    assert!(refused.to_string().contains("run a newer version"), "{refused}");
    assert_eq!(exported(&fresh, Scope::default()).await.lines().count(), 2);
}

/// Terms, media types, times and what clusters run.
pub(crate) async fn a_store_knows_more_than_a_file_that_comes_later<B: Carried>() {
    let backend = B::fresh().await;
    fill(&backend).await;
    let lines = exported(&backend, Scope::default()).await;
    let poorer: Vec<String> = lines
        .lines()
        .filter(|line| !line.starts_with("{\"event\":"))
        .map(|line| match decode(line).unwrap() {
            Record::Registry { registry, .. } => Record::Registry {
                registry,
                retention: Some(SignedDuration::from_hours(1)),
                quota: Some(1),
                released: None,
            },
            Record::Uses {
                cluster, repository, ..
            } => Record::Uses {
                cluster,
                repository,
                as_of: at(1.0),
                uses: Vec::new(),
            },
            record => record,
        })
        .map(|record| crate::store::transfer::encode(&record).unwrap())
        .collect();
    imported(&backend, &format!("{}\n", poorer.join("\n")), 0)
        .await
        .unwrap();
    assert!(exported(&backend, Scope::default()).await == lines);
}

pub(crate) async fn an_export_goes_on_after_a_line_and_the_parts_are_the_whole<B: Carried>() {
    let backend = B::fresh().await;
    fill(&backend).await;
    let lines = exported(&backend, Scope::default()).await;
    let is_event = |line: &&str| line.starts_with("{\"event\"");
    let whole: Vec<&str> = lines.lines().filter(is_event).collect();
    for at in [0, 1, 2, whole.len() / 2, whole.len() - 1] {
        let Record::Event { registry, event } = decode(whole[at]).unwrap() else {
            panic!("an event");
        };
        let after = EventKey {
            registry,
            repository: event.event.repository,
            time: event.time,
            id: event.event.id,
        };
        let scope = Scope {
            after: Some(after),
            ..Scope::default()
        };
        let rest = exported(&backend, scope).await;
        let rest: Vec<&str> = rest.lines().filter(is_event).collect();
        assert!(rest == whole[at + 1..], "after event {at}");
    }
}

pub(crate) async fn a_scope_leaves_out_other_registries_and_what_happened_before<B: Carried>() {
    let backend = B::fresh().await;
    fill(&backend).await;
    let scope = Scope {
        registry: Some(("default".to_owned(), "registry".to_owned())),
        since: Some(at(2000.0)),
        after: None,
    };
    let lines = exported(&backend, scope).await;
    assert!(!lines.contains("\"uses\""));
    let times: Vec<Timestamp> = lines
        .lines()
        .filter_map(|line| match decode(line).unwrap() {
            Record::Event { event, .. } => Some(event.time),
            _ => None,
        })
        .collect();
    assert_eq!(times.len(), 1502, "g1000 to g2499, p2 and d3");
    assert!(times.iter().all(|time| *time >= at(2000.0)));
    let nobody = Scope {
        registry: Some(("default".to_owned(), "none".to_owned())),
        ..Scope::default()
    };
    assert_eq!(exported(&backend, nobody).await.lines().count(), 2);
}

pub(crate) async fn an_export_tells_how_it_was_when_it_began<B: Carried>() {
    let backend = B::fresh().await;
    fill(&backend).await;
    let lines = exported(&backend, Scope::default()).await;
    let store = backend.open().await;
    let mut reader = backend.reader(Scope::default()).await.unwrap();
    append(&store, delivery(vec![raw("late 99999 a GET v9 @A")])).await;
    backend.settle(&store).await;
    assert!(written(reader.as_mut()).await == lines);
    backend.close(store).await;
}

pub(crate) async fn an_import_and_a_running_store_keep_out_of_each_others_way<B: Carried>() {
    let backend = B::fresh().await;
    let store = backend.open().await;
    let refused = backend.writer().await.err().unwrap();
    assert!(refused.to_string().contains("only one may run"), "{refused}");
    // It goes on.
    append(&store, delivery(vec![raw("g1 1 a GET v1 @A")])).await;
    backend.close(store).await;
    let writer = backend.writer().await.unwrap();
    let refused = backend.writer().await.err().unwrap();
    assert!(refused.to_string().contains("only one may run"), "{refused}");
    drop(writer);
    let store = backend.open().await;
    append(&store, delivery(vec![raw("g2 2 a GET v1 @A")])).await;
    backend.close(store).await;
}

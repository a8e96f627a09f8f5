use std::{
    io::BufReader,
    path::{Path, PathBuf},
};

use jiff::SignedDuration;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    cluster::{ContainerType, Lifecycle, WorkloadUse},
    event::{
        AddressSource, Category, DeleteTarget, LogicalCategory, NetworkType, RegistryEvent, SourceAddress,
        StoredEvent,
        fixture::{at, raw, raws},
    },
    image::Digest,
    store::{
        Delivery, EventReader, Keeping, Quarantined, RegistryKey, SqliteReader, SqliteStore, SqliteWriter,
        Terms, Upkeep, UsageSpan, UsageStore,
        conformance::{REPOSITORY, all, append, delivery, empty, registry},
    },
};

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9./_-]{1,12}",
        "\\PC{0,8}",
        Just("\u{1b}[2J\"\\\n\u{0}".to_owned())
    ]
}

fn registries() -> impl Strategy<Value = RegistryKey> {
    ("[a-z]{1,5}", "[a-z.]{1,5}", "[a-f0-9-]{1,8}").prop_map(|(namespace, name, uid)| RegistryKey {
        namespace,
        name,
        uid,
    })
}

fn times() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64, 0..1_000_000_000_i32)
        .prop_map(|(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds).unwrap())
}

fn digests() -> impl Strategy<Value = Digest> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(Digest::Sha256),
        proptest::collection::vec(any::<u8>(), 64)
            .prop_map(|bytes| Digest::Sha512(Box::new(bytes.try_into().unwrap()))),
    ]
}

fn maybe<T: std::fmt::Debug>(some: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(some)
}

prop_compose! {
    fn events()(
        (id, repository, source) in (texts(), texts(), texts()),
        category in prop_oneof![Just(Category::Push), Just(Category::Pull), Just(Category::Delete)],
        target in maybe(prop_oneof![
            Just(DeleteTarget::Tag), Just(DeleteTarget::Manifest), Just(DeleteTarget::Repository)
        ]),
        (tag, digest, media_type, method) in (maybe(texts()), maybe(digests()), maybe(texts()), maybe(texts())),
        address in maybe((any::<std::net::IpAddr>(), any::<bool>())),
        network_type in maybe(prop_oneof![Just(NetworkType::Private), Just(NetworkType::Public)]),
        (forwarded_chain, actor, user_agent) in (maybe(texts()), maybe(texts()), maybe(texts())),
        (time, received) in (maybe(times()), times()),
        (request_id, instance_id) in (maybe(texts()), maybe(texts())),
    ) -> StoredEvent {
        let address = address.map(|(ip, peer)| SourceAddress {
            ip,
            source: if peer { AddressSource::Peer } else { AddressSource::Header },
        });
        let event = RegistryEvent {
            id, category, target, repository, tag, digest, media_type, method, address,
            network_type, forwarded_chain,
            actor, user_agent, time, request_id, instance_id,
        };
        StoredEvent::new(source, received, event)
    }
}

fn facts() -> impl Strategy<Value = Fact> {
    prop_oneof![
        (texts(), times(), digests()).prop_map(|(tag, time, digest)| Fact::Points { tag, time, digest }),
        (times(), maybe(texts()), maybe(digests())).prop_map(|(time, tag, digest)| Fact::Ended {
            time,
            tag,
            digest
        }),
        (digests(), maybe(texts()), times()).prop_map(|(digest, media_type, learnt)| Fact::Manifest {
            digest,
            media_type,
            learnt
        }),
        (
            maybe(texts()),
            prop_oneof![
                Just(LogicalCategory::Check),
                Just(LogicalCategory::UnresolvedDelete)
            ],
            times(),
            times()
        )
            .prop_map(|(tag, category, first, last)| Fact::Times {
                tag,
                category,
                first,
                last
            }),
    ]
}

fn records() -> impl Strategy<Value = Record> {
    prop_oneof![
        (0..=VERSION).prop_map(|version| Record::Header { version }),
        (
            registries(),
            maybe(0..10_000_000_i64),
            maybe(any::<i64>()),
            maybe(times())
        )
            .prop_map(|(registry, retention, quota, released)| Record::Registry {
                registry,
                retention: retention.map(SignedDuration::from_secs),
                quota,
                released
            }),
        (registries(), texts(), times(), maybe(times()), any::<[i64; 4]>()).prop_map(
            |(registry, source, time, last_event, [stored, duplicates, ignored, quarantined])| {
                Record::Source {
                    registry,
                    source,
                    since: time,
                    last_delivery: time,
                    last_event,
                    stored,
                    duplicates,
                    ignored,
                    quarantined,
                }
            }
        ),
        (registries(), texts(), texts(), times(), times()).prop_map(|(registry, source, id, first, last)| {
            Record::Instance {
                registry,
                source,
                id,
                first,
                last,
            }
        }),
        (registries(), texts(), texts(), times(), times()).prop_map(
            |(registry, source, reason, start, end)| Record::Gap {
                registry,
                source,
                reason,
                start,
                end
            }
        ),
        (registries(), texts(), facts()).prop_map(|(registry, repository, fact)| Record::Fact {
            registry,
            repository,
            fact
        }),
        (registries(), events()).prop_map(|(registry, event)| Record::Event {
            registry,
            event: Box::new(event)
        }),
        Just(Record::End),
    ]
}

proptest! {
    #[test]
    fn every_record_comes_back_from_its_line(record in records()) {
        let line = encode(&record).unwrap();
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(decode(&line).unwrap(), record);
    }
}

fn used() -> WorkloadUse {
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

#[test]
fn lines_are_what_the_documentation_shows() {
    let event = Box::new(raw("g1 1 a GET v1 @A"));
    let line = encode(&Record::Event {
        registry: registry(),
        event,
    })
    .unwrap();
    assert_eq!(
        line,
        format!(
            r#"{{"event":{{"registry":"default/registry/1f0c","repository":"team/app","source":"notifications","id":"g1","time":"2026-02-02T02:40:01Z","timeSource":"Event","received":"2026-02-02T02:40:01Z","category":"Pull","tag":"v1","digest":"sha256:{}","method":"GET","address":"10.0.0.97","addressSource":"Peer","userAgent":"containerd"}}}}"#,
            "41".repeat(32)
        )
    );
    let uses = Record::Uses {
        cluster: "c1".to_owned(),
        as_of: at(9.0),
        repository: "registry.example.com/team/app".parse().unwrap(),
        uses: vec![used()],
    };
    assert_eq!(decode(&encode(&uses).unwrap()).unwrap(), uses);
    let ran = Record::Ran {
        cluster: "c1".to_owned(),
        repository: "registry.example.com/team/app".parse().unwrap(),
        span: UsageSpan {
            used: WorkloadUse {
                pods: 0,
                ready_pods: 0,
                ..used()
            },
            until: Some(at(10.0)),
        },
    };
    assert_eq!(decode(&encode(&ran).unwrap()).unwrap(), ran);
    assert_eq!(encode(&Record::End).unwrap(), r#"{"end":{}}"#);
}

#[test]
fn what_is_not_of_this_form_is_refused_in_words() {
    for (line, says) in [
        ("", "no line of an export"),
        ("{}", "no line of an export"),
        (r#"{"end":{}"#, "no line of an export"),
        (r#"{"end":{"more":1}}"#, "no line of an export"),
        (r#"{"header":{"form":"other","version":1}}"#, "another program"),
        (
            r#"{"header":{"form":"image-usage-events","version":2,"more":1}}"#,
            "run a newer version",
        ),
    ] {
        let error = decode(line).unwrap_err().to_string();
        assert!(error.contains(says), "{line}: {error}");
    }
}

/// A store with a little of everything.
async fn filled(folder: &Path) -> PathBuf {
    let path = folder.join("events.db");
    let store = SqliteStore::open(&path, |_, _| {}).unwrap();
    let terms = Terms {
        retention: SignedDuration::from_hours(720),
        quota: Some(100_000),
    };
    store.keep(registry(), terms).await.unwrap();
    let pulls: Vec<_> = (0..2500)
        .map(|n| raw(&format!("g{n} {} b GET v{} @A", 1000 + n, n % 7)))
        .collect();
    for part in pulls.chunks(50) {
        append(&store, delivery(part.to_vec())).await;
    }
    let others = "p1 1 a PUT v1 @A\nh1 2 c HEAD v1 @A\ng1 3 c GET - @A\nd1 4 a DELETE v2 -\nd2 5 a DELETE - @Z\n\
                  p2 80000 a PUT v2 @B received=90000\nd3 80001 a DELETE - @B";
    append(&store, delivery(raws(others))).await;
    let mut elsewhere = raw("5e0f3c1a-0000-4000-8000-00000000001f 7 a GET v1 @A");
    elsewhere.event.repository = "a".to_owned();
    elsewhere.event.time = None;
    elsewhere.event.instance_id = Some("i1".to_owned());
    append(&store, delivery(vec![elsewhere.clone()])).await;
    let other = RegistryKey {
        uid: "2".to_owned(),
        ..registry()
    };
    append(
        &store,
        Delivery {
            registry: other,
            source: "second".to_owned(),
            ..delivery(vec![elsewhere])
        },
    )
    .await;
    let unreadable = Quarantined {
        reason: "Malformed",
        body: b"{".to_vec(),
    };
    append(
        &store,
        Delivery {
            quarantined: Some(unreadable),
            ..empty(2000.0)
        },
    )
    .await;
    store.linked().await.unwrap();
    // Some facts outlive their events.
    store.purge(registry(), at(1500.0)).await.unwrap();
    let name = "registry.example.com/team/app".parse().unwrap();
    store
        .save_uses("c1".to_owned(), at(9.0), vec![(name, vec![used()])])
        .await
        .unwrap();
    store.close().await.unwrap();
    path
}

async fn exported(path: &Path, scope: Scope) -> String {
    let mut reader = SqliteReader::open(path, scope).unwrap();
    let mut out = Vec::new();
    export(&mut reader, &mut out, |_| {}).await.unwrap();
    String::from_utf8(out).unwrap()
}

async fn imported(path: &Path, lines: &str) -> Result<Progress, TransferError> {
    let mut writer = SqliteWriter::open(path).unwrap();
    import(&mut BufReader::new(lines.as_bytes()), &mut writer, |_| {}).await
}

#[tokio::test]
async fn an_import_into_a_new_file_is_exported_as_the_same_lines_and_answers_the_same() {
    let folder = TempDir::new().unwrap();
    let first = filled(folder.path()).await;
    let second = folder.path().join("second.db");
    let lines = exported(&first, Scope::default()).await;
    for word in [
        "registry",
        "source",
        "instance",
        "gap",
        "tagPoints",
        "pointersEnd",
        "manifest",
        "removed",
        "uses",
        "ran",
        "event",
        "end",
    ] {
        assert!(lines.contains(&format!("\n{{\"{word}\":")), "no {word}");
    }
    let taken = imported(&second, &lines).await.unwrap();
    assert_eq!(taken.lines, lines.lines().count() as u64);
    assert_eq!(taken.duplicates, 0);
    assert!(exported(&second, Scope::default()).await == lines);

    let answers = async |path: &Path| {
        let store = SqliteStore::open(path, |_, _| {}).unwrap();
        // What was purged and is linked again from raw events that stay a little longer goes again.
        store.purge(registry(), at(1500.0)).await.unwrap();
        let path = || REPOSITORY.to_owned();
        let answers = (
            all(&store).await,
            store.tags(registry(), path()).await.unwrap(),
            store.tag_pointers(registry(), path()).await.unwrap(),
            store.sources(registry()).await.unwrap(),
        );
        store.close().await.unwrap();
        answers
    };
    assert_eq!(answers(&second).await, answers(&first).await);
    assert_eq!(crate::store::check(&second).unwrap().damages, [""; 0]);
}

#[tokio::test]
async fn the_same_file_again_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let path = filled(folder.path()).await;
    let lines = exported(&path, Scope::default()).await;
    let again = imported(&path, &lines).await.unwrap();
    assert_eq!(again.events, 0);
    assert!(again.duplicates > 2000, "{again:?}");
    assert!(exported(&path, Scope::default()).await == lines);
}

#[tokio::test]
async fn an_export_goes_on_after_a_line_and_the_parts_are_the_whole() {
    let folder = TempDir::new().unwrap();
    let first = filled(folder.path()).await;
    let lines = exported(&first, Scope::default()).await;
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
        let rest = exported(&first, scope).await;
        let rest: Vec<&str> = rest.lines().filter(is_event).collect();
        assert!(rest == whole[at + 1..], "after event {at}");
    }
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_taken_as_far_as_it_goes_and_says_so() {
    let folder = TempDir::new().unwrap();
    let first = filled(folder.path()).await;
    let lines = exported(&first, Scope::default()).await;
    let second = folder.path().join("second.db");
    let cut = &lines[..lines.len() / 2];
    let error = imported(&second, cut).await.unwrap_err();
    assert!(matches!(error, TransferError::CutOff(_)), "{error}");
    // At the end of a line it is as cut.
    let cut = &lines[..=lines[..lines.len() - 20].rfind('\n').unwrap()];
    let error = imported(&second, cut).await.unwrap_err();
    assert!(matches!(error, TransferError::CutOff(_)), "{error}");
    // The whole file then adds what is missing.
    imported(&second, &lines).await.unwrap();
    assert!(exported(&second, Scope::default()).await == lines);

    assert!(matches!(
        imported(&second, "{\"end\":{}}\n").await,
        Err(TransferError::NoHeader)
    ));
    let spoilt = lines.replacen("\"category\":\"Pull\"", "\"category\":\"Peek\"", 1);
    assert!(matches!(
        imported(&second, &spoilt).await,
        Err(TransferError::Line { .. })
    ));
}

#[tokio::test]
async fn a_scope_leaves_out_other_registries_and_what_happened_before() {
    let folder = TempDir::new().unwrap();
    let path = filled(folder.path()).await;
    let scope = Scope {
        registry: Some(("default".to_owned(), "registry".to_owned())),
        since: Some(at(2000.0)),
        after: None,
    };
    let lines = exported(&path, scope).await;
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
    assert_eq!(exported(&path, nobody).await.lines().count(), 2);
}

#[tokio::test]
async fn an_export_tells_how_it_was_when_it_began() {
    let folder = TempDir::new().unwrap();
    let path = filled(folder.path()).await;
    let lines = exported(&path, Scope::default()).await;
    let store = SqliteStore::open(&path, |_, _| {}).unwrap();
    let mut reader = SqliteReader::open(&path, Scope::default()).unwrap();
    append(&store, delivery(vec![raw("late 99999 a GET v9 @A")])).await;
    let mut out = Vec::new();
    export(&mut reader, &mut out, |_| {}).await.unwrap();
    assert!(String::from_utf8(out).unwrap() == lines);
    let refused = SqliteWriter::open(&path).unwrap_err();
    assert!(refused.to_string().contains("only one may run"), "{refused}");
}

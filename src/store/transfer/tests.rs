//! The form, and reading it; what stores do with it is in the conformance suite.

use futures::{FutureExt, executor::block_on};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{
    cluster::WorkloadUse,
    event::{
        AddressSource, Category, DeleteTarget, LogicalCategory, NetworkType, RegistryEvent, SourceAddress,
        StoredEvent,
        fixture::{at, raw},
    },
    image::Digest,
    store::{
        RegistryKey, UsageSpan,
        conformance::{registry, transfer::used},
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

fn categories() -> impl Strategy<Value = Category> {
    prop_oneof![Just(Category::Push), Just(Category::Pull), Just(Category::Delete)]
}

prop_compose! {
    fn events()(
        (id, repository, source) in (texts(), texts(), texts()),
        category in categories(),
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
        (registries(), texts(), categories(), times()).prop_map(|(registry, source, category, first)| {
            Record::Reported {
                registry,
                source,
                category,
                first,
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
        (times(), times()).prop_map(|(since, until)| Record::Listened { since, until }),
        (registries(), texts(), texts(), times(), times()).prop_map(
            |(registry, source, log, since, until)| Record::Cursor {
                registry,
                source,
                log,
                since,
                until
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

/// Takes all events but those it has.
#[derive(Default)]
struct Taker {
    taken: Vec<Record>,
    steps: usize,
}

impl TransferWriter for Taker {
    fn write(&mut self, records: Vec<Record>) -> BoxFuture<'_, Result<Written, StoreError>> {
        let mut written = Written::default();
        self.steps += 1;
        for record in records {
            if self.taken.contains(&record) {
                written.duplicates += u64::from(matches!(record, Record::Event { .. }));
                continue;
            }
            written.events += u64::from(matches!(record, Record::Event { .. }));
            self.taken.push(record);
        }
        futures::future::ready(Ok(written)).boxed()
    }
}

impl Taker {
    fn import(&mut self, lines: &str, skip: u64) -> Result<Progress, TransferError> {
        block_on(import(&mut lines.as_bytes(), self, skip, |_| {}))
    }
}

/// A source, events g1, g2, …, and the end.
fn file(events: usize) -> Vec<String> {
    let source = Record::Source {
        registry: registry(),
        source: "notifications".to_owned(),
        since: at(1.0),
        last_delivery: at(9.0),
        last_event: None,
        stored: 5,
        duplicates: 0,
        ignored: 0,
        quarantined: 0,
    };
    let mut records = vec![Record::Header { version: VERSION }, source];
    records.extend((1..=events).map(|number| Record::Event {
        registry: registry(),
        event: Box::new(raw(&format!("g{number} {number} a GET v1 @A"))),
    }));
    records.push(Record::End);
    let lines = records
        .iter()
        .map(|record| format!("{}\n", encode(record).unwrap()));
    lines.collect()
}

#[test]
fn an_import_goes_on_behind_the_lines_that_were_taken() {
    let lines = file(5);
    let whole = lines.concat();
    let mut taker = Taker::default();
    let cut = taker.import(&lines[..5].concat(), 0).unwrap_err();
    assert!(matches!(cut, TransferError::CutOff(5)), "{cut}");
    let rest = taker.import(&whole, 5).unwrap();
    // Of the events, the last one taken was looked up, and two are new.
    let expected = Progress {
        lines: 8,
        bytes: whole.len() as u64,
        events: 2,
        duplicates: 1,
    };
    assert_eq!(rest, expected);
    assert_eq!(taker.taken.len(), 8);
}

#[test]
fn lines_that_were_not_taken_are_not_passed_over() {
    let lines = file(5);
    let whole = lines.concat();
    let mut taker = Taker::default();
    taker.import(&lines[..4].concat(), 0).unwrap_err();
    for (skip, refused) in [
        (6, "line 6 was not there"),
        (8, "nothing is left"),
        (9, "nothing is left"),
    ] {
        let error = taker.import(&whole, skip).unwrap_err().to_string();
        assert!(error.contains(refused), "{skip}: {error}");
    }
    // Where there are no events among them, nothing is passed over.
    assert_eq!(Taker::default().import(&whole, 2).unwrap().events, 5);
}

#[test]
fn an_import_that_makes_no_sense_is_refused_in_words() {
    let lines = file(2);
    let [header, source, first, second, end] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    let newer = header.replace(&format!(":{VERSION}"), &format!(":{}", VERSION + 1));
    for (file, says, taken) in [
        (vec![&newer, source], "line 1 cannot be taken", 0),
        (vec![source, first], "does not say that this is an export", 0),
        (
            vec![header, first, end],
            "line 2 names a source that no line before it tells of",
            1,
        ),
        (vec![header, source, first, second], "cut off after line 4", 4),
        (vec![], "cut off after line 0", 0),
    ] {
        let text: String = file.into_iter().map(String::as_str).collect();
        let mut taker = Taker::default();
        let error = taker.import(&text, 0).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(taker.taken.len(), taken, "{says}");
    }
    let torn = lines.concat();
    let torn = &torn[..torn.len() - end.len() - 5];
    let error = Taker::default().import(torn, 0).unwrap_err();
    assert!(matches!(error, TransferError::CutOff(3)), "{error}");
}

#[test]
fn a_step_is_bounded_by_lines_and_by_bytes() {
    let mut taker = Taker::default();
    taker.import(&file(1_998).concat(), 0).unwrap();
    assert_eq!(taker.steps, 3, "2,001 lines");
    let actor = "x".repeat(1 << 20);
    let long: String = file(9)
        .into_iter()
        .map(|line| {
            line.replace(
                "\"userAgent\":\"",
                &format!("\"actor\":\"{actor}\",\"userAgent\":\""),
            )
        })
        .collect();
    let mut taker = Taker::default();
    taker.import(&long, 0).unwrap();
    assert_eq!(taker.steps, 3, "9 lines of a mebibyte");
}

#[test]
fn a_reading_that_ends_without_its_last_record_is_an_error() {
    let (mut giving, mut taking) = parts::<()>(|()| StoreError::Closed);
    block_on(async {
        giving
            .push(Record::Header { version: VERSION })
            .await
            .map_err(|_| ())
            .unwrap();
        giving.end(Ok(())).await;
        assert_eq!(taking.next().await.unwrap().len(), 1);
        assert!(matches!(taking.next().await, Err(StoreError::Read(_))));

        let (mut giving, mut taking) = parts::<()>(|()| StoreError::Closed);
        giving.push(Record::End).await.map_err(|_| ()).unwrap();
        giving.end(Ok(())).await;
        assert_eq!(taking.next().await.unwrap(), [Record::End]);
        assert!(taking.next().await.unwrap().is_empty());

        let (giving, mut taking) = parts::<()>(|()| StoreError::Closed);
        giving.end(Err(Stop::Failed(()))).await;
        assert!(matches!(taking.next().await, Err(StoreError::Closed)));
    });
}

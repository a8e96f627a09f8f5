//! Whatever several sources tell, in whatever order and portions.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    Written,
    shelf::{Shelf, deliveries_of},
};
use crate::event::{Category, LogicalCategory, StoredEvent, fixture::raw, link::link};

/// Few of everything, so that much is one; times that lie as far apart as rounds reach, and
/// further than what one source tells can.
fn line() -> impl Strategy<Value = String> {
    let time = prop_oneof![
        3 => (0_u32..24).prop_map(|step| step * 5),
        2 => (0_u32..12).prop_map(|step| step * 10 + 1),
        2 => 0_u32..30,
        1 => 0_u32..240,
    ];
    let what = prop_oneof![
        3 => Just("GET - @A"), 2 => Just("GET v1 @A"), 1 => Just("GET v1 -"), 1 => Just("GET - @I"),
        3 => Just("HEAD v1 @A"), 1 => Just("HEAD v1 -"), 1 => Just("HEAD v2 @A"), 1 => Just("HEAD v1 @I"),
        1 => Just("PULL v1 @A"), 1 => Just("PUT v1 @A"), 1 => Just("PUT - @I"), 1 => Just("PUT - @A"),
        1 => Just("DELETE v1 -"), 1 => Just("DELETE - @A"), 1 => Just("DELETE v1 @A"), 1 => Just("DELETE - -"),
    ];
    let client = prop_oneof![3 => Just("n"), 1 => Just("m"), 1 => Just("-"), 1 => Just("n:log")];
    let source = select(vec!["", "from=b", "from=b", "from=c"]);
    let actor = prop_oneof![
        4 => Just(""), 1 => Just("actor=alice"), 1 => Just("actor=bob"), 1 => Just("actor=a@example.com"),
    ];
    let request = prop_oneof![3 => Just(""), 1 => Just("request=r"), 1 => Just("request=s")];
    let late = prop_oneof![4 => Just(0), 1 => Just(200), 1 => Just(400), 1 => Just(7200)];
    let untimed = prop_oneof![12 => Just(""), 1 => Just("untimed")];
    (time, what, client, source, actor, request, late, untimed).prop_map(
        |(time, what, client, source, actor, request, late, untimed)| {
            let received = if untimed.is_empty() { time + late } else { time };
            format!("{time} {client} {what} {source} {actor} {request} {untimed} received={received}")
        },
    )
}

fn events() -> impl Strategy<Value = Vec<StoredEvent>> {
    vec(line(), 0..48).prop_map(|lines| {
        lines
            .iter()
            .enumerate()
            .map(|(number, line)| raw(&format!("e{number} {line}")))
            .collect()
    })
}

/// Looks at one tag by two sources or three, dense enough that one more moves many.
fn looks() -> impl Strategy<Value = Vec<StoredEvent>> {
    let time = prop_oneof![(0_u32..20).prop_map(|step| step * 10), 0_u32..60, 0_u32..200];
    let what = prop_oneof![6 => Just("HEAD v1 @A"), 1 => Just("GET - @A")];
    let source = select(vec!["", "from=b", "from=b", ""]);
    let request = prop_oneof![2 => Just(""), 1 => Just("request=r")];
    let line = (time, what, source, request)
        .prop_map(|(time, what, source, request)| format!("{time} n {what} {source} {request}"));
    vec(line, 0..60).prop_map(|lines| {
        lines
            .iter()
            .enumerate()
            .map(|(number, line)| raw(&format!("e{number} {line}")))
            .collect()
    })
}

fn arrive(deliveries: &[Vec<StoredEvent>], facts: &str) -> Result<(), TestCaseError> {
    let facts = Written::new(facts);
    let mut shelf = Shelf::default();
    for (number, delivery) in deliveries.iter().enumerate() {
        shelf.append(delivery, &facts);
        shelf.check(&facts)?;
        // What was there comes again.
        if number % 5 == 4 {
            shelf.append(&deliveries[number / 2], &facts);
            shelf.check(&facts)?;
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn linking_what_each_delivery_touches_equals_linking_everything(
        deliveries in deliveries_of(events()),
        facts in prop_oneof![3 => Just("I A"), 1 => Just(""), 2 => Just("I>A")],
    ) {
        arrive(&deliveries, facts)?;
    }

    #[test]
    fn one_look_more_moves_no_further_than_what_is_touched(deliveries in deliveries_of(looks())) {
        arrive(&deliveries, "A")?;
    }

    #[test]
    fn every_raw_event_is_part_of_exactly_one_logical_event(
        events in events(),
        facts in prop_oneof![Just(""), Just("I>A")],
    ) {
        let made = link(&events, &Written::new(facts));
        let parts: i64 = made.iter().map(|made| made.raw_count).sum();
        prop_assert_eq!(parts, i64::try_from(events.len()).unwrap());
    }

    #[test]
    fn there_are_no_fewer_pulls_than_the_source_with_most_tells(events in events()) {
        let mut of_source: BTreeMap<&str, usize> = BTreeMap::new();
        for stored in &events {
            if stored.event.category == Category::Pull && stored.event.method.as_deref() != Some("HEAD") {
                *of_source.entry(&stored.source).or_default() += 1;
            }
        }
        let most = of_source.values().max().copied().unwrap_or_default();
        let all: usize = of_source.values().sum();
        let made = link(&events, &Written::new("I A"));
        let pulls = made.iter().filter(|made| made.category == LogicalCategory::Pull).count();
        prop_assert!((most..=all).contains(&pulls), "{} pulls of {:?}", pulls, of_source);
    }

    #[test]
    fn two_sources_that_tell_the_same_tell_it_once(
        times in vec(0_u32..40, 0..30),
        cut in any::<bool>(),
    ) {
        let mut events = Vec::new();
        for (number, time) in times.iter().enumerate() {
            let tenths = u32::try_from(number % 10).unwrap();
            events.push(raw(&format!("h{number} {time}.{tenths} n PULL v1 @A")));
            let tenths = if cut { 0 } else { tenths };
            events.push(raw(&format!("r{number} {time}.{tenths} n PULL v1 @A from=audit received=7200")));
        }
        let made = link(&events, &Written::new("A"));
        prop_assert_eq!(made.len(), times.len());
        prop_assert!(made.iter().all(|made| made.id.starts_with('h')));
    }
}

//! Whatever comes, in whatever order and portions.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    Written,
    shelf::{Shelf, deliveries_of, settles},
};
use crate::event::{
    Category, LogicalCategory, StoredEvent,
    fixture::raw,
    link::{Span, link},
};

/// Lines without their id: few clients, tags and digests, so that much can pair; times
/// a few pairings wide, often as far apart as a pairing can be.
fn line() -> impl Strategy<Value = String> {
    let time = prop_oneof![2 => (0_u32..10).prop_map(|step| step * 5), 1 => 0_u32..50];
    let client = prop_oneof![3 => Just("n"), 1 => Just("m")];
    let method = prop_oneof![4 => Just("GET"), 4 => Just("HEAD"), 2 => Just("PUT")];
    let tag = prop_oneof![2 => Just("-"), 2 => Just("v1"), 1 => Just("v2")];
    let content = prop_oneof![3 => Just("@I"), 2 => Just("@A"), 1 => Just("@B"), 1 => Just("@J")];
    let late = prop_oneof![4 => Just(0), 1 => Just(200), 1 => Just(400)];
    let request = (time.clone(), client, method, tag, content, late).prop_map(
        |(time, client, method, tag, content, late)| {
            let received = time + late;
            let request = if method == "PUT" { "request=p" } else { "" };
            format!("{time} {client} {method} {tag} {content} {request} received={received}")
        },
    );
    let target = ["v1 -", "v2 -", "- @A", "- @B", "v1 @A", "- -"];
    let id = ["request=r", "request=s", ""];
    let late = prop_oneof![3 => Just(0), 1 => Just(250), 1 => Just(700)];
    let delete = (time, select(target.to_vec()), select(id.to_vec()), late).prop_map(
        |(time, target, request, late)| {
            format!("{time} n DELETE {target} {request} received={}", time + late)
        },
    );
    prop_oneof![6 => request, 1 => delete]
}

fn events() -> impl Strategy<Value = Vec<StoredEvent>> {
    vec(line(), 0..36).prop_map(|lines| {
        lines
            .iter()
            .enumerate()
            .map(|(number, line)| raw(&format!("e{number} {line}")))
            .collect()
    })
}

fn deliveries() -> impl Strategy<Value = Vec<Vec<StoredEvent>>> {
    deliveries_of(events())
}

#[test]
fn a_look_that_comes_late_moves_choices_as_far_as_a_pairing_reaches() {
    settles("A", "get 10 n GET - @A", "head 0 n HEAD v1 @A");
    settles(
        "A",
        "old 0 n HEAD v1 @A\n get 10 n GET - @A",
        "new 9 n HEAD v2 @A",
    );
}

#[test]
fn a_get_that_comes_late_takes_the_look_of_another() {
    settles("A", "h 0 n HEAD v1 @A\n g 10 n GET - @A", "late 5 n GET - @A");
    settles(
        "A",
        "h 0 n HEAD v1 @A\n i 1 n HEAD v2 @A\n g 10 n GET - @A",
        "late 9 n GET - @A",
    );
}

#[test]
fn a_look_that_names_a_child_frees_its_place_for_one_a_pairing_later() {
    settles(
        "I>A",
        "index 10 n GET v1 @I
         one   10 n GET -  @A
         two   20 n GET -  @A",
        "named 0 n HEAD v1-amd64 @A",
    );
}

#[test]
fn a_nested_index_that_is_named_takes_the_children_of_the_outer_one() {
    settles(
        "I>JA J>A",
        "outer  2 n GET v1 @I
         inner 10 n GET -  @J
         child 20 n GET -  @A
         again 12 n GET -  @A",
        "named 0 n HEAD v1-nested @J",
    );
}

proptest! {
    #[test]
    fn linking_what_each_delivery_touches_equals_linking_everything(
        deliveries in deliveries(),
        facts in prop_oneof![Just(""), Just("I J A"), Just("I>AB"), Just("I>AB J>A"), Just("I>JAB J>A")],
    ) {
        let facts = Written::new(facts);
        let mut shelf = Shelf::default();
        for delivery in deliveries {
            shelf.append(&delivery, &facts);
            shelf.check(&facts)?;
        }
    }

    #[test]
    fn a_fact_learnt_later_changes_what_rests_on_it(
        deliveries in deliveries(),
        before in prop_oneof![Just(""), Just("A"), Just("I>A")],
    ) {
        let (before, after) = (Written::new(before), Written::new("J I>AB"));
        let learnt = "ABIJ".chars().map(crate::event::fixture::digest).collect::<Vec<_>>();
        let mut shelf = Shelf::default();
        for delivery in deliveries {
            shelf.append(&delivery, &before);
        }
        let named: Vec<_> = shelf
            .raw
            .values()
            .filter(|stored| stored.event.digest.as_ref().is_some_and(|digest| learnt.contains(digest)))
            .map(|stored| stored.time)
            .collect();
        for time in named {
            shelf.relink(Span { first: time, last: time }, &after);
        }
        shelf.check(&after)?;
    }

    #[test]
    fn without_a_graph_there_are_as_many_pulls_as_gets(events in events()) {
        let gets = events
            .iter()
            .filter(|stored| stored.event.category == Category::Pull)
            .filter(|stored| stored.event.method.as_deref() != Some("HEAD"))
            .count();
        let made = link(&events, &Written::new("I J A"));
        let pulls = made.iter().filter(|made| made.category == LogicalCategory::Pull).count();
        prop_assert_eq!(pulls, gets);
    }

    #[test]
    fn every_raw_event_is_part_of_exactly_one_logical_event(
        events in events(),
        facts in prop_oneof![Just(""), Just("I>AB J>A")],
    ) {
        let made = link(&events, &Written::new(facts));
        let parts: i64 = made.iter().map(|made| made.raw_count).sum();
        prop_assert_eq!(parts, i64::try_from(events.len()).unwrap());
    }
}

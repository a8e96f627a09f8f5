use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::event::fixture::{at, digest, raws};

fn history(raw: &str) -> Vec<PointerFact> {
    raws(raw).iter().flat_map(facts).collect()
}

/// Raw events, in any order, make exactly these pointers: `SECONDS TAG DIGEST`.
#[track_caller]
fn point(raw: &str, expected: &str) {
    let expected: Vec<TagPointer> = expected
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            TagPointer {
                tag: words[1].to_owned(),
                digest: (words[2] != "-").then(|| digest(words[2].chars().nth(1).unwrap())),
                from: at(words[0].parse().unwrap()),
            }
        })
        .collect();
    let mut facts = history(raw);
    assert_eq!(pointers(&facts), expected);
    facts.reverse();
    assert_eq!(pointers(&facts), expected, "backwards");
    assert_eq!(pointers(&compact(facts)), expected, "compacted");
}

#[test]
fn a_push_a_look_and_a_pull_by_tag_all_tell_what_it_points_at() {
    point("e 1 n PUT  v1 @A", "1 v1 @A");
    point("e 1 n HEAD v1 @A", "1 v1 @A");
    point("e 1 n GET  v1 @A", "1 v1 @A");
    point("e 1 n GET  -  @A", "");
    point("e 1 n GET  v1 -", "");
}

#[test]
fn a_tag_that_moves_away_and_back_has_three_stretches() {
    point(
        "a 1 n PUT v1 @A
         b 2 n PUT v1 @B
         c 3 n PUT v1 @A",
        "1 v1 @A
         2 v1 @B
         3 v1 @A",
    );
}

#[test]
fn a_late_event_never_moves_a_tag_back() {
    point(
        "new  5 n PUT v1 @B
         late 1 n GET v1 @A received=9",
        "1 v1 @A
         5 v1 @B",
    );
    let kept = compact(history("a 1 n GET v1 @A\n b 3 n GET v1 @A\n c 5 n GET v1 @A"));
    assert_eq!(kept.len(), 2);
    let with_late: Vec<_> = kept.into_iter().chain(history("late 3 n GET v1 @B")).collect();
    assert_eq!(
        digest_at(&pointers(&with_late), "v1", at(9.0)),
        Some(&digest('A'))
    );
}

#[test]
fn the_delete_of_a_tag_ends_it_and_no_other() {
    point(
        "a 1 n PUT v1 @A
         b 1 n PUT v2 @A
         c 2 n DELETE v1 -",
        "1 v1 @A
         1 v2 @A
         2 v1 -",
    );
}

#[test]
fn the_delete_of_a_manifest_ends_the_tags_that_point_at_it_then() {
    point(
        "a 1 n PUT v1 @A
         b 1 n PUT v2 @A
         c 1 n PUT v3 @B
         d 2 n PUT v2 @B
         e 3 n DELETE - @A
         f 4 n PUT v1 @A",
        "1 v1 @A
         1 v2 @A
         1 v3 @B
         2 v2 @B
         3 v1 -
         4 v1 @A",
    );
}

#[test]
fn the_delete_of_the_repository_ends_every_tag() {
    point(
        "a 1 n PUT v1 @A
         b 1 n PUT v2 @B
         c 2 n DELETE - -",
        "1 v1 @A
         1 v2 @B
         2 v1 -
         2 v2 -",
    );
}

#[test]
fn a_tag_first_heard_of_when_it_is_deleted_points_at_nothing() {
    point("a 1 n DELETE v1 -", "1 v1 -");
}

#[test]
fn at_one_instant_a_delete_counts_over_a_push() {
    point("a 1 n PUT v1 @A\n b 1 n DELETE v1 -", "1 v1 -");
}

#[test]
fn what_is_not_known_differs_from_what_was_deleted() {
    let pointers = pointers(&history("a 1 n PUT v1 @A\n b 3 n DELETE v1 -"));
    assert_eq!(pointer_at(&pointers, "v1", at(0.9)), None);
    assert_eq!(digest_at(&pointers, "v1", at(1.0)), Some(&digest('A')));
    assert_eq!(digest_at(&pointers, "v1", at(2.9)), Some(&digest('A')));
    assert_eq!(
        pointer_at(&pointers, "v1", at(3.0)).map(|pointer| &pointer.digest),
        Some(&None)
    );
    assert_eq!(pointer_at(&pointers, "v2", at(3.0)), None);
}

fn any_facts() -> impl Strategy<Value = Vec<PointerFact>> {
    let change = prop_oneof![
        6 => (select(vec!["v1", "v2"]), select(vec!['A', 'B'])).prop_map(|(tag, letter)| {
            PointerChange::Points { tag: tag.to_owned(), digest: digest(letter) }
        }),
        1 => Just(PointerChange::TagDeleted { tag: "v1".to_owned() }),
        1 => Just(PointerChange::ManifestDeleted { digest: digest('A') }),
        1 => Just(PointerChange::RepositoryDeleted),
    ];
    vec((0_u32..30, change), 0..30).prop_map(|facts| {
        let fact = |(time, change)| PointerFact {
            time: at(f64::from(time)),
            change,
        };
        facts.into_iter().map(fact).collect()
    })
}

proptest! {
    #[test]
    fn compacted_facts_tell_the_same_and_with_late_ones_the_same_of_now(
        facts in any_facts(),
        late in any_facts(),
    ) {
        let kept = compact(facts.clone());
        prop_assert_eq!(pointers(&kept), pointers(&facts));
        let (full, kept) = ([facts, late.clone()].concat(), [kept, late].concat());
        let (full, kept) = (pointers(&full), pointers(&kept));
        for tag in ["v1", "v2"] {
            prop_assert_eq!(digest_at(&kept, tag, at(99.0)), digest_at(&full, tag, at(99.0)));
        }
    }
}

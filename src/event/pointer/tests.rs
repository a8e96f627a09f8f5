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

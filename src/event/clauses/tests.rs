use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::event::{
    fixture::{at, digest, raws},
    pointer,
};

fn window(start: f64, end: f64) -> Window {
    Window {
        start: at(start),
        end: at(end),
    }
}

fn pointers(raw: &str) -> Vec<TagPointer> {
    let facts: Vec<_> = raws(raw).iter().flat_map(pointer::facts).collect();
    pointer::pointers(&facts)
}

/// A clause as a line: `ATTRIBUTION SELECT START-END`, times in seconds, `+` just after.
fn told(clause: &Clause) -> String {
    let second = |time: Timestamp| {
        let since = time.duration_since(at(0.0));
        let just_after = if since.subsec_nanos() == 1 { "+" } else { "" };
        format!("{}{just_after}", since.as_secs())
    };
    let select = match &clause.select {
        Select::UntaggedDigest(it) => format!("untagged {}", name(it)),
        Select::Digest(it) => format!("digest {}", name(it)),
        Select::Tag(tag) => format!("tag {tag}"),
        Select::TagDelete(tag) => format!("delete {tag}"),
        Select::WholeRepository => "repository".to_owned(),
        Select::All => "all".to_owned(),
    };
    format!(
        "{:?} {select} {}-{}",
        clause.attribution,
        second(clause.window.start),
        second(clause.window.end)
    )
}

fn name(it: &Digest) -> char {
    ('A'..='Z').find(|letter| digest(*letter) == *it).unwrap()
}

#[track_caller]
fn are(clauses: &[Clause], expected: &[&str]) {
    assert_eq!(clauses.iter().map(told).collect::<Vec<_>>(), expected);
}

#[test]
fn a_tag_whose_digest_is_not_known_has_only_what_names_it() {
    are(
        &clauses_for_tag("v1", &[], window(0.0, 9.0)),
        &["Named tag v1 0-9", "Linked repository 0-9"],
    );
}

#[test]
fn a_tag_has_the_untagged_events_of_each_digest_while_it_pointed_there() {
    let moved = pointers("a 2 n PUT v1 @A\n b 4 n PUT v1 @B\n c 6 n PUT v1 @A");
    are(
        &clauses_for_tag("v1", &moved, window(0.0, 9.0)),
        &[
            "Named tag v1 0-9",
            "Linked repository 0-9",
            "Linked untagged A 2-4",
            "Linked untagged B 4-6",
            "Linked untagged A 6-9",
        ],
    );
    are(
        &clauses_for_tag("v1", &moved, window(3.0, 5.0)),
        &[
            "Named tag v1 3-5",
            "Linked repository 3-5",
            "Linked untagged A 3-4",
            "Linked untagged B 4-5",
        ],
    );
}

#[test]
fn the_delete_of_a_manifest_belongs_to_the_tag_that_pointed_at_it() {
    let gone = pointers("a 2 n PUT v1 @A\n b 4 n DELETE - @A");
    are(
        &clauses_for_tag("v1", &gone, window(0.0, 9.0)),
        &[
            "Named tag v1 0-9",
            "Linked repository 0-9",
            "Linked untagged A 2-4+",
        ],
    );
}

#[test]
fn a_digest_that_another_tag_has_too_is_shared_as_long_as_it_has_it() {
    let shared = pointers(
        "a 1 n PUT v1     @A
         b 3 n PUT latest @A
         c 4 n PUT stable @A
         d 5 n PUT latest @B
         e 6 n DELETE stable -",
    );
    are(
        &clauses_for_tag("v1", &shared, window(0.0, 9.0))[2..],
        &[
            "Linked untagged A 1-3",
            "Shared untagged A 3-6+",
            "Linked untagged A 6+-9",
        ],
    );
    are(
        &clauses_for_tag("latest", &shared, window(0.0, 9.0))[2..],
        &["Shared untagged A 3-5", "Linked untagged B 5-9"],
    );
}

#[test]
fn a_digest_has_what_names_it_and_the_deletes_of_tags_that_pointed_at_it() {
    let history = pointers(
        "a 1 n PUT v1     @A
         b 2 n PUT latest @A
         c 3 n PUT latest @B
         d 4 n DELETE latest -
         e 5 n DELETE v1 -",
    );
    are(
        &clauses_for_digest(&digest('A'), &history, window(0.0, 9.0)),
        &[
            "Named digest A 0-9",
            "Linked repository 0-9",
            "Linked delete v1 1-5+",
        ],
    );
}

#[test]
fn a_repository_has_all_its_events() {
    are(&clauses_for_repository(window(0.0, 9.0)), &["Named all 0-9"]);
}

fn history() -> impl Strategy<Value = Vec<TagPointer>> {
    let tag = select(vec!["v1", "v2", "v3"]);
    let what = select(vec!["PUT @A", "PUT @B", "DELETE -"]);
    vec((0_u32..20, tag, what), 0..20).prop_map(|changes| {
        let lines: Vec<String> = changes
            .iter()
            .enumerate()
            .map(|(number, (time, tag, what))| {
                let (method, content) = what.split_once(' ').unwrap();
                format!("e{number} {time} n {method} {tag} {content}")
            })
            .collect();
        pointers(&lines.join("\n"))
    })
}

proptest! {
    #[test]
    fn at_every_instant_a_stretch_says_what_the_pointers_say(history in history(), half in 0_u32..44) {
        let time = at(f64::from(half) / 2.0);
        let stretches = stretches("v1", &history, window(0.0, 22.0));
        let here: Vec<&Stretch> = stretches
            .iter()
            .filter(|stretch| stretch.window.start <= time && time < stretch.window.end)
            .collect();
        // At the very instant of a delete the stretch still holds.
        let deleted_now = |tag| history.iter().any(|it| it.tag == tag && it.from == time && it.digest.is_none());
        let before = time - INSTANT;
        let digest_of = |tag| {
            let when = if deleted_now(tag) { before } else { time };
            pointer::digest_at(&history, tag, when)
        };
        let expected = digest_of("v1");
        prop_assert_eq!(here.len(), usize::from(expected.is_some()));
        if let Some(stretch) = here.first() {
            prop_assert_eq!(Some(&stretch.digest), expected);
            prop_assert_eq!(stretch.shared, digest_of("v2") == expected || digest_of("v3") == expected);
        }
    }
}

//! What clients do, what the registry says of it, and what it was.

use super::Written;
use crate::event::{
    fixture::{at, raws, told},
    link::link,
};

/// Raw events (in any order) under these facts are exactly these acts, oldest first.
#[track_caller]
pub(super) fn becomes(facts: &str, raw: &str, acts: &str) {
    let mut raw = raws(raw);
    let expected: Vec<&str> = acts
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    for order in ["as written", "backwards"] {
        let made: Vec<String> = link(&raw, &Written::new(facts)).iter().map(told).collect();
        assert_eq!(made, expected, "{order}");
        raw.reverse();
    }
}

#[test]
fn a_runtime_that_resolves_a_tag_and_gets_the_digest_is_one_pull_of_the_tag() {
    becomes(
        "A",
        "head 0.0 n HEAD v1 @A
         get  0.3 n GET  -  @A",
        "get Pull v1 @A x2",
    );
}

#[test]
fn a_client_that_gets_a_tag_with_one_request_is_one_pull() {
    becomes("A", "get 0 n:docker GET v1 @A", "get Pull v1 @A x1");
}

#[test]
fn a_client_that_looks_at_a_tag_and_gets_it_by_tag_is_one_pull() {
    becomes(
        "A",
        "head 0.0 n:crane HEAD v1 @A
         get  0.1 n:crane GET  v1 @A",
        "get Pull v1 @A x2",
    );
}

#[test]
fn a_get_of_a_digest_alone_is_a_pull_without_a_tag() {
    becomes("A", "get 0 n GET - @A", "get Pull - @A x1");
}

#[test]
fn a_pull_of_a_source_that_names_no_method_is_a_pull() {
    becomes("A", "pull 0 n PULL v1 @A", "pull Pull v1 @A x1");
}

#[test]
fn a_second_pod_that_only_looks_is_a_check() {
    becomes(
        "A",
        "first  0.0 n HEAD v1 @A
         get    0.3 n GET  -  @A
         second 0.5 n HEAD v1 @A",
        "get Pull v1 @A x2
         second Check v1 @A x1",
    );
}

#[test]
fn many_nodes_behind_one_address_are_as_many_pulls() {
    becomes(
        "A",
        "h1 0.0 n HEAD v1 @A
         h2 0.1 n HEAD v1 @A
         h3 0.2 n HEAD v1 @A
         g1 0.3 n GET  -  @A
         g2 0.4 n GET  -  @A
         g3 0.5 n GET  -  @A",
        "g1 Pull v1 @A x2
         g2 Pull v1 @A x2
         g3 Pull v1 @A x2",
    );
}

#[test]
fn a_get_takes_one_look_and_no_look_serves_two_gets() {
    becomes(
        "A",
        "h  0.0 n HEAD v1 @A
         g1 0.3 n GET  -  @A
         g2 0.4 n GET  -  @A",
        "g1 Pull v1 @A x2
         g2 Pull - @A x1",
    );
}

#[test]
fn a_get_takes_the_nearest_look() {
    becomes(
        "A",
        "old 0.0 n HEAD v1     @A
         new 5.0 n HEAD latest @A
         get 5.1 n GET  -      @A",
        "old Check v1 @A x1
         get Pull latest @A x2",
    );
}

#[test]
fn a_get_by_tag_takes_no_look_at_another_tag() {
    becomes(
        "A",
        "mine  0.0 n HEAD v1     @A
         other 0.1 n HEAD latest @A
         get   0.2 n GET  v1     @A",
        "other Check latest @A x1
         get Pull v1 @A x2",
    );
}

#[test]
fn a_look_at_a_digest_names_no_tag_and_stays_a_check() {
    becomes(
        "A",
        "head 0.0 n HEAD - @A
         get  0.1 n GET  - @A",
        "head Check - @A x1
         get Pull - @A x1",
    );
}

#[test]
fn others_looks_are_not_taken() {
    becomes(
        "A B",
        "address 0.0 m         HEAD v1 @A
         program 0.1 n:skopeo  HEAD v1 @A
         content 0.2 n         HEAD v1 @B
         get     0.3 n         GET  -  @A",
        "address Check v1 @A x1
         program Check v1 @A x1
         content Check v1 @B x1
         get Pull - @A x1",
    );
}

#[test]
fn clients_of_whom_no_address_is_known_are_told_apart_by_program_alone() {
    becomes(
        "A",
        "head 0.0 -        HEAD v1 @A
         get  0.1 -        GET  -  @A
         alone 0.2 -:crane GET  -  @A",
        "get Pull v1 @A x2
         alone Pull - @A x1",
    );
}

#[test]
fn a_look_ten_seconds_before_is_taken_and_an_older_one_is_not() {
    becomes(
        "A",
        "head 0.0 n HEAD v1 @A
         get 10.0 n GET  -  @A",
        "get Pull v1 @A x2",
    );
    becomes(
        "A",
        "head 0.0    n HEAD v1 @A
         get 10.001  n GET  -  @A",
        "head Check v1 @A x1
         get Pull - @A x1",
    );
}

#[test]
fn a_look_after_the_get_is_a_check() {
    becomes(
        "A",
        "get  0.0 n GET  -  @A
         head 0.1 n HEAD v1 @A",
        "get Pull - @A x1
         head Check v1 @A x1",
    );
}

#[test]
fn a_part_received_five_minutes_later_is_taken_and_a_later_one_is_not() {
    becomes(
        "A",
        "head 0.0 n HEAD v1 @A received=301
         get  0.3 n GET  -  @A received=1",
        "get Pull v1 @A x2",
    );
    becomes(
        "A",
        "head 0.0 n HEAD v1 @A received=301.1
         get  0.3 n GET  -  @A received=1",
        "head Check v1 @A x1
         get Pull - @A x1",
    );
}

#[test]
fn a_retry_with_the_same_id_is_the_same_event() {
    becomes(
        "A",
        "head 0.0 n HEAD v1 @A
         head 0.0 n HEAD v1 @A received=20
         get  0.3 n GET  -  @A
         get  0.3 n GET  -  @A received=30",
        "get Pull v1 @A x2",
    );
}

#[test]
fn an_id_that_comes_again_with_another_time_is_another_event() {
    becomes(
        "A",
        "x 0.0 n GET v1 @A
         x 0.3 n GET v1 @A
         x 0.3 n GET v1 @A received=30",
        "x Pull v1 @A x1
         x Pull v1 @A x1",
    );
    becomes(
        "A",
        "x 0.0 n GET v1 @A untimed received=1
         x 0.0 n GET v1 @A untimed received=2",
        "x Pull v1 @A x1",
    );
}

#[test]
fn an_event_without_a_digest_stands_alone() {
    becomes(
        "",
        "head 0.0 n HEAD v1 -
         get  0.1 n GET  v1 -",
        "head Check v1 - x1
         get Pull v1 - x1",
    );
}

#[test]
fn id_and_time_of_a_pull_are_those_of_its_get() {
    let raw = raws("head 0 n HEAD v1 @A\n get 3 n GET - @A");
    let made = link(&raw, &Written::new("A"));
    assert_eq!((made[0].id.as_str(), made[0].time), ("get", at(3.0)));
}

#[test]
fn a_platforms_manifest_fetched_after_its_index_is_part_of_that_pull() {
    becomes(
        "I>AB",
        "head  0.0 n HEAD v1 @I
         index 0.1 n GET  -  @I
         child 0.2 n GET  -  @A",
        "index Pull v1 @I x3",
    );
}

#[test]
fn an_index_takes_each_platform_once() {
    becomes(
        "I>AB",
        "index 0.0 n GET - @I
         a1    0.1 n GET - @A
         b1    0.2 n GET - @B
         a2    0.3 n GET - @A",
        "index Pull - @I x3
         a2 Pull - @A x1",
    );
}

#[test]
fn two_nodes_behind_one_address_take_a_platform_each() {
    becomes(
        "I>A",
        "i1 0.0 n GET v1 @I
         i2 0.1 n GET v1 @I
         a1 0.2 n GET -  @A
         a2 0.3 n GET -  @A",
        "i1 Pull v1 @I x2
         i2 Pull v1 @I x2",
    );
}

#[test]
fn a_platforms_manifest_asked_for_by_name_is_a_pull_of_its_own() {
    becomes(
        "I>A",
        "index  0.0 n GET  v1       @I
         look   0.1 n HEAD v1-amd64 @A
         named  0.2 n GET  -        @A
         tagged 0.3 n GET  v1-amd64 @A",
        "index Pull v1 @I x1
         named Pull v1-amd64 @A x2
         tagged Pull v1-amd64 @A x1",
    );
}

#[test]
fn a_platforms_manifest_without_its_index_is_a_pull() {
    becomes(
        "I>A",
        "other 0.0 m GET v1 @I
         child 0.1 n GET -  @A
         index 0.2 n GET v1 @I",
        "other Pull v1 @I x1
         child Pull - @A x1
         index Pull v1 @I x1",
    );
}

#[test]
fn an_index_and_its_children_pushed_by_one_client_are_one_push() {
    becomes(
        "I>AB",
        "a     0.0 n PUT -  @A
         b     1.0 n PUT -  @B
         index 2.0 n PUT v1 @I",
        "index Push v1 @I x3",
    );
}

#[test]
fn a_second_tag_of_the_same_index_is_a_second_push() {
    becomes(
        "I>A",
        "a      0.0 n PUT -      @A
         first  1.0 n PUT v1     @I
         second 1.5 n PUT latest @I",
        "first Push v1 @I x2
         second Push latest @I x1",
    );
}

#[test]
fn a_child_pushed_by_tag_or_by_another_or_after_the_index_is_a_push_of_its_own() {
    becomes(
        "I>ABC",
        "tagged 0.0 n PUT v1-amd64 @A
         other  1.0 m PUT -        @B
         index  2.0 n PUT v1       @I
         after  3.0 n PUT -        @C",
        "tagged Push v1-amd64 @A x1
         other Push - @B x1
         index Push v1 @I x1
         after Push - @C x1",
    );
}

#[test]
fn a_push_told_twice_with_one_request_id_is_one() {
    becomes(
        "A",
        "again 0.0 n PUT v1 @A received=1.0 request=r
         first 0.0 n PUT v1 @A received=0.5 request=r",
        "first Push v1 @A x2",
    );
}

#[test]
fn pushes_of_other_requests_times_tags_or_digests_are_others() {
    becomes(
        "AB",
        "one   0.0 n PUT v1 @A request=r
         three 0.0 n PUT v2 @A request=r
         four  0.0 n PUT v1 @B request=r
         two   0.0 n PUT v1 @A request=s
         five  0.1 n PUT v1 @A request=r",
        "four Push v1 @B x1
         one Push v1 @A x1
         three Push v2 @A x1
         two Push v1 @A x1
         five Push v1 @A x1",
    );
}

#[test]
fn looks_of_a_client_before_its_push_are_checks() {
    becomes(
        "A",
        "head 0.0 n HEAD v1 @A
         put  1.0 n PUT  v1 @A",
        "head Check v1 @A x1
         put Push v1 @A x1",
    );
}

#[test]
fn the_delete_of_a_manifest_names_the_tags_that_went_with_it() {
    becomes(
        "A",
        "manifest 0.00 n DELETE -      @A request=r
         second   0.02 n DELETE v1     -  request=r
         first    0.01 n DELETE latest -  request=r",
        "manifest Delete latest,v1 @A x3",
    );
}

#[test]
fn deletes_of_different_requests_are_different_deletes() {
    becomes(
        "A",
        "one 0.0 n DELETE v1 - request=r
         two 0.1 n DELETE v2 - request=s
         three 0.2 n DELETE v3 -",
        "one Delete v1 - x1
         two Delete v2 - x1
         three Delete v3 - x1",
    );
}

#[test]
fn tags_deleted_by_one_request_are_one_delete_of_tags() {
    becomes(
        "",
        "one 0.0 n DELETE v2 - request=r
         two 0.1 n DELETE v1 - request=r",
        "one Delete v1,v2 - x2",
    );
}

#[test]
fn several_manifests_deleted_by_one_request_are_a_delete_each() {
    becomes(
        "A B",
        "a 0.0 n DELETE -  @A request=r
         b 0.1 n DELETE v1 @B request=r
         t 0.2 n DELETE v2 -  request=r",
        "a Delete - @A x1
         b Delete v1 @B x1
         t Delete v2 - x1",
    );
}

#[test]
fn a_delete_by_digest_counts_once_the_digest_is_known_to_be_a_manifest() {
    let raw = "gone 0 n DELETE - @A request=r";
    becomes("", raw, "gone UnresolvedDelete - @A x1");
    becomes("A", raw, "gone Delete - @A x1");
}

#[test]
fn a_digest_whose_delete_took_tags_with_it_was_a_manifest() {
    becomes(
        "",
        "gone 0.0 n DELETE -  @A request=r
         tag  0.1 n DELETE v1 -  request=r",
        "gone Delete v1 @A x2",
    );
}

#[test]
fn a_tag_received_long_after_its_manifests_delete_is_a_delete_of_its_own() {
    becomes(
        "A",
        "manifest 0.0 n DELETE -  @A request=r
         tag      0.1 n DELETE v1 -  request=r received=300
         late     0.2 n DELETE v2 -  request=r received=301",
        "manifest Delete v1 @A x2
         late Delete v2 - x1",
    );
}

#[test]
fn the_delete_of_a_repository_takes_what_went_with_it() {
    becomes(
        "A",
        "tag  0.0 n DELETE v1 -  request=r
         a    0.1 n DELETE -  @A request=r
         b    0.2 n DELETE -  @B request=r
         repo 0.3 n DELETE -  -  request=r",
        "repo Delete v1 - x4",
    );
}

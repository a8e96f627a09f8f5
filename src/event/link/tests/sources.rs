//! What two sources tell of the same, and what it was.

use super::{Written, scenarios::becomes, shelf::settles};
use crate::event::{
    AddressSource, NetworkType,
    fixture::{at, raws},
    link::link,
};

#[test]
fn a_pull_that_a_webhook_and_an_audit_log_tell_is_one() {
    becomes(
        "A",
        "hook 0.4 - PULL v1 @A actor=alice
         row  0.0 - PULL v1 @A actor=alice from=audit received=7200",
        "hook Pull v1 @A x2",
    );
}

#[test]
fn what_one_source_does_not_tell_is_taken_from_the_other() {
    let mut raw = raws(
        "hook 0.4 - PULL -  @A received=1
         row  0.0 n PULL v1 -  from=audit actor=alice
         both 0.2 - PULL v1 @A from=third received=2",
    );
    raw[0].event.user_agent = None;
    raw[1].event.network_type = Some(NetworkType::Public);
    let made = link(&raw, &Written::new("A"));
    assert_eq!(made.len(), 2, "neither names what the other does: {made:?}");

    raw[1].event.digest = raw[0].event.digest.clone();
    let made = link(&raw, &Written::new("A"));
    let [pull] = made.as_slice() else {
        panic!("{made:?}");
    };
    // The row was received first.
    assert_eq!((pull.id.as_str(), pull.time), ("row", at(0.0)));
    raw[1].received = at(3600.0);
    let made = link(&raw, &Written::new("A"));
    let [pull] = made.as_slice() else {
        panic!("{made:?}");
    };
    assert_eq!((pull.id.as_str(), pull.time), ("hook", at(0.4)));
    assert_eq!(pull.tags, ["v1"]);
    assert_eq!(pull.actor.as_deref(), Some("alice"));
    assert_eq!(pull.user_agent.as_deref(), Some("containerd"));
    assert_eq!(
        pull.address.map(|address| address.source),
        Some(AddressSource::Peer)
    );
    assert_eq!(pull.network_type, Some(NetworkType::Public));
    assert_eq!(pull.raw_count, 3);
}

#[test]
fn an_address_of_the_connection_is_surer_than_the_same_of_a_header() {
    let mut raw = raws("hook 0 n PULL v1 @A\n row 0 n PULL v1 @A from=audit received=9");
    raw[0].event.address.as_mut().unwrap().source = AddressSource::Header;
    let made = link(&raw, &Written::new("A"));
    assert_eq!(made.len(), 1);
    assert_eq!(
        made[0].address.map(|address| address.source),
        Some(AddressSource::Peer)
    );
}

#[test]
fn id_and_time_are_those_of_what_was_received_first() {
    becomes(
        "A",
        "hook 2.0 n PULL v1 @A received=3
         row  0.0 n PULL v1 @A from=audit received=600",
        "hook Pull v1 @A x2",
    );
    becomes(
        "A",
        "hook 2.0 n PULL v1 @A received=600
         row  0.0 n PULL v1 @A from=audit received=3",
        "row Pull v1 @A x2",
    );
}

#[test]
fn ten_seconds_apart_is_one_and_more_is_not() {
    becomes(
        "A",
        "hook 10 n PULL v1 @A\n row 0 n PULL v1 @A from=audit received=99",
        "hook Pull v1 @A x2",
    );
    becomes(
        "A",
        "hook 10.001 n PULL v1 @A\n row 0 n PULL v1 @A from=audit received=99",
        "row Pull v1 @A x1\n hook Pull v1 @A x1",
    );
}

#[test]
fn what_has_no_time_of_its_own_stands_alone() {
    becomes(
        "A",
        "hook 0 n PULL v1 @A\n row 1 n PULL v1 @A from=audit untimed",
        "hook Pull v1 @A x1\n row Pull v1 @A x1",
    );
}

#[test]
fn one_source_tells_two_pulls_where_it_tells_two() {
    becomes(
        "A",
        "one 0.0 n PULL v1 @A\n two 0.1 n PULL v1 @A",
        "one Pull v1 @A x1\n two Pull v1 @A x1",
    );
}

#[test]
fn a_tag_alone_and_a_digest_alone_are_two_unless_a_third_names_both() {
    becomes(
        "A",
        "hook 0.0 n PULL v1 -\n row 0.1 n PULL - @A from=audit",
        "hook Pull v1 - x1\n row Pull - @A x1",
    );
    becomes(
        "A",
        "hook 0.0 n PULL v1 -\n row 0.1 n PULL v1 @A from=audit",
        "hook Pull v1 @A x2",
    );
}

#[test]
fn other_names_addresses_and_actors_are_others() {
    for other in [
        "n PULL v2 @A actor=alice",
        "n PULL v1 @B actor=alice",
        "m PULL v1 @A actor=alice",
        "n PULL v1 @A actor=bob",
        "n PUT  v1 @A actor=alice",
    ] {
        let raw = raws(&format!(
            "hook 0.0 n PULL v1 @A actor=alice\n row 0.1 {other} from=audit"
        ));
        assert_eq!(link(&raw, &Written::new("A B")).len(), 2, "{other}");
    }
}

#[test]
fn actors_that_are_written_in_different_ways_tell_nothing_of_each_other() {
    for (one, other, together) in [
        ("alice", "Alice", true),
        ("alice", "bob", false),
        ("alice", "alice@example.com", true),
        ("alice@example.com", "bob@example.com", false),
        ("arn:aws:iam::1:user/alice", "alice", true),
        ("arn:aws:iam::1:user/alice", "arn:aws:iam::1:user/bob", false),
        ("5e0f3c1a-0000-4000-8000-000000000001", "alice@example.com", true),
        ("26342", "alice", true),
        ("26342", "26343", false),
    ] {
        let raw = raws(&format!(
            "hook 0.0 n PULL v1 @A actor={one}\n row 0.1 n PULL v1 @A actor={other} from=audit"
        ));
        let made = link(&raw, &Written::new("A"));
        assert_eq!(made.len() == 1, together, "{one} {other}");
    }
}

#[test]
fn the_same_request_is_one_whoever_is_said_to_ask() {
    becomes(
        "A",
        "hook 0.0 n PULL v1 @A request=r actor=proxy
         row  0.1 m PULL -  -  request=r actor=alice from=log",
        "hook Pull v1 @A x2",
    );
    // Other ids tell nothing: each may count in its own way.
    becomes(
        "A",
        "hook 0.0 n PULL v1 @A request=r
         row  0.1 n PULL v1 @A request=1 from=log",
        "hook Pull v1 @A x2",
    );
    becomes(
        "A B",
        "hook 0.0 n PULL v1 @A request=r
         row  0.1 n PULL v1 @B request=r from=log",
        "hook Pull v1 @A x1\n row Pull v1 @B x1",
    );
}

#[test]
fn the_same_request_is_taken_before_a_nearer_one() {
    let raw = raws(
        "one 0.0 n PULL v1 @A request=r
         two 0.3 n PULL v1 @A request=s
         log 0.4 n PULL v1 @A request=r from=log actor=alice received=9",
    );
    let made = link(&raw, &Written::new("A"));
    assert_eq!(made.len(), 2);
    assert_eq!(made[0].actor.as_deref(), Some("alice"));
}

#[test]
fn three_clients_behind_one_address_are_three_pulls_by_two_sources() {
    becomes(
        "A",
        "h1 0.1 n HEAD v1 @A\n h2 0.2 n HEAD v1 @A\n h3 0.3 n HEAD v1 @A
         g1 0.4 n GET  -  @A\n g2 0.5 n GET  -  @A\n g3 0.6 n GET  -  @A
         r1 0 n PULL v1 @A from=audit received=99
         r2 0 n PULL v1 @A from=audit received=99
         r3 0 n PULL v1 @A from=audit received=99",
        "g1 Pull v1 @A x3\n g2 Pull v1 @A x3\n g3 Pull v1 @A x3",
    );
}

#[test]
fn as_many_as_the_source_that_tells_more() {
    becomes(
        "A",
        "h1 0.1 n PULL v1 @A
         r1 0 n PULL v1 @A from=audit received=99
         r2 0 n PULL v1 @A from=audit received=99",
        "r1 Pull v1 @A x1\n h1 Pull v1 @A x2",
    );
}

#[test]
fn pulls_every_few_seconds_are_as_many_where_one_source_cuts_its_times() {
    becomes(
        "A",
        "h1 0.9 n PULL v1 @A\n h2 5.8 n PULL v1 @A\n h3 10.7 n PULL v1 @A
         r1 0 n PULL v1 @A from=audit received=99
         r2 5 n PULL v1 @A from=audit received=99
         r3 10 n PULL v1 @A from=audit received=99",
        "h1 Pull v1 @A x2\n h2 Pull v1 @A x2\n h3 Pull v1 @A x2",
    );
}

#[test]
fn a_look_that_another_source_tells_as_part_of_a_pull_is_no_check() {
    becomes(
        "A",
        "head 0.0 n HEAD v1 @A
         get  0.3 n GET  -  @A
         looked 0 n HEAD v1 -  from=log received=99
         got    0 n GET  -  @A from=log received=99",
        "get Pull v1 @A x4",
    );
}

#[test]
fn a_check_that_two_sources_tell_is_one() {
    becomes(
        "A",
        "head 0.3 n HEAD v1 @A
         row  0.0 n HEAD v1 -  from=log received=99",
        "head Check v1 @A x2",
    );
    becomes(
        "A",
        "head 0.3 n HEAD v1 @A
         get  0.0 n GET  v1 @A from=log received=99",
        "get Pull v1 @A x1\n head Check v1 @A x1",
    );
}

#[test]
fn a_look_and_a_get_of_different_sources_are_no_pair() {
    becomes(
        "A",
        "head 0.0 n HEAD v1 @A
         get  0.3 n GET  -  @A from=log",
        "head Check v1 @A x1\n get Pull - @A x1",
    );
}

#[test]
fn a_push_and_a_delete_by_two_sources_are_one() {
    becomes(
        "A",
        "action 0.0 - PUT v1 @A
         trail  1.2 n PUT v1 @A from=trail actor=ci received=900",
        "action Push v1 @A x2",
    );
    becomes(
        "",
        "hook 0.0 - DELETE -  @A
         row  1.2 n DELETE v1 @A from=audit actor=ci received=900",
        "hook Delete v1 @A x2",
    );
    becomes(
        "A",
        "manifest 0.0 n DELETE -  @A request=r
         first    0.1 n DELETE v1 -  request=r
         second   0.2 n DELETE v2 -  request=r
         row      0.0 - DELETE v2 @A from=audit received=900",
        "manifest Delete v1,v2 @A x4",
    );
    becomes(
        "A",
        "tag      0.0 n DELETE v1 -
         manifest 0.1 n DELETE v1 @A from=audit",
        "tag Delete v1 - x1\n manifest Delete v1 @A x1",
    );
    becomes(
        "",
        "hook 0.0 - DELETE - -
         row  0.5 - DELETE - - from=audit received=900",
        "hook Delete - - x2",
    );
}

#[test]
fn three_sources_are_one_where_all_agree() {
    becomes(
        "A",
        "a 0 n PULL v1 @A\n b 6 n PULL v1 @A from=other received=99\n c 9 n PULL v1 @A from=third received=98",
        "a Pull v1 @A x3",
    );
    // The third lies near the first, and too far from the second.
    becomes(
        "A",
        "a 6 n PULL v1 @A received=9\n b 0 n PULL v1 @A from=other received=99\n c 12 n PULL v1 @A from=third received=98",
        "a Pull v1 @A x2\n c Pull v1 @A x1",
    );
}

/// The further of two HEADs that each source tells; each is one with the nearest that is left.
/// One that is new at 0 moves the others as far as they can be moved.
const RIGHT: &str = "x1  1 n HEAD v1 @A request=r from=other
     g1  2 n HEAD v1 @A request=r
     x2  3 n HEAD v1 @A from=other
     g2  4 n HEAD v1 @A
     x3 14 n HEAD v1 @A from=other
     g3 24 n HEAD v1 @A
     get 34 n GET - @A received=500
     far 44 n:log GET - @A from=other received=44";

/// The same towards the past.
const LEFT: &str = "g1 -1 n HEAD v1 @A request=r
     x1  -2 n HEAD v1 @A request=r from=other
     g2  -3 n HEAD v1 @A
     x2  -4 n HEAD v1 @A from=other
     g3 -14 n HEAD v1 @A
     x3 -24 n HEAD v1 @A from=other
     get -24 n GET - @A from=other received=500
     far -34 n:log GET - @A received=0";

/// These lines, so many seconds later.
fn moved(lines: &str, seconds: i32) -> String {
    let line = |line: &str| {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        words[1] = (words[1].parse::<i32>().unwrap() + seconds).to_string();
        if !words.iter().any(|word| word.starts_with("received=")) {
            words.push("received=300".to_owned());
        }
        words.join(" ")
    };
    lines.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_look_by_another_source_moves_choices_as_far_as_all_rounds_reach() {
    let later = "new 0 n HEAD v1 @A request=r received=300";
    settles("A", &moved(RIGHT, 0), later);
    settles("A", &moved(LEFT, 0), &format!("{later} from=other"));
}

#[test]
fn what_is_touched_is_made_exactly_at_both_of_its_ends() {
    // Far away, what moves what is touched at its end; in the middle, something that moves nothing.
    let new = "new 0 m HEAD v2 @B received=300";
    let right = format!(
        "{}\n end -78 n HEAD v1 @A request=r received=300",
        moved(RIGHT, -78)
    );
    settles("A B", &right, new);
    let left = format!(
        "{}\n end 78 n HEAD v1 @A request=r received=300 from=other",
        moved(LEFT, 78)
    );
    settles("A B", &left, new);
}

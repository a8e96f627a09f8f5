use super::*;

#[test]
fn an_address_with_a_port_is_the_peer_and_one_without_comes_from_a_header() {
    use AddressSource::{Header, Peer};
    for (text, expected) in [
        ("192.168.64.11:42961", Some(("192.168.64.11", Peer))),
        ("192.168.64.11", Some(("192.168.64.11", Header))),
        ("[2001:db8::1]:443", Some(("2001:db8::1", Peer))),
        ("2001:db8::1", Some(("2001:db8::1", Header))),
        ("[2001:db8::1]", Some(("2001:db8::1", Header))),
        ("[fe80::1%eth0]:443", Some(("fe80::1", Peer))),
        ("fe80::1%eth0", Some(("fe80::1", Header))),
        ("[::ffff:10.0.0.1]:443", Some(("10.0.0.1", Peer))),
        ("client.local", None),
        ("client.local:80", None),
        ("AWS Internal", None),
        ("gcp-internal-ip", None),
        ("10.0.0.1:", None),
        ("10.0.0.1:99999", None),
        ("10.0.0.256", None),
        ("10.0.0.1%eth0", None),
        ("10.0.0.1, 10.0.0.2", None),
        ("[]:1", None),
        ("@", None),
        ("", None),
    ] {
        let expected = expected.map(|(ip, source)| SourceAddress {
            ip: ip.parse().unwrap(),
            source,
        });
        assert_eq!(peer_or_header(text), expected, "{text:?}");
    }
}

#[test]
fn a_time_needs_a_zone_and_keeps_its_fraction() {
    for (text, expected) in [
        ("2026-01-05T08:15:30Z", Some("2026-01-05T08:15:30Z")),
        (
            "2026-01-05T08:15:30.1234567Z",
            Some("2026-01-05T08:15:30.1234567Z"),
        ),
        (
            "2026-01-05T08:15:30.123456789+02:00",
            Some("2026-01-05T06:15:30.123456789Z"),
        ),
        (
            "2016-03-09T14:44:26.402973972-08:00",
            Some("2016-03-09T22:44:26.402973972Z"),
        ),
        ("2026-01-05T08:15:30+0000", Some("2026-01-05T08:15:30Z")),
        ("2026-01-05T08:15:30", None),
        ("0001-01-01T00:00:00Z", None),
        ("yesterday", None),
        ("", None),
    ] {
        assert_eq!(time(text), expected.map(|time| time.parse().unwrap()), "{text:?}");
    }
}

#[test]
fn a_tag_is_what_the_specification_says() {
    for text in ["latest", "v1.2-rc_3", "_x", "0", &"a".repeat(128)] {
        assert_eq!(tag(text).as_deref(), Some(text));
    }
    let as_digest = format!("sha256:{}", "a".repeat(64));
    for text in [
        "",
        ".x",
        "-x",
        "a b",
        "a/b",
        "a:b",
        "é",
        "a\0",
        &as_digest,
        &"a".repeat(129),
    ] {
        assert_eq!(tag(text), None, "{text:?}");
    }
}

#[test]
fn what_is_too_long_is_cut_hashed_or_refused() {
    assert_eq!(repository(&"r".repeat(255)).map(|text| text.len()), Some(255));
    assert_eq!(repository(&"r".repeat(256)), None);
    assert_eq!(
        free_text(&"é".repeat(600)).map(|text| text.chars().count()),
        Some(512)
    );
    assert_eq!(id(&"i".repeat(255)), "i".repeat(255));
    let long = id(&"i".repeat(256));
    assert!(long.starts_with("sha256:") && long.len() == 71, "{long}");
    assert_ne!(long, id(&"i".repeat(257)));
    assert_eq!(media_type(&"m".repeat(256)), None);
    assert_eq!(method(&"M".repeat(33)), None);
}

#[test]
fn characters_that_stores_or_terminals_stumble_over_do_not_get_in() {
    assert_eq!(repository("a\nb"), None);
    assert_eq!(repository("a\0"), None);
    assert_eq!(free_text("a\0b").as_deref(), Some("ab"));
    assert_eq!(free_text("\0"), None);
    assert!(id("a\0").starts_with("sha256:"));
    assert_eq!(method("G\0T"), None);
}

#[test]
fn media_types_lose_their_parameters_and_methods_are_upper_case() {
    assert_eq!(
        media_type("text/plain; charset=utf-8").as_deref(),
        Some("text/plain")
    );
    assert_eq!(media_type(" ; x"), None);
    assert_eq!(method("head").as_deref(), Some("HEAD"));
    assert_eq!(method(""), None);
}

fn event() -> RegistryEvent {
    RegistryEvent {
        id: String::new(),
        category: Category::Pull,
        target: None,
        repository: "team/app".to_owned(),
        tag: Some("v1".to_owned()),
        digest: None,
        media_type: None,
        method: Some("GET".to_owned()),
        address: Some(SourceAddress {
            ip: "192.0.2.1".parse().unwrap(),
            source: AddressSource::Peer,
        }),
        network_type: None,
        forwarded_chain: None,
        actor: None,
        user_agent: None,
        time: time("2026-01-05T08:15:30Z"),
        request_id: None,
        instance_id: None,
    }
}

#[test]
fn a_key_made_of_content_differs_with_each_field_and_not_with_the_id() {
    let first = content_id(&event());
    assert_eq!(
        first,
        content_id(&RegistryEvent {
            id: "x".to_owned(),
            ..event()
        })
    );
    for other in [
        RegistryEvent {
            category: Category::Push,
            ..event()
        },
        RegistryEvent {
            repository: "team/ap".to_owned(),
            tag: Some("pv1".to_owned()),
            ..event()
        },
        RegistryEvent { tag: None, ..event() },
        RegistryEvent {
            method: None,
            actor: Some("GET".to_owned()),
            ..event()
        },
        RegistryEvent {
            address: None,
            ..event()
        },
        RegistryEvent {
            time: None,
            ..event()
        },
        RegistryEvent {
            user_agent: Some(String::new()),
            ..event()
        },
    ] {
        assert_ne!(first, content_id(&other), "{other:?}");
    }
}

#[test]
fn a_key_made_of_content_stays_the_same_from_version_to_version() {
    assert_eq!(
        content_id(&event()),
        "sha256:54e92b480629b56f2d2a099ae0bf91fc3c457d51c3107642e38b9f37d9cd5d50"
    );
}

#[test]
fn what_has_neither_id_nor_time_is_told_apart_by_when_it_came() {
    use crate::dialect::told_apart;
    let push = || super::event(Category::Push, None, "shop/web".to_owned());
    let at = |second: i64| Timestamp::from_second(1_770_000_000 + second).unwrap();
    let id = |event, second| told_apart(event, at(second)).id;
    let nameless = || named(push(), None);
    assert_eq!(id(nameless(), 0), id(nameless(), 60), "sent again");
    assert_ne!(id(nameless(), 0), id(nameless(), 900), "another push");
    assert_eq!(id(named(push(), Some("7")), 0), "7");
    let timed = || {
        let event = RegistryEvent {
            time: Some(at(0)),
            ..push()
        };
        named(event, None)
    };
    assert_eq!(id(timed(), 0), id(timed(), 900));
}

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store::bucket::Level;

const START: i64 = 1_770_000_000_000_000_000;

/// An event as far as a roll-up knows it: target, address and actor as text, so that they sort.
type Counted = (String, i64, i64, i64, Vec<i64>);

#[derive(Debug, Clone)]
struct Event {
    target: Option<DeleteTarget>,
    address: Option<SourceAddress>,
    network_type: Option<NetworkType>,
    actor: Option<String>,
    time: i64,
}

impl Event {
    fn client(&self) -> EventClient<'_> {
        EventClient {
            address: self.address,
            network_type: self.network_type,
            actor: self.actor.as_deref(),
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let target = prop::option::weighted(
        0.2,
        prop::sample::select(vec![
            DeleteTarget::Tag,
            DeleteTarget::Manifest,
            DeleteTarget::Repository,
        ]),
    );
    let few = (0..4_u32).prop_map(|n| IpAddr::V4((0x0a00_0000 + n).into()));
    let v4 = any::<u32>().prop_map(|bits| IpAddr::V4(bits.into()));
    let v6 = any::<u128>().prop_map(|bits| IpAddr::V6(bits.into()));
    let edge = prop::sample::select(vec![
        IpAddr::V4(u32::MAX.into()),
        IpAddr::V6(u128::MAX.into()),
        IpAddr::V6(0.into()),
        "::ffff:10.0.0.1".parse().unwrap(),
    ]);
    let source = prop::sample::select(vec![AddressSource::Peer, AddressSource::Header]);
    let address = (prop_oneof![6 => few, 1 => v4, 1 => v6, 1 => edge], source)
        .prop_map(|(ip, source)| SourceAddress { ip, source });
    let actor = prop::option::of(prop_oneof![
        4 => Just("ci".to_owned()),
        1 => Just(String::new()),
        1 => any::<String>()
    ]);
    let time = START..START + Level::Day.width();
    let network_type = prop::option::weighted(
        0.2,
        prop::sample::select(vec![NetworkType::Private, NetworkType::Public]),
    );
    let address = prop::option::weighted(0.9, address);
    (target, address, network_type, actor, time).prop_map(|(target, address, network_type, actor, time)| {
        Event {
            target,
            address,
            network_type,
            actor,
            time,
        }
    })
}

fn rolled_up<'a>(events: impl IntoIterator<Item = &'a Event>) -> Rollup {
    let mut rollup = Rollup::default();
    for event in events {
        rollup.add(event.target, event.client(), event.time);
    }
    rollup
}

fn name(target: Option<DeleteTarget>, client: EventClient<'_>) -> String {
    format!("{target:?} {client:?}")
}

fn counted(events: &[Event]) -> Vec<Counted> {
    let mut times: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for event in events {
        times
            .entry(name(event.target, event.client()))
            .or_default()
            .push(event.time);
    }
    times
        .into_iter()
        .map(|(name, mut times)| {
            times.sort_unstable();
            let (count, first, last) = (times.len(), times[0], times[times.len() - 1]);
            let listed = if count <= LISTED { times } else { Vec::new() };
            (name, i64::try_from(count).unwrap(), first, last, listed)
        })
        .collect()
}

fn decoded(bytes: &[u8]) -> Vec<Counted> {
    let mut sums = Vec::new();
    read(bytes, START, |sum| {
        sums.push((
            name(sum.target, sum.client),
            sum.count,
            sum.first,
            sum.last,
            sum.times.to_vec(),
        ));
    })
    .unwrap();
    sums.sort();
    sums
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_counted(events in prop::collection::vec(event(), 0..120)) {
        let bytes = rolled_up(&events).encode(START);
        prop_assert_eq!(decoded(&bytes), counted(&events));
        let reversed = rolled_up(events.iter().rev()).encode(START);
        prop_assert_eq!(reversed, bytes, "the order of counting leaves no trace");
    }

    #[test]
    fn merged_roll_ups_equal_counting_all(
        pieces in prop::collection::vec(prop::collection::vec(event(), 0..60), 0..6)
    ) {
        let mut merged = Rollup::default();
        for piece in &pieces {
            merged.merge(&rolled_up(piece).encode(START), START).unwrap();
        }
        let all = pieces.concat();
        prop_assert_eq!(merged.encode(START), rolled_up(&all).encode(START));
    }

    #[test]
    fn bytes_that_are_no_roll_up_are_refused_or_read_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let _ = read(&bytes, START, |_| {});
        let versioned = [&[VERSION], bytes.as_slice()].concat();
        let _ = read(&versioned, i64::MAX - 5, |_| {});
    }

    #[test]
    fn a_damaged_roll_up_makes_no_panic(
        events in prop::collection::vec(event(), 1..40), place: prop::sample::Index, byte: u8
    ) {
        let mut bytes = rolled_up(&events).encode(START);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = read(&bytes, START, |_| {});
        bytes.truncate(place);
        let _ = read(&bytes, START, |_| {});
    }
}

#[test]
fn an_unknown_version_is_refused() {
    assert_eq!(
        read(&[VERSION + 1], START, |_| {}),
        Err(Unreadable("another version wrote it"))
    );
    assert_eq!(read(&[], START, |_| {}), Err(Unreadable("it ends early")));
}

#[test]
fn the_layout_stays_what_was_written_before() {
    let address = |text: &str, source| SourceAddress {
        ip: text.parse().unwrap(),
        source,
    };
    let mut rollup = Rollup::default();
    let add = |rollup: &mut Rollup, target, address, actor, times: &[i64]| {
        for time in times {
            let client = EventClient {
                address,
                network_type: None,
                actor,
            };
            rollup.add(target, client, START + time);
        }
    };
    add(
        &mut rollup,
        None,
        Some(address("10.0.0.2", AddressSource::Peer)),
        Some("ci"),
        &[300, 5],
    );
    add(
        &mut rollup,
        None,
        Some(address("10.0.0.1", AddressSource::Peer)),
        Some("ci"),
        &[1; 17],
    );
    let v6 = address("::7", AddressSource::Header);
    add(&mut rollup, Some(DeleteTarget::Manifest), Some(v6), None, &[0]);
    let public = EventClient {
        address: None,
        network_type: Some(NetworkType::Public),
        actor: None,
    };
    rollup.add(None, public, START + 3);
    #[rustfmt::skip]
    let expected = [
        1, 1, 2, b'c', b'i',
        // Nobody's delete of a manifest.
        0, 2 * 8 + 4, 1, 7, 1, 0,
        // Nobody's pull from a network that the source calls public.
        0, 2 * 32, 1, 0, 1, 3,
        // The pulls of `ci`: 17 of one address, 2 of the next.
        1, 1, 2, 0x81, 0x80, 0x80, 0x50, 17, 1, 0, 1, 2, 5, 0xa7, 2,
    ];
    assert_eq!(rollup.encode(START), expected);
}

#[test]
fn a_client_of_few_events_takes_few_bytes() {
    let mut rollup = Rollup::default();
    let count = 1000;
    for n in 0..count {
        let address = SourceAddress {
            ip: IpAddr::V4((0x0a00_0000 + n * 3).into()),
            source: AddressSource::Peer,
        };
        let client = EventClient {
            address: Some(address),
            network_type: None,
            actor: Some("ci-robot"),
        };
        rollup.add(None, client, START + i64::from(n) * 900_000_007);
    }
    let bytes = rollup.encode(START).len();
    assert!(bytes < 9 * 1000, "{bytes} bytes");
}

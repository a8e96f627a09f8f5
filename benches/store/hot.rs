//! The history of one repository that a whole company pulls from, made anew from its number of
//! events: thousands of addresses, tags that move, a few public addresses, an actor that is
//! hardly ever seen.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr},
    ops::Range,
};

use image_usage_operator::{
    event::{AddressSource, Category, DeleteTarget, RegistryEvent, SourceAddress},
    image::Digest,
    store::{Delivery, RegistryKey},
};
use jiff::{SignedDuration, Timestamp};

pub(crate) const REPOSITORY: &str = "team/hot";
/// The tag that 3 of 10 pulls name.
pub(crate) const HOT_TAG: &str = "latest";
pub(crate) const RARE_ACTOR: &str = "auditor";
pub(crate) const COMMON_ACTOR: &str = "robot-1";

/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600;

/// Nanoseconds.
pub(crate) const DAY: i64 = 86_400_000_000_000;

const DAYS: u64 = History::DAYS.unsigned_abs();
/// Of the last day, which has just begun.
const LAST_MINUTES: u64 = 97;
const MINUTES_OF_A_DAY: u64 = 24 * 60;

const PRIVATE_ADDRESSES: u64 = 5_000;
const PUBLIC_ADDRESSES: u64 = 20;
const TAGS: u64 = 50;

/// One of how many events …
const A_PUSH: u64 = 5_000;
const A_DELETE: u64 = 20_000;
const PUBLIC: u64 = 1_000;
const RARE: u64 = 500_000;

/// One of the other repositories, numbered from 1.
pub(crate) fn other(number: impl Display) -> String {
    format!("team/other-{number}")
}

pub(crate) fn registry() -> RegistryKey {
    RegistryKey {
        namespace: "default".to_owned(),
        name: "bench".to_owned(),
        uid: "1".to_owned(),
    }
}

/// A private address, one of those that pull all the time.
pub(crate) fn address(number: u64) -> IpAddr {
    let bits = 0x0a01_0000 + u32::try_from(number % PRIVATE_ADDRESSES).unwrap_or_default();
    Ipv4Addr::from(bits).into()
}

/// A public address.
pub(crate) fn public_address(number: u64) -> IpAddr {
    let bits = 0xcb00_7100 + u32::try_from(number % PUBLIC_ADDRESSES).unwrap_or_default();
    Ipv4Addr::from(bits).into()
}

/// What a tag points at on a day.
pub(crate) fn digest(tag: u64, day: u64) -> Digest {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&(tag << 32 | day).to_be_bytes());
    Digest::Sha256(bytes)
}

fn tag(number: u64) -> String {
    if number == 0 {
        HOT_TAG.to_owned()
    } else {
        format!("v1.{number}")
    }
}

/// Evenly spread numbers that look like chance (splitmix64).
fn chance(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Thirty days and the beginning of another, of so many events each.
#[derive(Clone, Copy)]
pub(crate) struct History {
    a_day: u64,
}

impl History {
    pub(crate) const DAYS: i64 = 30;

    pub(crate) fn of(events: u64) -> Self {
        let minutes = DAYS * MINUTES_OF_A_DAY + LAST_MINUTES;
        Self {
            a_day: (events * MINUTES_OF_A_DAY / minutes).max(1),
        }
    }

    /// How many there are.
    pub(crate) fn events(self) -> u64 {
        self.last_hours().end
    }

    pub(crate) fn first_day(self) -> Range<u64> {
        0..self.a_day
    }

    pub(crate) fn last_hours(self) -> Range<u64> {
        let first = DAYS * self.a_day;
        first..first + self.a_day * LAST_MINUTES / MINUTES_OF_A_DAY
    }

    pub(crate) fn start() -> Timestamp {
        Timestamp::from_second(START).unwrap_or_default()
    }

    /// When a day begins, in nanoseconds since 1970 UTC.
    pub(crate) fn day(number: i64) -> i64 {
        START * 1_000_000_000 + number * DAY
    }

    /// The time that it is when the history ends.
    pub(crate) fn end() -> Timestamp {
        let minutes = i64::try_from(DAYS * MINUTES_OF_A_DAY + LAST_MINUTES).unwrap_or_default();
        Self::start() + SignedDuration::from_mins(minutes)
    }

    /// The events of these numbers, received when the last of them happened.
    pub(crate) fn delivery(self, numbers: Range<u64>) -> Delivery {
        let events: Vec<RegistryEvent> = numbers.map(|number| self.event(number)).collect();
        Delivery {
            registry: registry(),
            source: "notifications".to_owned(),
            received: events.last().and_then(|event| event.time).unwrap_or_default(),
            events,
            ignored: 0,
            quarantined: None,
        }
    }

    /// The event of this number, in the order of time; those beyond the last happen after the end.
    fn event(self, number: u64) -> RegistryEvent {
        let day = number / self.a_day;
        let place = u128::from(number) * u128::from(DAY.unsigned_abs()) / u128::from(self.a_day);
        let time = Self::start() + SignedDuration::from_nanos(i64::try_from(place).unwrap_or(i64::MAX));
        event(number, day, time)
    }
}

fn event(number: u64, day: u64, time: Timestamp) -> RegistryEvent {
    let [one, two, three] = [1, 2, 3].map(|salt| chance(number ^ salt << 60));
    let tag_number = if one % 10 < 3 { 0 } else { one % TAGS };
    let (category, target) = match number {
        _ if number % A_DELETE == 1 => (Category::Delete, Some(DeleteTarget::Tag)),
        _ if number % A_PUSH == 2 => (Category::Push, None),
        _ => (Category::Pull, None),
    };
    let who = two % PRIVATE_ADDRESSES;
    let ip = if three.is_multiple_of(PUBLIC) {
        public_address(two)
    } else {
        address(who)
    };
    let actor = if number % RARE == 3 {
        RARE_ACTOR.to_owned()
    } else {
        format!("robot-{}", who % 5)
    };
    // One of five pulls names a digest alone.
    let named = category != Category::Pull || !three.is_multiple_of(5);
    RegistryEvent {
        id: format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{number:012x}",
            one & 0xffff_ffff,
            two & 0xffff,
            two >> 16 & 0xfff,
            three & 0xfff
        ),
        category,
        target,
        repository: REPOSITORY.to_owned(),
        tag: named.then(|| tag(tag_number)),
        digest: (category != Category::Delete).then(|| digest(tag_number, day)),
        media_type: Some("application/vnd.oci.image.index.v1+json".to_owned()),
        method: Some(
            match category {
                Category::Push => "PUT",
                Category::Pull => "GET",
                Category::Delete => "DELETE",
            }
            .to_owned(),
        ),
        address: Some(SourceAddress {
            ip,
            source: AddressSource::Peer,
        }),
        network_type: None,
        forwarded_chain: None,
        actor: Some(actor),
        user_agent: Some("containerd/v2.1.4".to_owned()),
        time: Some(time),
        request_id: Some(format!("{two:016x}{three:016x}")),
        instance_id: Some("0f8e0b7e-6f6a-4c4e-9a44-5d1f8f2b7c11".to_owned()),
    }
}

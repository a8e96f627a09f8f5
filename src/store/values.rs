//! How values are kept, whatever keeps them. The numbers are part of each schema: a released
//! one never changes its meaning.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::bucket::Level;
use crate::event::{AddressSource, Category, DeleteTarget, LogicalCategory, NetworkType, TimeSource};

/// Nanoseconds since 1970 UTC. What lies outside of the years 1677 to 2262 is taken as
/// the nearest instant inside: no event of a registry is that old or new.
pub(super) fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time < Timestamp::UNIX_EPOCH {
        i64::MIN
    } else {
        i64::MAX
    })
}

/// An id: the 16 bytes of a UUID written the usual way, otherwise the text. Texts sort
/// before UUIDs, each kind by its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id<'a>(pub(super) &'a str);

impl PartialOrd for Id<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Id<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (uuid(self.0).is_some(), self.0).cmp(&(uuid(other.0).is_some(), other.0))
    }
}

/// Where the usual way of writing a UUID has its dashes.
const DASHES: [usize; 4] = [8, 13, 18, 23];

pub(super) fn uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != 36 {
        return None;
    }
    let mut bytes = [0; 16];
    let mut digits = 0;
    for (place, &byte) in text.iter().enumerate() {
        let digit = match byte {
            b'-' if DASHES.contains(&place) => continue,
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        // A dash in place of a digit leaves too few, a digit in place of a dash too many.
        let into = bytes.get_mut(digits / 2)?;
        *into = *into << 4 | digit;
        digits += 1;
    }
    (digits == 32).then_some(bytes)
}

pub(super) fn uuid_text(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for byte in bytes {
        if DASHES.contains(&text.len()) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(if digit < 10 {
                b'0' + digit
            } else {
                b'a' + digit - 10
            }));
        }
    }
    text
}

/// Common media types, kept as their numbers: from 1, in this order.
pub(super) const MEDIA_TYPES: [&str; 6] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// The number of a common media type.
pub(super) fn media_type_number(text: &str) -> Option<i16> {
    let place = MEDIA_TYPES.iter().position(|common| *common == text)?;
    i16::try_from(place + 1).ok()
}

/// The media type of a number.
pub(super) fn media_type_of(number: i16) -> Option<&'static str> {
    let place = usize::try_from(number).ok()?.checked_sub(1)?;
    MEDIA_TYPES.get(place).copied()
}

/// An enum kept as a number.
pub(super) trait Numbered: Copy {
    fn number(self) -> i16;
    fn of_number(number: i16) -> Option<Self>;
}

/// Both ways from one table.
macro_rules! numbered {
    ($enum:ty { $($variant:ident = $number:literal),+ $(,)? }) => {
        impl Numbered for $enum {
            fn number(self) -> i16 {
                match self { $(Self::$variant => $number),+ }
            }

            fn of_number(number: i16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

numbered!(Category { Push = 1, Pull = 2, Delete = 3 });
numbered!(LogicalCategory { Push = 1, Pull = 2, Delete = 3, Check = 4, UnresolvedDelete = 5 });
numbered!(DeleteTarget { Tag = 1, Manifest = 2, Repository = 3 });
numbered!(AddressSource { Peer = 1, Header = 2 });
numbered!(TimeSource { Event = 0, Received = 1 });
numbered!(Level { Quarter = 1, Hour = 2, Day = 3 });

/// How an address is known and which network the source states, in the one number that is kept of them; nothing
/// where there is neither.
pub(super) fn origin_number(source: Option<AddressSource>, network_type: Option<NetworkType>) -> Option<i16> {
    let source = source.map_or(0, Numbered::number);
    let network = match network_type {
        None => 0,
        Some(NetworkType::Private) => 1,
        Some(NetworkType::Public) => 2,
    };
    Some(4 * network + source).filter(|number| *number != 0)
}

/// What a number of [`origin_number`] stands for.
pub(super) fn origin_of_number(number: i16) -> Option<(Option<AddressSource>, Option<NetworkType>)> {
    let network_type = match number / 4 {
        0 => None,
        1 => Some(NetworkType::Private),
        2 => Some(NetworkType::Public),
        _ => return None,
    };
    match number % 4 {
        0 => Some((None, network_type)),
        source => Some((Some(AddressSource::of_number(source)?), network_type)),
    }
}

/// All categories of logical events, the values of their column.
pub(super) const LOGICAL_CATEGORIES: [LogicalCategory; 5] = [
    LogicalCategory::Push,
    LogicalCategory::Pull,
    LogicalCategory::Delete,
    LogicalCategory::Check,
    LogicalCategory::UnresolvedDelete,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_the_column_is_the_nearest_inside() {
        let ancient: Timestamp = "0001-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(nanoseconds(ancient), i64::MIN);
        assert_eq!(nanoseconds(Timestamp::MAX), i64::MAX);
    }
}

//! What is kept of each registry, and why nothing more is taken now.

use std::{fmt, str::FromStr};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use super::{RegistryKey, StoreError};

/// What an `ImageRegistry` asks to be kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long an event is kept after the later of its own time and its receipt.
    pub retention: SignedDuration,
    /// Most raw events.
    pub quota: Option<i64>,
}

/// A registry of which something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub registry: RegistryKey,
    /// `None` where it was never told.
    pub retention: Option<SignedDuration>,
    /// When its object was found to be gone.
    pub released: Option<Timestamp>,
}

/// Why deliveries of a registry are refused now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusing {
    LowSpace {
        keep_free: u64,
    },
    QuotaExceeded {
        quota: i64,
    },
    /// The store cannot be written, or does not answer.
    Unavailable,
}

impl Refusing {
    /// The word for a condition and a metric.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::LowSpace { .. } => LOW_SPACE,
            Self::QuotaExceeded { .. } => QUOTA_EXCEEDED,
            Self::Unavailable => STORE_UNAVAILABLE,
        }
    }
}

pub const LOW_SPACE: &str = "LowSpace";
pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
pub const STORE_UNAVAILABLE: &str = "StoreUnavailable";

/// How full a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that are free on its volume; `None` where the volume does not say.
    pub free: Option<u64>,
    /// Deliveries are refused because there is too little.
    pub low_space: bool,
    /// Registries that have reached their quota.
    pub over_quota: i64,
}

/// Keeps what registries ask for, and no more.
pub trait Keeping: Send + Sync + 'static {
    /// The registry is there, and this is what it asks for. Also takes back a release.
    fn keep(&self, registry: RegistryKey, terms: Terms) -> BoxFuture<'_, Result<(), StoreError>>;
    /// The registry's object is gone since about `at`; an earlier release stays.
    fn release(&self, registry: RegistryKey, at: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Removes a released registry with all that is known of it, in steps between which
    /// deliveries are written. One that is not released stays.
    fn remove(&self, registry: RegistryKey) -> BoxFuture<'_, Result<(), StoreError>>;
    /// All registries of which something is kept.
    fn kept(&self) -> BoxFuture<'_, Result<Vec<Kept>, StoreError>>;
    /// Why a delivery of this registry would be refused now.
    fn refusing(&self, registry: &RegistryKey) -> Option<Refusing>;
    fn room(&self) -> Room;
}

/// How much of the volume stays free: below it no event is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeepFree {
    /// 256 MiB, or a twentieth of the volume where that is less.
    #[default]
    Usual,
    /// At least 16 MiB where it is read from a text.
    Bytes(u64),
}

impl KeepFree {
    const USUAL_MOST: u64 = 256 * 1024 * 1024;
    /// Retention needs some room to make room: its log, and what a checkpoint moves from there.
    const LEAST: u64 = 16 * 1024 * 1024;
    const USUAL_SHARE: u64 = 20;

    /// Bytes of a volume of this size.
    #[must_use]
    pub fn of(self, volume: u64) -> u64 {
        match self {
            Self::Usual => Self::USUAL_MOST.min(volume / Self::USUAL_SHARE),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Units as Kubernetes writes them.
const UNITS: [(&str, u64); 4] = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40)];

impl FromStr for KeepFree {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)))
            .unwrap_or((text, 1));
        digits
            .bytes()
            .all(|digit| digit.is_ascii_digit())
            .then(|| digits.parse::<u64>().ok()?.checked_mul(unit))
            .flatten()
            .filter(|bytes| *bytes >= Self::LEAST)
            .map(Self::Bytes)
            .ok_or_else(|| "write a number of bytes, such as 268435456 or 256Mi, at least 16Mi".to_owned())
    }
}

impl fmt::Display for KeepFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("256Mi, or a twentieth of the volume"),
            Self::Bytes(bytes) => f.write_str(&in_units(*bytes)),
        }
    }
}

/// Bytes in the largest unit that leaves a whole number.
#[must_use]
pub fn in_units(bytes: u64) -> String {
    UNITS
        .iter()
        .rev()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(
            || bytes.to_string(),
            |(name, unit)| format!("{}{name}", bytes / unit),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_free_is_a_number_of_bytes_with_a_unit_of_kubernetes() {
        for (text, bytes) in [
            ("16777217", (16 << 20) + 1),
            ("256Mi", 256 << 20),
            ("2Gi", 2 << 30),
        ] {
            assert_eq!(text.parse(), Ok(KeepFree::Bytes(bytes)), "{text}");
            assert_eq!(KeepFree::Bytes(bytes).to_string(), text);
        }
        for text in [
            "",
            "Mi",
            "-1",
            "+1Gi",
            "1.5Gi",
            "5%",
            "100MB",
            "99999999999Ti",
            "0",
            "15Mi",
        ] {
            assert!(text.parse::<KeepFree>().is_err(), "{text}");
        }
    }

    #[test]
    fn by_default_a_twentieth_of_a_small_volume_stays_free_and_256_mib_of_a_large_one() {
        assert_eq!(KeepFree::Usual.of(1 << 30), (1 << 30) / 20);
        assert_eq!(KeepFree::Usual.of(8 << 30), 256 << 20);
        assert_eq!(KeepFree::Bytes(7).of(8 << 30), 7);
    }
}

//! What names a part of a store on the command line.

use std::str::FromStr;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::store::transfer::{EventKey, Record, decode};

/// `NAMESPACE/NAME` of an `ImageRegistry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryName {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl FromStr for RegistryName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err("write NAMESPACE/NAME of an ImageRegistry".to_owned()),
        }
    }
}

/// A time with its zone, or a date in UTC.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(date) = text.parse::<Date>()
        && !text.contains(['T', ' '])
    {
        return date
            .to_zoned(TimeZone::UTC)
            .map(|start| start.timestamp())
            .map_err(|error| error.to_string());
    }
    text.parse()
        .map_err(|_| "write a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z".to_owned())
}

/// The place of an event's line; `None` of another line, after which all events follow.
pub(super) fn parse_after(line: &str) -> Result<Option<EventKey>, String> {
    match decode(line.trim()) {
        Ok(Record::Event { registry, event }) => Ok(Some(EventKey {
            registry,
            repository: event.event.repository,
            time: event.time,
            id: event.event.id,
        })),
        Ok(Record::End) => Err("the export is whole: that is its last line".to_owned()),
        Ok(_) => Ok(None),
        Err(error) => Err(format!("give the last whole line of an export: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_zone_or_is_a_day_in_utc() {
        for (text, expected) in [
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
        ] {
            assert_eq!(parse_time(text), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "yesterday", "2026-01-31T12:00:00", "2026-13-01"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_registry_is_named_by_namespace_and_name() {
        assert!("team/registry".parse::<RegistryName>().is_ok());
        for text in ["", "registry", "/registry", "team/", "a/b/c"] {
            assert!(text.parse::<RegistryName>().is_err(), "{text}");
        }
    }
}

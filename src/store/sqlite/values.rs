//! How values are written in columns. The numbers are part of the schema: a released
//! one never changes its meaning.

use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};

use crate::{
    event::{AddressSource, Category, DeleteTarget, LogicalCategory, TimeSource},
    image::Digest,
};

/// A value of ours as a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column<T>(pub(super) T);

/// Nanoseconds since 1970 UTC. What lies outside of the years 1677 to 2262 is taken as
/// the nearest instant inside: no event of a registry is that old or new.
pub(super) fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time < Timestamp::UNIX_EPOCH {
        i64::MIN
    } else {
        i64::MAX
    })
}

impl ToSql for Column<Timestamp> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(nanoseconds(self.0).into())
    }
}

impl FromSql for Column<Timestamp> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Timestamp::from_nanosecond(value.as_i64()?.into())
            .map(Self)
            .map_err(FromSqlError::other)
    }
}

pub(super) fn digest_bytes(digest: &Digest) -> ToSqlOutput<'_> {
    let bytes: &[u8] = match digest {
        Digest::Sha256(bytes) => bytes,
        Digest::Sha512(bytes) => bytes.as_slice(),
    };
    ToSqlOutput::Borrowed(ValueRef::Blob(bytes))
}

impl ToSql for Column<&Digest> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(digest_bytes(self.0))
    }
}

impl FromSql for Column<Digest> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        if let Ok(sha256) = <[u8; 32]>::try_from(bytes) {
            Ok(Self(Digest::Sha256(sha256)))
        } else if let Ok(sha512) = <[u8; 64]>::try_from(bytes) {
            Ok(Self(Digest::Sha512(Box::new(sha512))))
        } else {
            Err(invalid_length(32, bytes.len()))
        }
    }
}

impl ToSql for Column<IpAddr> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let bytes = match self.0 {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        Ok(ToSqlOutput::Owned(Value::Blob(bytes)))
    }
}

impl FromSql for Column<IpAddr> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
            Ok(Self(bytes.into()))
        } else if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
            Ok(Self(bytes.into()))
        } else {
            Err(invalid_length(4, bytes.len()))
        }
    }
}

fn invalid_length(expected_size: usize, blob_size: usize) -> FromSqlError {
    FromSqlError::InvalidBlobSize {
        expected_size,
        blob_size,
    }
}

/// An enum kept as a number, both ways from one table.
macro_rules! numbered {
    ($enum:ty { $($variant:ident = $number:literal),+ $(,)? }) => {
        impl ToSql for Column<$enum> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let number: i64 = match self.0 { $(<$enum>::$variant => $number),+ };
                Ok(number.into())
            }
        }

        impl FromSql for Column<$enum> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_i64()? {
                    $($number => Ok(Self(<$enum>::$variant)),)+
                    unknown => Err(FromSqlError::OutOfRange(unknown)),
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
    use rusqlite::{Connection, types::FromSql};

    use super::*;

    fn round_trip<T: Clone, U: FromSql>(value: T) -> U
    where
        Column<T>: ToSql,
    {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .query_row("SELECT ?1", [Column(value)], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn values_come_back_as_they_went_in() {
        let time: Timestamp = "2026-02-03T04:05:06.123456789Z".parse().unwrap();
        assert_eq!(round_trip::<_, Column<Timestamp>>(time), Column(time));
        for text in [
            format!("sha256:{}", "a1".repeat(32)),
            format!("sha512:{}", "b2".repeat(64)),
        ] {
            let digest: Digest = text.parse().unwrap();
            assert_eq!(round_trip::<_, Column<Digest>>(&digest), Column(digest.clone()));
        }
        for text in ["203.0.113.7", "2001:db8::1", "::ffff:10.0.0.1"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(round_trip::<_, Column<IpAddr>>(ip), Column(ip));
        }
        for category in LOGICAL_CATEGORIES {
            assert_eq!(
                round_trip::<_, Column<LogicalCategory>>(category),
                Column(category)
            );
        }
    }

    #[test]
    fn a_time_beyond_the_column_is_the_nearest_inside() {
        let ancient: Timestamp = "0001-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(nanoseconds(ancient), i64::MIN);
        assert_eq!(nanoseconds(Timestamp::MAX), i64::MAX);
    }
}

//! How values are written in columns.

use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};

pub(super) use crate::store::values::{Id, LOGICAL_CATEGORIES, nanoseconds};
use crate::{
    image::Digest,
    store::{
        scope::Scope,
        values::{Numbered, media_type_number, media_type_of, uuid, uuid_text},
    },
};

/// A value of ours as a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column<T>(pub(super) T);

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

impl ToSql for Id<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match uuid(self.0) {
            Some(bytes) => ToSqlOutput::Owned(Value::Blob(bytes.to_vec())),
            None => ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_bytes())),
        })
    }
}

/// The text of an id as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdText(pub(super) String);

impl FromSql for IdText {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => {
                let bytes = bytes.try_into().map_err(|_| invalid_length(16, bytes.len()))?;
                Ok(Self(uuid_text(bytes)))
            }
            text => text.as_str().map(|text| Self(text.to_owned())),
        }
    }
}

/// A media type: a number for the common ones, otherwise the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MediaType<'a>(pub(super) &'a str);

impl ToSql for MediaType<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match media_type_number(self.0) {
            Some(number) => i64::from(number).into(),
            None => ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_bytes())),
        })
    }
}

/// The text of a media type as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MediaTypeText(pub(super) String);

impl FromSql for MediaTypeText {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = match value {
            ValueRef::Integer(number) => i16::try_from(number)
                .ok()
                .and_then(media_type_of)
                .ok_or(FromSqlError::OutOfRange(number))?,
            text => text.as_str()?,
        };
        Ok(Self(text.to_owned()))
    }
}

fn invalid_length(expected_size: usize, blob_size: usize) -> FromSqlError {
    FromSqlError::InvalidBlobSize {
        expected_size,
        blob_size,
    }
}

impl<T: Numbered> ToSql for Column<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::from(self.0.number()).into())
    }
}

impl<T: Numbered> FromSql for Column<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        i16::try_from(number)
            .ok()
            .and_then(T::of_number)
            .map(Self)
            .ok_or(FromSqlError::OutOfRange(number))
    }
}

/// The number of a scope's kind, and its key.
pub(super) fn scope_columns(scope: &Scope) -> (i64, ToSqlOutput<'_>) {
    match scope {
        Scope::All => (0, ToSqlOutput::Borrowed(ValueRef::Text(b""))),
        Scope::Tag(tag) => (1, ToSqlOutput::Borrowed(ValueRef::Text(tag.as_bytes()))),
        Scope::TaggedDigest(digest) => (2, digest_bytes(digest)),
        Scope::UntaggedDigest(digest) => (3, digest_bytes(digest)),
    }
}

pub(super) fn scope_of(number: i64, key: ValueRef<'_>) -> FromSqlResult<Scope> {
    let digest = || Column::column_result(key).map(|Column(digest)| digest);
    match number {
        0 => Ok(Scope::All),
        1 => Ok(Scope::Tag(key.as_str()?.to_owned())),
        2 => digest().map(Scope::TaggedDigest),
        3 => digest().map(Scope::UntaggedDigest),
        unknown => Err(FromSqlError::OutOfRange(unknown)),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, types::FromSql};

    use super::*;
    use crate::{event::LogicalCategory, store::values::MEDIA_TYPES};

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

    fn stored<U: FromSql>(value: impl ToSql) -> (U, String) {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .query_row("SELECT ?1, typeof(?1)", [value], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap()
    }

    #[test]
    fn an_id_that_is_a_uuid_is_short_and_comes_back_as_it_was() {
        let uuid = "5e0f3c1a-0000-4000-8000-00000000001f";
        assert_eq!(stored(Id(uuid)), (IdText(uuid.to_owned()), "blob".to_owned()));
        for other in [
            "",
            "1",
            "5E0F3C1A-0000-4000-8000-00000000001F",
            "5e0f3c1a00004000800000000000001f",
            "5e0f3c1a00000-4000-8000-00000000001f",
            "5e0f3c1a-0000-4000-8000-0000000000-f",
            "ée0f3c1a-0000-4000-8000-0000000001f",
            &"a".repeat(36),
        ] {
            assert_eq!(stored(Id(other)), (IdText(other.to_owned()), "text".to_owned()));
        }
    }

    #[test]
    fn ids_sort_here_as_they_do_in_the_file() {
        let ids = ["", "5e0f3c1a", "f", "x", "z-5e0f3c1a-0000-4000-8000-000000000000"];
        let uuids = [
            "00000000-0000-4000-8000-00000000001f",
            "5e0f3c1a-0000-4000-8000-000000000000",
        ];
        let sorted: Vec<&str> = ids.into_iter().chain(uuids).collect();
        let connection = Connection::open_in_memory().unwrap();
        for pair in sorted.windows(2) {
            assert!(Id(pair[0]) < Id(pair[1]), "{pair:?}");
            let less: bool = connection
                .query_row("SELECT ?1 < ?2", [Id(pair[0]), Id(pair[1])], |row| row.get(0))
                .unwrap();
            assert!(less, "{pair:?}");
        }
    }

    #[test]
    fn a_media_type_comes_back_as_it_was() {
        for text in MEDIA_TYPES {
            assert_eq!(
                stored(MediaType(text)),
                (MediaTypeText(text.to_owned()), "integer".to_owned())
            );
        }
        let other = "application/vnd.cncf.helm.config.v1+json";
        assert_eq!(
            stored(MediaType(other)),
            (MediaTypeText(other.to_owned()), "text".to_owned())
        );
    }

    #[test]
    fn a_scope_comes_back_as_it_was() {
        let digest: Digest = format!("sha256:{}", "a1".repeat(32)).parse().unwrap();
        let connection = Connection::open_in_memory().unwrap();
        for scope in [
            Scope::All,
            Scope::Tag("v1".to_owned()),
            Scope::TaggedDigest(digest.clone()),
            Scope::UntaggedDigest(digest),
        ] {
            let (number, key) = scope_columns(&scope);
            let found = connection
                .query_row("SELECT ?1, ?2", rusqlite::params![number, key], |row| {
                    Ok(scope_of(row.get(0)?, row.get_ref(1)?)?)
                })
                .unwrap();
            assert_eq!(found, scope);
        }
    }
}

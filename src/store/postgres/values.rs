//! How values are written in columns.

use std::net::IpAddr;

use jiff::Timestamp;
use tokio_postgres::{Row, types::FromSql};

use super::failure::Failure;
pub(super) use crate::store::values::{LOGICAL_CATEGORIES, Numbered, nanoseconds, origin_number};
use crate::{
    event::{NetworkType, SourceAddress},
    image::Digest,
    store::values::{media_type_number, media_type_of, origin_of_number, uuid, uuid_text},
};

/// A column as it is.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Failure> {
    row.try_get(column).map_err(Failure::from)
}

pub(super) fn time(row: &Row, column: usize) -> Result<Timestamp, Failure> {
    timestamp(get(row, column)?)
}

pub(super) fn optional_time(row: &Row, column: usize) -> Result<Option<Timestamp>, Failure> {
    get::<Option<i64>>(row, column)?.map(timestamp).transpose()
}

pub(super) fn timestamp(nanoseconds: i64) -> Result<Timestamp, Failure> {
    Timestamp::from_nanosecond(nanoseconds.into()).map_err(|_| Failure::Malformed("a time"))
}

pub(super) fn number<T: Numbered>(row: &Row, column: usize) -> Result<T, Failure> {
    T::of_number(get(row, column)?).ok_or(Failure::Malformed("a number"))
}

pub(super) fn optional_number<T: Numbered>(row: &Row, column: usize) -> Result<Option<T>, Failure> {
    get::<Option<i16>>(row, column)?
        .map(|number| T::of_number(number).ok_or(Failure::Malformed("a number")))
        .transpose()
}

pub(super) fn digest_bytes(digest: &Digest) -> &[u8] {
    match digest {
        Digest::Sha256(bytes) => bytes,
        Digest::Sha512(bytes) => bytes.as_slice(),
    }
}

pub(super) fn digest_of(bytes: &[u8]) -> Result<Digest, Failure> {
    if let Ok(sha256) = <[u8; 32]>::try_from(bytes) {
        Ok(Digest::Sha256(sha256))
    } else if let Ok(sha512) = <[u8; 64]>::try_from(bytes) {
        Ok(Digest::Sha512(Box::new(sha512)))
    } else {
        Err(Failure::Malformed("a digest"))
    }
}

pub(super) fn optional_digest(row: &Row, column: usize) -> Result<Option<Digest>, Failure> {
    get::<Option<&[u8]>>(row, column)?.map(digest_of).transpose()
}

pub(super) fn ip_bytes(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn ip_of(bytes: &[u8]) -> Result<IpAddr, Failure> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        Ok(bytes.into())
    } else if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
        Ok(bytes.into())
    } else {
        Err(Failure::Malformed("an address"))
    }
}

/// The address in this column and the network that the source states; the next column says how both are known.
pub(super) fn origin(
    row: &Row,
    column: usize,
) -> Result<(Option<SourceAddress>, Option<NetworkType>), Failure> {
    let ip = get::<Option<&[u8]>>(row, column)?.map(ip_of).transpose()?;
    let Some(number) = get::<Option<i16>>(row, column + 1)? else {
        return Ok((None, None));
    };
    let (source, network_type) =
        origin_of_number(number).ok_or(Failure::Malformed("how an address is known"))?;
    let address = ip.zip(source).map(|(ip, source)| SourceAddress { ip, source });
    Ok((address, network_type))
}

const TEXT: u8 = 0;
const UUID: u8 = 1;

pub(super) fn id_bytes(id: &str) -> Vec<u8> {
    match uuid(id) {
        Some(bytes) => [&[UUID], bytes.as_slice()].concat(),
        None => [&[TEXT], id.as_bytes()].concat(),
    }
}

/// A time and an id as the expression `int8send(time) || id` writes them.
pub(super) fn place_bytes(time: i64, id: &[u8]) -> Vec<u8> {
    [&time.to_be_bytes(), id].concat()
}

pub(super) fn id_of(bytes: &[u8]) -> Result<String, Failure> {
    let malformed = Failure::Malformed("an id");
    match bytes.split_first() {
        Some((&UUID, bytes)) => match bytes.try_into() {
            Ok(bytes) => Ok(uuid_text(bytes)),
            Err(_) => Err(malformed),
        },
        Some((&TEXT, text)) => String::from_utf8(text.to_vec()).map_err(|_| malformed),
        _ => Err(malformed),
    }
}

pub(super) fn id(row: &Row, column: usize) -> Result<String, Failure> {
    id_of(get(row, column)?)
}

pub(super) fn optional_id(row: &Row, column: usize) -> Result<Option<String>, Failure> {
    get::<Option<&[u8]>>(row, column)?.map(id_of).transpose()
}

pub(super) fn media_type_bytes(text: &str) -> Vec<u8> {
    match media_type_number(text).and_then(|number| u8::try_from(number).ok()) {
        Some(number) => vec![number],
        None => [&[TEXT], text.as_bytes()].concat(),
    }
}

pub(super) fn optional_media_type(row: &Row, column: usize) -> Result<Option<String>, Failure> {
    let malformed = || Failure::Malformed("a media type");
    let Some(bytes) = get::<Option<&[u8]>>(row, column)? else {
        return Ok(None);
    };
    match bytes {
        [TEXT, text @ ..] => String::from_utf8(text.to_vec())
            .map(Some)
            .map_err(|_| malformed()),
        [number] => media_type_of(i16::from(*number))
            .map(|text| Some(text.to_owned()))
            .ok_or_else(malformed),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::values::{Id, MEDIA_TYPES};

    #[test]
    fn an_id_comes_back_as_it_was() {
        for text in [
            "",
            "1",
            "5e0f3c1a-0000-4000-8000-00000000001f",
            "5E0F3C1A-0000-4000-8000-00000000001F",
            "\0",
        ] {
            assert_eq!(id_of(&id_bytes(text)).unwrap(), text);
        }
        assert!(id_of(&[]).is_err() && id_of(&[1, 2]).is_err() && id_of(&[2]).is_err());
    }

    #[test]
    fn ids_sort_in_columns_as_they_do_here() {
        let sorted = [
            "",
            "5e0f3c1a",
            "f",
            "z-5e0f3c1a-0000-4000-8000-000000000000",
            "00000000-0000-4000-8000-00000000001f",
            "5e0f3c1a-0000-4000-8000-000000000000",
        ];
        for pair in sorted.windows(2) {
            assert!(Id(pair[0]) < Id(pair[1]), "{pair:?}");
            assert!(id_bytes(pair[0]) < id_bytes(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn common_media_types_are_short() {
        for text in MEDIA_TYPES {
            assert_eq!(media_type_bytes(text).len(), 1);
        }
        assert_eq!(media_type_bytes("text/plain"), b"\0text/plain");
    }
}

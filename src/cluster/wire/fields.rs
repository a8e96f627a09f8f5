use std::borrow::Cow;

use super::Malformed;

/// The fields of one protobuf message, in the order sent, read in place: what is
/// not asked for costs only its skipping, and nothing is allocated.
///
/// Format: <https://protobuf.dev/programming-guides/encoding/>.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Integers, booleans and enumerations.
    Number(u64),
    /// Strings, bytes and messages.
    Bytes(&'a [u8]),
    /// Fixed-width numbers; no field that is read has one.
    Fixed,
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and value, `None` at the end of the message.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Fixed
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Value::Fixed
            }
            // Groups are not in proto2 as Kubernetes writes it; 6 and 7 are in none.
            _ => return Err(Malformed),
        };
        match tag >> 3 {
            0 => Err(Malformed),
            number => Ok(Some((number, value))),
        }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for (index, &byte) in self.rest.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// A protobuf string. Go's encoder does not check UTF-8, so neither may one bad
/// byte stop the stream: it becomes U+FFFD.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(message: &[u8]) -> Result<Vec<(u64, Value<'_>)>, Malformed> {
        let mut fields = Fields::new(message);
        let mut found = Vec::new();
        while let Some(field) = fields.next()? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn every_wire_type_is_read_or_skipped() {
        let message = [
            0x08, 0x96, 0x01, // 1: varint 150
            0x11, 1, 2, 3, 4, 5, 6, 7, 8, // 2: fixed64
            0x1a, 2, b'h', b'i', // 3: bytes
            0x25, 1, 2, 3, 4, // 4: fixed32
        ];
        let expected = vec![
            (1, Value::Number(150)),
            (2, Value::Fixed),
            (3, Value::Bytes(b"hi")),
            (4, Value::Fixed),
        ];
        assert_eq!(all(&message), Ok(expected));
    }

    #[test]
    fn what_no_protobuf_message_can_be_is_malformed() {
        let table: [&[u8]; 7] = [
            &[0x08],                                                          // no value
            &[0x1a, 3, b'h', b'i'],                                           // too short
            &[0x0b],                                                          // a group
            &[0x02, 0],                                                       // field number 0
            &[0x80; 10],                                                      // a tag that never ends
            &[0x11, 1, 2],                                                    // half a fixed64
            &[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], // longer than memory
        ];
        for message in table {
            assert_eq!(all(message), Err(Malformed), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&message);
        }
    }
}

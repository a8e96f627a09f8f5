//! Numbers and texts as bytes: numbers in groups of 7 bits, the least first, as protobuf's are.

use super::Unreadable;

pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(version: u8) -> Self {
        Self(vec![version])
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn number(&mut self, mut number: u128) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                self.0.push(low & 0x7f);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    pub(super) fn length(&mut self, length: usize) {
        self.number(u128::try_from(length).unwrap_or(u128::MAX));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Unreadable> {
        let (&byte, rest) = self.0.split_first().ok_or(Unreadable("it ends early"))?;
        self.0 = rest;
        Ok(byte)
    }

    #[inline]
    pub(super) fn number(&mut self) -> Result<u128, Unreadable> {
        // Nearly all are shorter than 8 bytes and have as many behind them: those are put together
        // without a loop, since a summary reads hundreds of thousands.
        if let Some((&bytes, _)) = self.0.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(bytes);
            let ends = !word & 0x8080_8080_8080_8080;
            if ends != 0 {
                let bits = ends.trailing_zeros() + 1;
                self.0 = &self.0[bits as usize / 8..];
                return Ok(joined(word & (u64::MAX >> (64 - bits))).into());
            }
        }
        self.long_number()
    }

    fn long_number(&mut self) -> Result<u128, Unreadable> {
        let mut number = 0;
        for shift in (0..126).step_by(7) {
            let byte = self.byte()?;
            number |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        // Of the last group, 2 bits are left.
        match self.byte()? {
            byte @ 0..4 => Ok(number | u128::from(byte) << 126),
            _ => Err(Unreadable("a number is too great")),
        }
    }

    pub(super) fn length(&mut self) -> Result<usize, Unreadable> {
        usize::try_from(self.number()?).map_err(|_| Unreadable("a length is too great"))
    }

    /// A count of events, 1 or more.
    pub(super) fn count(&mut self) -> Result<i64, Unreadable> {
        match i64::try_from(self.number()?) {
            Ok(0) | Err(_) => Err(Unreadable("a count is out of range")),
            Ok(count) => Ok(count),
        }
    }

    /// A time, written as what it lies behind another.
    pub(super) fn later(&mut self, than: i64) -> Result<i64, Unreadable> {
        u64::try_from(self.number()?)
            .ok()
            .and_then(|behind| than.checked_add_unsigned(behind))
            .ok_or(Unreadable("a time is out of range"))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Unreadable> {
        let length = self.length()?;
        let (text, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(Unreadable("it ends early"))?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Unreadable("an actor is no text"))
    }
}

/// The groups of 7 bits that a word's 8 bytes hold, the least first, as one number.
fn joined(word: u64) -> u64 {
    let pairs = (word & 0x007f_007f_007f_007f) | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    (fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back_as_they_went_in(
            numbers in prop::collection::vec((any::<u128>(), 0..128_u32).prop_map(|(n, shift)| n >> shift), 0..20)
        ) {
            let mut writer = Writer::new(1);
            for &number in &numbers {
                writer.number(number);
            }
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes[1..]);
            for number in numbers {
                prop_assert_eq!(reader.number(), Ok(number));
            }
            prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn the_greatest_number_is_read_and_a_greater_one_refused() {
        for number in [u128::MAX, u64::MAX.into(), 1 << 56, (1 << 56) - 1, 0] {
            let mut writer = Writer::new(1);
            writer.number(number);
            let mut bytes = writer.finish();
            assert_eq!(Reader::new(&bytes[1..]).number(), Ok(number));
            bytes.extend([0; 8]);
            assert_eq!(Reader::new(&bytes[1..]).number(), Ok(number));
        }
        let mut greater = [0xff; 19];
        greater[18] = 4;
        assert_eq!(
            Reader::new(&greater).number(),
            Err(Unreadable("a number is too great"))
        );
    }
}

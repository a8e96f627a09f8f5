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

    pub(super) fn number(&mut self) -> Result<u128, Unreadable> {
        // Nearly all fit into 64 bits, which are much quicker to put together.
        let mut low: u64 = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            low |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(low.into());
            }
        }
        let mut number = u128::from(low);
        for shift in (63..126).step_by(7) {
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

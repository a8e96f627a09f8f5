use super::StreamError;
use crate::cluster::wire::Format;

/// Bytes of the length before a protobuf frame.
const HEADER: usize = 4;
/// A buffer that grew beyond this for one large frame is given back after it.
const KEPT_CAPACITY: usize = 64 * 1024;

/// Cuts a stream into frames as it arrives: a big-endian `u32` length before each
/// (protobuf), or a line each (JSON). A frame that arrives whole is not copied; of the
/// others, one at a time is held, and never more of it than has arrived.
#[derive(Debug)]
pub(super) struct Splitter {
    format: Format,
    /// Bytes of the largest frame taken, without its length or line end.
    limit: usize,
    pending: Vec<u8>,
}

impl Splitter {
    pub(super) fn new(format: Format, limit: usize) -> Self {
        Self {
            format,
            limit,
            pending: Vec::new(),
        }
    }

    /// Takes the next bytes, and hands over each frame that they complete.
    pub(super) fn feed<E: From<StreamError>>(
        &mut self,
        mut chunk: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !chunk.is_empty() {
            let Some(taken) = self.completing(chunk)? else {
                self.pending.extend_from_slice(chunk);
                break;
            };
            let (piece, rest) = chunk.split_at(taken);
            chunk = rest;
            if self.pending.is_empty() {
                self.hand_over(piece, &mut each)?;
            } else {
                self.pending.extend_from_slice(piece);
                self.hand_over(&self.pending, &mut each)?;
                self.pending.clear();
                self.pending.shrink_to(KEPT_CAPACITY);
            }
        }
        Ok(())
    }

    /// Whether the stream may end here: no frame was begun.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.pending.is_empty()
    }

    /// How many bytes of a chunk complete the pending frame; `None` if it goes on after it.
    fn completing(&self, chunk: &[u8]) -> Result<Option<usize>, StreamError> {
        match self.format {
            Format::Protobuf => {
                let mut header = [0; HEADER];
                let mut arrived = self.pending.iter().chain(chunk);
                for byte in &mut header {
                    match arrived.next() {
                        Some(&next) => *byte = next,
                        None => return Ok(None),
                    }
                }
                let length = u32::from_be_bytes(header) as usize;
                if length > self.limit {
                    return Err(StreamError::FrameTooLarge);
                }
                let lacking = HEADER + length - self.pending.len();
                Ok((lacking <= chunk.len()).then_some(lacking))
            }
            Format::Json => {
                let end = chunk.iter().position(|&byte| byte == b'\n');
                if self.pending.len() + end.unwrap_or(chunk.len()) > self.limit {
                    return Err(StreamError::FrameTooLarge);
                }
                Ok(end.map(|end| end + 1))
            }
        }
    }

    fn hand_over<E>(&self, frame: &[u8], each: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match self.format {
            Format::Protobuf => each(&frame[HEADER..]),
            Format::Json => match frame.trim_ascii() {
                [] => Ok(()),
                line => each(line),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const LIMIT: usize = 1000;

    /// The frames that the chunks complete, and whether they end at a boundary.
    fn split<'a>(
        format: Format,
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(Vec<Vec<u8>>, bool), StreamError> {
        let mut splitter = Splitter::new(format, LIMIT);
        let mut frames = Vec::new();
        for chunk in chunks {
            splitter.feed(chunk, |frame| {
                frames.push(frame.to_vec());
                Ok::<_, StreamError>(())
            })?;
        }
        Ok((frames, splitter.is_at_boundary()))
    }

    fn framed(format: Format, payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut stream = Vec::new();
        for payload in payloads {
            match format {
                Format::Protobuf => {
                    stream.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
                    stream.extend(payload);
                }
                Format::Json => {
                    stream.extend(payload);
                    stream.push(b'\n');
                }
            }
        }
        stream
    }

    #[test]
    fn frames_are_found_byte_by_byte() {
        let payloads = [b"one".to_vec(), b"x".repeat(LIMIT), b"three".to_vec()];
        for format in [Format::Protobuf, Format::Json] {
            let stream = framed(format, &payloads);
            let found = split(format, stream.chunks(1)).unwrap();
            assert_eq!(found, (payloads.to_vec(), true), "{format:?}");
            let cut = split(format, [&stream[..stream.len() - 1]]).unwrap();
            assert_eq!(cut, (payloads[..2].to_vec(), false), "{format:?}");
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_before_it_is_held() {
        for format in [Format::Protobuf, Format::Json] {
            let stream = framed(format, &[b"x".repeat(LIMIT + 1)]);
            assert_eq!(split(format, [&*stream]), Err(StreamError::FrameTooLarge));
            assert_eq!(split(format, stream.chunks(1)), Err(StreamError::FrameTooLarge));
        }
        // A length alone takes no memory.
        assert_eq!(
            split(Format::Protobuf, [&[0xff; 4][..]]),
            Err(StreamError::FrameTooLarge)
        );
    }

    #[test]
    fn blank_lines_are_no_frames() {
        let found = split(Format::Json, [&b"{}\r\n\n  \n{}\n"[..]]).unwrap();
        assert_eq!(found, (vec![b"{}".to_vec(), b"{}".to_vec()], true));
    }

    proptest! {
        #[test]
        fn no_cut_changes_the_frames(
            payloads in vec(vec(b'a'..=b'z', 1..200), 0..8),
            sizes in vec(1_usize..300, 1..60),
            is_json: bool,
        ) {
            let format = if is_json { Format::Json } else { Format::Protobuf };
            let stream = framed(format, &payloads);
            let mut rest = &stream[..];
            let mut chunks = Vec::new();
            for size in sizes.into_iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, next) = rest.split_at(size.min(rest.len()));
                chunks.push(chunk);
                rest = next;
            }
            prop_assert_eq!(split(format, chunks), Ok((payloads, true)));
        }

        #[test]
        fn no_bytes_make_it_panic_or_hold_more_than_the_limit(chunks in vec(vec(any::<u8>(), 0..500), 0..20)) {
            for format in [Format::Protobuf, Format::Json] {
                let mut splitter = Splitter::new(format, LIMIT);
                for chunk in &chunks {
                    if splitter.feed(chunk, |_| Ok::<_, StreamError>(())).is_err() {
                        break;
                    }
                    prop_assert!(splitter.pending.len() <= LIMIT + HEADER);
                }
            }
        }
    }
}

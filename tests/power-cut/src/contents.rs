//! The bytes of one file: as programs see them, as they are durable, and what lies between.

use fastrand::Rng;

/// Of a write, so many bytes survive or are lost together.
const SECTOR: usize = 512;

/// The bytes of one file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// What leads from `durable` to `seen`, in the order it was done.
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize { length: usize },
}

/// How much of what was not synced a cut takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of it.
    All,
    /// About half, each sector by itself.
    Half,
    /// A little, each sector by itself: the order that was kept mostly is broken here and there.
    Little,
    /// Nothing: the disk had written everything in time.
    Nothing,
}

impl Loss {
    /// Any of them.
    pub fn any(random: &mut Rng) -> Self {
        match random.u8(..4) {
            0 => Self::All,
            1 => Self::Half,
            2 => Self::Little,
            _ => Self::Nothing,
        }
    }

    /// Whether one thing is lost.
    pub(crate) fn takes(self, random: &mut Rng) -> bool {
        match self {
            Self::All => true,
            Self::Half => random.bool(),
            Self::Little => random.u8(..16) == 0,
            Self::Nothing => false,
        }
    }
}

impl Contents {
    /// A file that holds these and is durable.
    pub(crate) fn durable(bytes: Vec<u8>) -> Self {
        Self {
            seen: bytes.clone(),
            durable: bytes,
            pending: Vec::new(),
        }
    }

    pub(crate) fn length(&self) -> usize {
        self.seen.len()
    }

    /// What there is from `offset` on, at most `most` bytes.
    pub(crate) fn read(&self, offset: usize, most: usize) -> &[u8] {
        let rest = self.seen.get(offset..).unwrap_or_default();
        &rest[..most.min(rest.len())]
    }

    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.seen, offset, bytes);
        self.pending.push(Change::Write {
            offset,
            bytes: bytes.to_vec(),
        });
    }

    pub(crate) fn resize(&mut self, length: usize) {
        self.seen.resize(length, 0);
        self.pending.push(Change::Resize { length });
    }

    /// Makes durable what was done so far.
    pub(crate) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Change::Write { offset, bytes } => put(&mut self.durable, offset, &bytes),
                Change::Resize { length } => self.durable.resize(length, 0),
            }
        }
    }

    /// What a cut leaves.
    pub(crate) fn cut(&self, loss: Loss, random: &mut Rng) -> Vec<u8> {
        let mut left = self.durable.clone();
        if loss == Loss::All {
            return left;
        }
        for change in &self.pending {
            match change {
                Change::Write { offset, bytes } => write_some(&mut left, *offset, bytes, loss, random),
                Change::Resize { length } => {
                    if !loss.takes(random) {
                        left.resize(*length, 0);
                    }
                }
            }
        }
        left
    }
}

/// A write as a disk may have done it when the power went: sector by sector, in any order, some torn.
fn write_some(left: &mut Vec<u8>, offset: usize, bytes: &[u8], loss: Loss, random: &mut Rng) {
    let mut rest = bytes;
    let mut at = offset;
    while !rest.is_empty() {
        let (sector, behind) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
        if !loss.takes(random) {
            put(left, at, sector);
        } else if random.bool() {
            // Torn: it begins as it was written.
            put(left, at, &sector[..random.usize(..sector.len())]);
        } else if at >= left.len() && random.u8(..4) == 0 {
            // The file has grown, and what should be there never arrived.
            let rubbish: Vec<u8> = sector.iter().map(|_| random.u8(..)).collect();
            put(left, at, &rubbish);
        }
        at += sector.len();
        rest = behind;
    }
}

/// Writes into a file that grows where it must.
fn put(into: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if into.len() < end {
        into.resize(end, 0);
    }
    into[offset..end].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn synced_then(later: &[u8]) -> Contents {
        let mut contents = Contents::default();
        contents.write(0, &[1; 4 * SECTOR]);
        contents.sync();
        contents.write(0, later);
        contents
    }

    #[test]
    fn what_was_written_is_read_at_once() {
        let mut contents = synced_then(&[2; SECTOR]);
        assert_eq!(contents.read(SECTOR - 1, 2), [2, 1]);
        contents.resize(3);
        assert_eq!(contents.read(1, 100), [2, 2]);
        assert_eq!(contents.read(3, 100), [0; 0]);
    }

    #[test]
    fn what_was_synced_and_no_more_is_there_after_the_worst_cut() {
        let random = &mut Rng::with_seed(1);
        let contents = synced_then(&[2; 4 * SECTOR]);
        assert_eq!(contents.cut(Loss::All, random), [1; 4 * SECTOR]);
    }

    #[test]
    fn what_was_not_synced_is_lost_sector_by_sector() {
        let random = &mut Rng::with_seed(1);
        let contents = synced_then(&[2; 4 * SECTOR]);
        let mut seen = [false; 3];
        for _ in 0..200 {
            let left = contents.cut(Loss::Half, random);
            assert_eq!(left.len(), 4 * SECTOR);
            for sector in left.chunks(SECTOR) {
                let new = sector.iter().take_while(|byte| **byte == 2).count();
                assert!(sector[new..].iter().all(|byte| *byte == 1), "torn once");
                seen[usize::from(new > 0) + usize::from(new == SECTOR)] = true;
            }
        }
        assert_eq!(seen, [true; 3], "old, torn and new");
    }

    #[test]
    fn an_earlier_write_may_be_lost_and_a_later_one_be_there() {
        let random = &mut Rng::with_seed(1);
        let mut contents = Contents::durable(vec![0; 2 * SECTOR]);
        contents.write(0, &[1; SECTOR]);
        contents.write(SECTOR, &[2; SECTOR]);
        let found = (0..100).any(|_| {
            let left = contents.cut(Loss::Half, random);
            left[0] == 0 && left[2 * SECTOR - 1] == 2
        });
        assert!(found);
    }

    #[test]
    fn a_length_that_was_not_synced_may_be_the_old_one() {
        let random = &mut Rng::with_seed(1);
        let mut contents = synced_then(&[]);
        contents.resize(0);
        assert_eq!(contents.cut(Loss::All, random).len(), 4 * SECTOR);
        assert_eq!(contents.cut(Loss::Nothing, random).len(), 0);
    }
}

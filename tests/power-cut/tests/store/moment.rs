//! When the power goes.

use fastrand::Rng;
use power_cut::Operation;

use crate::clients::{DATABASE, LOG};

/// Nearly all operations are writes to the log: the others are looked for, so that cuts come into them too.
pub const RARE: [(Operation, &str); 7] = [
    (Operation::Write, DATABASE),
    (Operation::Sync, DATABASE),
    (Operation::Create, LOG),
    (Operation::Write, LOG),
    (Operation::Sync, LOG),
    (Operation::Truncate, LOG),
    (Operation::Delete, LOG),
];

/// The power lasts for less than two to the power of so many operations.
const MOST_LOG: u32 = 14;
const MOST_OF_ONE_KIND_LOG: u32 = 9;

/// In the middle of one operation.
pub struct Moment {
    /// Of these alone; `None` where all count.
    of: Option<(Operation, &'static str)>,
    /// How many come before it.
    after: u64,
}

impl Moment {
    /// Early ones are as likely as late ones on a scale of powers.
    pub fn any(random: &mut Rng) -> Self {
        let of = random.bool().then(|| RARE[random.usize(..RARE.len())]);
        let most_log = if of.is_some() {
            MOST_OF_ONE_KIND_LOG
        } else {
            MOST_LOG
        };
        let most = 1 << random.u32(..most_log);
        Self {
            of,
            after: random.u64(..most),
        }
    }

    /// Whether the power goes in an operation on a file, as a disk asks it.
    pub fn into_goes(self) -> impl FnMut(Operation, &str) -> bool + Send + 'static {
        let Self { of, mut after } = self;
        move |operation, file| {
            if of.is_some_and(|of| of != (operation, file)) {
                return false;
            }
            let is_now = after == 0;
            after = after.saturating_sub(1);
            is_now
        }
    }
}

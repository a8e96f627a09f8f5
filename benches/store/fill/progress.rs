//! What a long copy says while it goes on.

use std::time::{Duration, Instant};

use crate::{Result, numbers::rate};

const EVERY: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    table: &'static str,
    begun: Instant,
    told: Instant,
    rows: u64,
}

impl Progress {
    pub(super) fn begin(table: &'static str) -> Self {
        Self {
            table,
            begun: Instant::now(),
            told: Instant::now(),
            rows: 0,
        }
    }

    pub(super) fn add(&mut self, rows: u64) -> Result<()> {
        self.rows += rows;
        if self.told.elapsed() >= EVERY {
            self.tell("so far")?;
            self.told = Instant::now();
        }
        Ok(())
    }

    /// How many rows there are.
    pub(super) fn end(self, with: &str) -> Result<u64> {
        self.tell(with)?;
        Ok(self.rows)
    }

    fn tell(&self, how: &str) -> Result<()> {
        let took = self.begun.elapsed();
        println!(
            "  {}: {} rows in {:.0} s, {:.0} a second, {how}",
            self.table,
            self.rows,
            took.as_secs_f64(),
            rate(usize::try_from(self.rows)?, took)
        );
        Ok(())
    }
}

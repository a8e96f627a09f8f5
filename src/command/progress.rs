//! How far a long command is.

use std::{
    io::Write,
    time::{Duration, Instant},
};

/// On a terminal one line is written over; elsewhere lines follow each other.
const ON_TERMINAL: Duration = Duration::from_millis(250);
const IN_LINES: Duration = Duration::from_secs(10);

/// With a tenth of a mebibyte.
pub(super) fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

pub(super) struct Teller<'a> {
    told: &'a mut (dyn Write + Send),
    is_terminal: bool,
    last: Instant,
}

impl<'a> Teller<'a> {
    pub(super) fn new(told: &'a mut (dyn Write + Send), is_terminal: bool) -> Self {
        Self {
            told,
            is_terminal,
            last: Instant::now(),
        }
    }

    /// Tells it, if the last time is long enough ago. Who cannot be told anything is told nothing.
    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        let every = if self.is_terminal { ON_TERMINAL } else { IN_LINES };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        let _ = if self.is_terminal {
            write!(self.told, "\r{}\x1b[K", line()).and_then(|()| self.told.flush())
        } else {
            writeln!(self.told, "{}", line())
        };
    }

    pub(super) fn end(self, line: &str) {
        let begin = if self.is_terminal { "\r" } else { "" };
        let end = if self.is_terminal { "\x1b[K" } else { "" };
        let _ = writeln!(self.told, "{begin}{line}{end}");
    }
}

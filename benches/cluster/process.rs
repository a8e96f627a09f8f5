//! What a process uses, from `/proc`.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};

pub(crate) struct Process(PathBuf);

impl Process {
    pub(crate) fn this() -> Self {
        Self("/proc/self".into())
    }

    pub(crate) fn of(id: u32) -> Self {
        Self(format!("/proc/{id}").into())
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        Ok(1024 * self.field("VmRSS:")?)
    }

    /// The most that it ever was.
    pub(crate) fn resident_peak(&self) -> Result<u64> {
        Ok(1024 * self.field("VmHWM:")?)
    }

    fn field(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(self.0.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.split_whitespace().next());
        Ok(value
            .with_context(|| format!("{name} is not in the process's status"))?
            .parse()?)
    }

    /// Processor time of all threads, in steps of 10 ms.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(self.0.join("stat"))?;
        // The command's name, in parentheses, may hold spaces; user and system time are
        // the 12th and 13th field after it, in ticks of 1/100 s.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<u64>)
            .sum::<std::result::Result<_, _>>()?;
        Ok(Duration::from_millis(10 * ticks))
    }
}

//! What this process uses, from `/proc`.

use std::{fs, time::Duration};

use crate::Result;

/// Resident memory in bytes.
pub(crate) fn resident() -> Result<u64> {
    Ok(1024 * field("VmRSS:")?)
}

/// The most that it ever was.
pub(crate) fn resident_peak() -> Result<u64> {
    Ok(1024 * field("VmHWM:")?)
}

fn field(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_whitespace().next());
    Ok(value.ok_or("not in /proc/self/status")?.parse()?)
}

/// Processor time of all threads, in steps of 10 ms.
pub(crate) fn processor_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
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

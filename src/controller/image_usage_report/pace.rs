//! How often a report may be written: at once when it was quiet, then at most every few seconds, more rarely the
//! larger it is, and all reports within one budget of bytes.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::crd::{Condition, ConditionStatus, ImageUsageReportStatus, Summary};

/// Between two writes of a small report.
const ORDINARY: Duration = Duration::from_secs(5);
/// Between two writes when only numbers changed.
const COUNTERS: Duration = Duration::from_mins(1);
/// A report twice as large as this waits twice as long, and so on.
const SMALL: usize = 16 * 1024;
/// Bytes a second for all reports together.
pub const BYTES_PER_SECOND: f64 = 512.0 * 1024.0;

/// How much two statuses differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    None,
    /// Only numbers, and times that go with them.
    Counters,
    Ordinary,
    /// Verdict or conditions.
    Urgent,
}

impl Change {
    #[must_use]
    pub fn between(previous: &ImageUsageReportStatus, next: &ImageUsageReportStatus) -> Self {
        if previous == next {
            return Self::None;
        }
        let verdict =
            |status: &ImageUsageReportStatus| status.verdict.as_ref().map(|verdict| verdict.value.clone());
        let states = |conditions: &[Condition]| -> Vec<(String, ConditionStatus, String)> {
            conditions
                .iter()
                .map(|condition| {
                    (
                        condition.r#type.clone(),
                        condition.status,
                        condition.reason.clone(),
                    )
                })
                .collect()
        };
        if previous.observed_generation != next.observed_generation
            || verdict(previous) != verdict(next)
            || states(&previous.conditions) != states(&next.conditions)
        {
            return Self::Urgent;
        }
        if without_counters(previous) == without_counters(next) {
            Self::Counters
        } else {
            Self::Ordinary
        }
    }
}

fn without_counters(status: &ImageUsageReportStatus) -> ImageUsageReportStatus {
    let mut status = status.clone();
    if let Some(summary) = &mut status.summary {
        let Summary {
            clusters,
            namespaces,
            workloads,
            pods,
            ready_pods,
            digests,
            ..
        } = *summary;
        *summary = Summary {
            clusters,
            namespaces,
            workloads,
            pods,
            ready_pods,
            digests,
            ..Summary::default()
        };
    }
    status.truncated = crate::crd::Truncated::default();
    status
}

/// When a report was written last, and how large it was.
#[derive(Debug, Default)]
pub struct Pace {
    last: Option<(Instant, usize)>,
}

impl Pace {
    /// Whether it is this report's turn; otherwise how long it waits.
    pub fn turn(&mut self, change: Change, now: Instant) -> Result<(), Duration> {
        let Some((written, bytes)) = self.last else {
            return Ok(());
        };
        let pause = match change {
            Change::None | Change::Urgent => return Ok(()),
            Change::Ordinary => ORDINARY.mul_f64(ratio(bytes, SMALL).max(1.0)),
            Change::Counters => COUNTERS,
        };
        let due = written + pause;
        if now >= due { Ok(()) } else { Err(due - now) }
    }

    pub fn written(&mut self, bytes: usize, now: Instant) {
        self.last = Some((now, bytes));
    }
}

#[allow(clippy::cast_precision_loss)] // sizes of statuses are far below 2^52
fn ratio(bytes: usize, per: usize) -> f64 {
    bytes as f64 / per as f64
}

/// Bytes that all reports together may write: a bucket that fills steadily and holds what two seconds bring.
#[derive(Debug)]
pub struct WriteBudget(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    available: f64,
    at: Instant,
}

impl Default for WriteBudget {
    fn default() -> Self {
        Self(Mutex::new(Bucket {
            available: 2.0 * BYTES_PER_SECOND,
            at: Instant::now(),
        }))
    }
}

impl WriteBudget {
    /// Takes the bytes, or says how long to wait for them. What is urgent is always let through and leaves a
    /// debt that the others pay.
    pub fn take(&self, bytes: usize, change: Change, now: Instant) -> Result<(), Duration> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = now.saturating_duration_since(bucket.at).as_secs_f64() * BYTES_PER_SECOND;
        bucket.available = (bucket.available + filled).min(2.0 * BYTES_PER_SECOND);
        bucket.at = now;
        let wanted = ratio(bytes, 1);
        if bucket.available < wanted && change != Change::Urgent {
            return Err(Duration::from_secs_f64(
                (wanted - bucket.available) / BYTES_PER_SECOND,
            ));
        }
        bucket.available -= wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::Verdict;

    fn status(verdict: &str, pulls: i64, deployments: i64) -> ImageUsageReportStatus {
        ImageUsageReportStatus {
            verdict: Some(Verdict {
                value: verdict.into(),
                reasons: Vec::new(),
                observed_since: None,
            }),
            summary: Some(Summary {
                pulls: Some(pulls),
                pods: deployments,
                ..Summary::default()
            }),
            ..ImageUsageReportStatus::default()
        }
    }

    #[test]
    fn verdicts_go_before_rows_and_rows_before_counters() {
        let first = status("InUse", 1, 1);
        assert_eq!(Change::between(&first, &first), Change::None);
        assert_eq!(Change::between(&first, &status("InUse", 2, 1)), Change::Counters);
        assert_eq!(Change::between(&first, &status("InUse", 2, 2)), Change::Ordinary);
        assert_eq!(Change::between(&first, &status("Unused", 1, 0)), Change::Urgent);
    }

    #[test]
    fn a_quiet_report_is_written_at_once_and_then_the_larger_the_more_rarely() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.turn(Change::Counters, start), Ok(()));
        pace.written(4 * SMALL, start);
        assert_eq!(pace.turn(Change::Ordinary, start), Err(ORDINARY * 4));
        assert_eq!(pace.turn(Change::Counters, start), Err(COUNTERS));
        assert_eq!(pace.turn(Change::Urgent, start), Ok(()));
        assert_eq!(pace.turn(Change::Ordinary, start + ORDINARY * 4), Ok(()));
    }

    #[test]
    fn all_reports_share_one_budget() {
        let start = Instant::now();
        let budget = WriteBudget::default();
        let large = 1024 * 1024;
        assert_eq!(budget.take(large, Change::Ordinary, start), Ok(()));
        assert!(budget.take(1024, Change::Ordinary, start).is_err());
        assert_eq!(budget.take(1024, Change::Urgent, start), Ok(()));
        assert_eq!(
            budget.take(1024, Change::Ordinary, start + Duration::from_secs(1)),
            Ok(())
        );
    }
}

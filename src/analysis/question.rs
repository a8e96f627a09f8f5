use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use crate::{
    crd::{EventCategory, ImageUsageReportSpec, NetworkType, TimeRange, parse_duration},
    image::{Digest, Reference, ReferenceError, RepositoryName},
    store::Window,
};

/// The longest window a report may ask for.
pub const LONGEST_WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);
const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// What a report asks, once it is known to make sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub repository: RepositoryName,
    pub subject: Subject,
    pub range: Range,
    pub filter: Filter,
}

/// Which image of the repository is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Tag(String),
    Digest(Digest),
    /// The repository with all its tags.
    Repository,
}

/// The window of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Ends now.
    Last(SignedDuration),
    Between(Window),
}

/// Which events are listed and counted. An empty set lets everything through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub categories: BTreeSet<EventCategory>,
    pub network_types: BTreeSet<NetworkType>,
    pub limit: usize,
}

/// Why a report cannot be answered before a person changes it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidQuestion {
    #[error("set exactly one of image (with a tag or digest) and repository (all its tags)")]
    ImageOrRepository,
    #[error("the image has neither tag nor digest: add a tag such as :latest, or use repository")]
    NoTag,
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(
        "the window of events is not valid: set either last (a number and m, h or d) or start and end, in this order"
    )]
    Window,
    #[error("the window of events is longer than 30 days: ask for 30d at most")]
    WindowTooLong,
    #[error("the limit of events is not between 1 and 200")]
    Limit,
}

impl InvalidQuestion {
    /// The word for a condition.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ImageOrRepository => "ImageOrRepository",
            Self::NoTag => "TagMissing",
            Self::Reference(_) => "InvalidReference",
            Self::Window => "InvalidWindow",
            Self::WindowTooLong => "WindowTooLong",
            Self::Limit => "InvalidLimit",
        }
    }
}

impl Question {
    /// Reads a report's spec. The API server has refused most of what is refused here; an older definition
    /// or a changed one may have let it through.
    pub fn parse(spec: &ImageUsageReportSpec) -> Result<Self, InvalidQuestion> {
        let (repository, subject) = match (&spec.image, &spec.repository) {
            (Some(image), None) => {
                let reference: Reference = image.parse()?;
                let subject = match (reference.digest, reference.tag) {
                    (Some(digest), _) => Subject::Digest(digest),
                    (None, Some(tag)) => Subject::Tag(tag),
                    (None, None) => return Err(InvalidQuestion::NoTag),
                };
                (reference.repository, subject)
            }
            (None, Some(repository)) => (repository.parse()?, Subject::Repository),
            _ => return Err(InvalidQuestion::ImageOrRepository),
        };
        let limit = usize::try_from(spec.events.limit)
            .ok()
            .filter(|limit| (1..=200).contains(limit))
            .ok_or(InvalidQuestion::Limit)?;
        Ok(Self {
            repository,
            subject,
            range: Range::parse(&spec.events.time_range)?,
            filter: Filter {
                categories: spec.events.categories.iter().copied().collect(),
                network_types: spec.events.network_types.iter().copied().collect(),
                limit,
            },
        })
    }
}

impl Range {
    fn parse(range: &TimeRange) -> Result<Self, InvalidQuestion> {
        let (parsed, length) = match (&range.last, range.start, range.end) {
            (Some(last), None, None) => {
                let length = parse_duration(last).ok_or(InvalidQuestion::Window)?;
                (Self::Last(length), length)
            }
            (None, None, None) => (Self::Last(LONGEST_WINDOW), LONGEST_WINDOW),
            (None, Some(start), Some(end)) if start < end => {
                (Self::Between(Window { start, end }), end.duration_since(start))
            }
            _ => return Err(InvalidQuestion::Window),
        };
        if length > LONGEST_WINDOW {
            return Err(InvalidQuestion::WindowTooLong);
        }
        Ok(parsed)
    }

    /// How far a window that ends now moves at a time.
    fn step(length: SignedDuration) -> SignedDuration {
        if length > DAY { HOUR } else { MINUTE }
    }

    /// The window at this moment. One that ends now begins on a full hour, or minute for a day or less, so that
    /// a report does not change with every second; it has no end, so that an event whose registry's clock runs
    /// ahead is not lost.
    #[must_use]
    pub fn window(self, now: Timestamp) -> Window {
        match self {
            Self::Between(window) => window,
            Self::Last(length) => Window {
                start: floor(
                    now.saturating_sub(length).unwrap_or(Timestamp::MIN),
                    Self::step(length),
                ),
                end: Timestamp::MAX,
            },
        }
    }

    /// When the window moves next; never for one with fixed ends.
    #[must_use]
    pub fn next_slide(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Between(_) => None,
            Self::Last(length) => {
                let step = Self::step(length);
                floor(now.saturating_sub(length).ok()?, step)
                    .checked_add(step)
                    .and_then(|start| start.checked_add(length))
                    .ok()
            }
        }
    }
}

fn floor(time: Timestamp, step: SignedDuration) -> Timestamp {
    let seconds = time.as_second();
    Timestamp::from_second(seconds - seconds.rem_euclid(step.as_secs())).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::{ClusterSelection, EventFilter};

    fn spec(image: Option<&str>, repository: Option<&str>) -> ImageUsageReportSpec {
        ImageUsageReportSpec {
            image: image.map(str::to_owned),
            repository: repository.map(str::to_owned),
            clusters: ClusterSelection::default(),
            events: EventFilter::default(),
        }
    }

    fn with_range(last: Option<&str>, start: Option<&str>, end: Option<&str>) -> ImageUsageReportSpec {
        let mut spec = spec(Some("r.example/a:v1"), None);
        spec.events.time_range = TimeRange {
            last: last.map(str::to_owned),
            start: start.map(|time| time.parse().unwrap()),
            end: end.map(|time| time.parse().unwrap()),
        };
        spec
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_digest_decides_over_a_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let question = Question::parse(&spec(Some(&format!("r.example/a:v1@{digest}")), None)).unwrap();
        assert_eq!(question.subject, Subject::Digest(digest.parse().unwrap()));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        let mut too_many = spec(Some("r.example/a:v1"), None);
        too_many.events.limit = 201;
        for (spec, reason) in [
            (spec(None, None), "ImageOrRepository"),
            (spec(Some("a:v1"), Some("a")), "ImageOrRepository"),
            (spec(Some("r.example/a"), None), "TagMissing"),
            (spec(Some("r.example/A:v1"), None), "InvalidReference"),
            (spec(None, Some("r.example/a:v1")), "InvalidReference"),
            (with_range(Some("31d"), None, None), "WindowTooLong"),
            (with_range(Some("721h"), None, None), "WindowTooLong"),
            (with_range(Some("soon"), None, None), "InvalidWindow"),
            (
                with_range(None, Some("2026-01-02T00:00:00Z"), None),
                "InvalidWindow",
            ),
            (
                with_range(None, Some("2026-01-02T00:00:00Z"), Some("2026-01-01T00:00:00Z")),
                "InvalidWindow",
            ),
            (
                with_range(None, Some("2026-01-01T00:00:00Z"), Some("2026-02-01T00:00:00Z")),
                "WindowTooLong",
            ),
            (too_many, "InvalidLimit"),
        ] {
            assert_eq!(Question::parse(&spec).unwrap_err().reason(), reason, "{spec:?}");
        }
    }

    #[test]
    fn a_long_window_slides_by_hours_and_a_short_one_by_minutes() {
        let now = time("2026-03-31T10:20:30Z");
        let long = Range::Last(SignedDuration::from_hours(48));
        assert_eq!(long.window(now).start, time("2026-03-29T10:00:00Z"));
        assert_eq!(long.next_slide(now), Some(time("2026-03-31T11:00:00Z")));
        let short = Range::Last(SignedDuration::from_hours(24));
        assert_eq!(short.window(now).start, time("2026-03-30T10:20:00Z"));
        assert_eq!(short.next_slide(now), Some(time("2026-03-31T10:21:00Z")));
        let fixed = Range::Between(Window {
            start: now,
            end: time("2026-04-01T00:00:00Z"),
        });
        assert_eq!(fixed.next_slide(now), None);
    }
}

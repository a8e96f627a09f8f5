//! Quay's usage logs: `GET /api/v1/organization/NAME/logs` and `GET /api/v1/repository/NAME/logs`
//! (`endpoints/api/logs.py` there).
//!
//! A request names days, the answer is newest first, 20 rows a page, and each page says where the next one is
//! (`util/pagination.py`). A round reads from the newest row down to where the log was read before, and only then the
//! log is read so far: what lies between is not known before.

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    page::{NoPage, Page},
    reading::Step,
    source::Log,
};

/// How far a round is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    from: Timestamp,
    /// The last day that is asked for.
    to: Timestamp,
    /// What the page before said of the next one.
    next: Option<String>,
    newest: Option<Timestamp>,
}

impl Place {
    pub(super) fn new(from: Timestamp, now: Timestamp) -> Self {
        Self {
            from,
            // The registry's clock may be ahead.
            to: now.saturating_add(SignedDuration::from_hours(24)).unwrap_or(now),
            next: None,
            newest: None,
        }
    }

    /// Path and query of the next request.
    pub(super) fn target(&self, log: &Log) -> String {
        let path = match log {
            Log::QuayRepository(name) => format!("repository/{}", escape(name, b"/")),
            Log::QuayOrganization(name) => format!("organization/{}", escape(name, b"")),
            Log::Harbor => String::new(),
        };
        let day = |time: Timestamp| time.strftime("%m%%2F%d%%2F%Y").to_string();
        let next = self
            .next
            .as_ref()
            .map(|next| format!("&next_page={}", escape(next, b"")));
        format!(
            "/api/v1/{path}/logs?starttime={}&endtime={}{}",
            day(self.from),
            day(self.to),
            next.unwrap_or_default()
        )
    }

    pub(super) fn take(&mut self, page: &Page<'_>) -> Step {
        self.newest = self.newest.max(page.newest());
        self.next.clone_from(&page.next);
        let is_there = page
            .rows
            .iter()
            .filter_map(|row| row.time)
            .any(|time| time < self.from);
        let is_done = is_there || self.next.is_none();
        Step {
            until: self.newest.filter(|_| is_done),
            is_done,
        }
    }
}

pub(super) fn page(body: &[u8]) -> Result<Page<'_>, NoPage> {
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    // Where logs go to Splunk, and nobody told Quay how to search there.
    if answer.search_unavailable {
        return Err(NoPage);
    }
    Page::new(answer.logs, answer.next_page, |row| {
        let row: Row = serde_json::from_str(row.get()).ok()?;
        let text = &row.datetime;
        let mail = || rfc2822::parse(text).ok().map(|time| time.timestamp());
        text.parse().ok().or_else(mail)
    })
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    logs: Vec<&'a RawValue>,
    #[serde(default)]
    next_page: Option<String>,
    #[serde(default)]
    search_unavailable: bool,
}

#[derive(Deserialize)]
struct Row {
    datetime: String,
}

/// As a part of a path or query (RFC 3986, 2.3), save the bytes of `kept`.
fn escape(text: &str, kept: &[u8]) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

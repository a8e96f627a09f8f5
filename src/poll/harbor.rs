//! Harbor's audit log: `GET /api/v2.0/auditlog-exts`, and in versions before 2.13 `GET /api/v2.0/audit-logs`
//! (`api/v2.0/swagger.yaml` there; the query in `src/lib/q/builder.go`).
//!
//! Rows are asked for from a time on, oldest first, and the next page from the time of the last row on: rows that are
//! purged or become visible meanwhile shift no page. Only rows of one second are counted through by page numbers,
//! since the query knows no fractions everywhere. The two logs number their rows by themselves.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    page::{NoPage, Page, whole_second},
    reading::Step,
};
use crate::event::RegistryEvent;

/// The most that Harbor gives.
pub(super) const PAGE_SIZE: usize = 100;

/// How far a round is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// A whole second.
    from: Timestamp,
    /// Counted from 1.
    page: u32,
    /// The server has the older log only.
    is_older: bool,
    newest: Option<Timestamp>,
}

impl Place {
    pub(super) fn new(from: Timestamp) -> Self {
        Self {
            from,
            page: 1,
            is_older: false,
            newest: None,
        }
    }

    /// Path and query of the next request. Times are read as UTC.
    pub(super) fn target(&self) -> String {
        let path = if self.is_older {
            "audit-logs"
        } else {
            "auditlog-exts"
        };
        let from = self.from.strftime("%Y-%m-%dT%H%%3A%M%%3A%S");
        let page = self.page;
        format!(
            "/api/v2.0/{path}?page={page}&page_size={PAGE_SIZE}&sort=op_time%2Cid&q=op_time%3D%5B{from}~%5D"
        )
    }

    pub(super) fn take(&mut self, page: &Page<'_>) -> Step {
        let newest = page.newest();
        self.newest = self.newest.max(newest);
        if page.rows.len() < PAGE_SIZE {
            return Step {
                until: self.newest,
                is_done: true,
            };
        }
        // A server that does not sort is counted through to its end.
        let is_sorted = page.rows.is_sorted_by_key(|row| row.time);
        let until = newest.filter(|_| is_sorted);
        match until.map(whole_second) {
            Some(second) if second > self.from => {
                self.from = second;
                self.page = 1;
            }
            _ => self.page = self.page.saturating_add(1),
        }
        Step {
            until,
            is_done: false,
        }
    }

    /// Where else the log may be.
    pub(super) fn elsewhere(&mut self) -> bool {
        !std::mem::replace(&mut self.is_older, true)
    }

    /// The event under an id that no row of the other log has.
    pub(super) fn named(&self, event: RegistryEvent) -> RegistryEvent {
        if !self.is_older {
            return event;
        }
        RegistryEvent {
            id: format!("audit-logs/{}", event.id),
            ..event
        }
    }
}

pub(super) fn page(body: &[u8]) -> Result<Page<'_>, NoPage> {
    let rows: Option<Vec<&RawValue>> = serde_json::from_slice(body)?;
    Page::new(rows.unwrap_or_default(), None, |row| {
        let row: Row = serde_json::from_str(row.get()).ok()?;
        row.op_time.parse().ok()
    })
}

#[derive(Deserialize)]
struct Row {
    op_time: String,
}

//! Which categories of events a registry's sources tell of, and since when.

use jiff::Timestamp;

use crate::{
    crd::EventCategory,
    dialect::{Format, Reporting},
    event::Category,
    store::SourceState,
};

use super::EventEvidence;

/// What is known of one category of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    Since(Timestamp),
    /// It may, and has not yet: whether it would is not known.
    NotYet,
    Never,
}

/// `format` is what the source sends; nothing where its registry has no such source any more.
#[must_use]
pub fn reported(format: Option<Format>, source: &SourceState, category: Category) -> Reported {
    match format.map_or(Reporting::Sometimes, |format| format.reporting(category)) {
        Reporting::Always => Reported::Since(source.since),
        Reporting::Sometimes => source
            .reported
            .get(&category)
            .map_or(Reported::NotYet, |first| Reported::Since(*first)),
        Reporting::Never => Reported::Never,
    }
}

impl EventEvidence {
    fn reported(&self, source: &SourceState, category: EventCategory) -> Reported {
        let category = match category {
            EventCategory::Push => Category::Push,
            EventCategory::Pull => Category::Pull,
            EventCategory::Delete => Category::Delete,
        };
        reported(self.formats.get(&source.source).copied(), source, category)
    }

    /// The sources that tell of a category, and since when each does.
    pub(super) fn telling(&self, category: EventCategory) -> impl Iterator<Item = (&SourceState, Timestamp)> {
        self.sources
            .iter()
            .filter_map(move |source| match self.reported(source, category) {
                Reported::Since(since) => Some((source, since)),
                Reported::NotYet | Reported::Never => None,
            })
    }

    /// Whether a source that tells of a category of events not yet may do so.
    pub(super) fn may_tell(&self, category: EventCategory) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| self.reported(source, category) != Reported::Never)
    }
}

//! How far the reading of a cluster is: pure.

use jiff::Timestamp;

use crate::cluster::{
    Kind,
    watch::{ClusterState, Phase},
};

/// How far the reading of a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Connecting,
    /// The first complete list is under way.
    Syncing,
    /// Everything that may be read was read and is followed since then; the resources that may not.
    Synced {
        since: Timestamp,
        forbidden: Vec<&'static str>,
    },
    /// It was read, and cannot be followed since then.
    Stale {
        since: Timestamp,
        reason: &'static str,
    },
    /// It was never read, and cannot be since then.
    Unreachable {
        since: Timestamp,
        reason: &'static str,
    },
}

/// Whether the API server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Reached,
    Lost { since: Timestamp, reason: &'static str },
}

impl Reach {
    /// Whether that is news.
    pub(super) fn lose(&mut self, reason: &'static str, now: Timestamp) -> bool {
        let since = match *self {
            Self::Lost { since, .. } => since,
            Self::Reached => now,
        };
        let lost = Self::Lost { since, reason };
        std::mem::replace(self, lost) != lost
    }
}

/// What follows from the kinds' states and from whether the API server answers.
pub(super) fn of(kinds: &ClusterState, reach: &Reach, before: &Progress, now: Timestamp) -> Progress {
    let mut was_read = true;
    let mut trouble: Option<(Timestamp, &'static str)> = None;
    let mut forbidden = Vec::new();
    for (kind, state) in kinds.iter() {
        let mut is_gap = false;
        match state.phase {
            Phase::Syncing | Phase::Synced => {}
            Phase::Forbidden { reason: "Forbidden" } => {
                is_gap = true;
                // Nodes tell whose an address is; deployments do without.
                if kind != Kind::Node {
                    forbidden.push(kind.resource());
                }
            }
            // What a server does not serve it does not have.
            Phase::Forbidden { reason: "NotServed" } => is_gap = true,
            Phase::Forbidden { reason } | Phase::Disconnected { reason } => {
                // What is known is as the server last said.
                let as_of = state
                    .last_contact
                    .map_or(state.since, |contact| contact.min(state.since));
                let this = (as_of, reason);
                trouble = Some(trouble.map_or(this, |earliest| earliest.min(this)));
            }
        }
        was_read &= is_gap || state.complete.is_some();
    }
    if let Reach::Lost { since, reason } = *reach {
        // The probe's word is the plainer one.
        trouble = Some((trouble.map_or(since, |(earlier, _)| earlier.min(since)), reason));
    }
    match (was_read, trouble) {
        (false, None) => Progress::Syncing,
        (false, Some((since, reason))) => Progress::Unreachable { since, reason },
        (true, Some((since, reason))) => Progress::Stale {
            since: match before {
                Progress::Stale { since, .. } => *since,
                _ => since,
            },
            reason,
        },
        (true, None) => {
            let since = match before {
                Progress::Synced { since, .. } => *since,
                _ => now,
            };
            Progress::Synced { since, forbidden }
        }
    }
}

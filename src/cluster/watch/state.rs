use jiff::Timestamp;
use tokio::sync::watch;

use crate::cluster::{Kind, stream::StreamError};

/// How current what was read of one kind is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A complete list is on its way, the first one or a later one.
    Syncing,
    /// All that the server reports was applied.
    Synced,
    /// It may not be read, or is not there to be read: a gap, until someone grants it.
    /// The reason is `Forbidden`, `Unauthorized` or `NotServed`.
    Forbidden { reason: &'static str },
    /// What is known may be out of date. For the reasons see [`StreamError::reason`].
    Disconnected { reason: &'static str },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindState {
    pub phase: Phase,
    /// When this phase began.
    pub since: Timestamp,
    /// When the last complete list ended. While there was none, nothing may be called
    /// unused on the strength of this kind.
    pub complete: Option<Timestamp>,
    /// When the server last sent anything. Changes alone wake no receiver.
    pub last_contact: Option<Timestamp>,
}

/// The state of every kind of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterState {
    kinds: [KindState; Kind::ALL.len()],
}

impl ClusterState {
    /// Nothing read yet.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let state = KindState {
            phase: Phase::Syncing,
            since: now,
            complete: None,
            last_contact: None,
        };
        Self {
            kinds: [state; Kind::ALL.len()],
        }
    }

    #[must_use]
    pub fn kind(&self, kind: Kind) -> &KindState {
        &self.kinds[kind as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = (Kind, &KindState)> {
        Kind::ALL.into_iter().map(|kind| (kind, self.kind(kind)))
    }

    /// Whether every kind is [`Phase::Synced`].
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.kinds.iter().all(|kind| kind.phase == Phase::Synced)
    }

    /// When the server last sent anything of any kind.
    #[must_use]
    pub fn last_contact(&self) -> Option<Timestamp> {
        self.kinds.iter().filter_map(|kind| kind.last_contact).max()
    }

    fn enter(&mut self, kind: Kind, phase: Phase, now: Timestamp) -> bool {
        let state = &mut self.kinds[kind as usize];
        let is_news = state.phase != phase;
        if is_news {
            state.phase = phase;
            state.since = now;
        }
        is_news
    }
}

/// Where the watch of one kind reports how it goes.
#[derive(Debug)]
pub(super) struct Reporter {
    pub(super) kind: Kind,
    pub(super) states: watch::Sender<ClusterState>,
}

impl Reporter {
    /// A list began to arrive. What was complete once and is in trouble stays so until
    /// the list is complete: a list that was begun makes nothing current.
    pub(super) fn syncing(&self) {
        self.states.send_if_modified(|states| {
            let KindState { phase, complete, .. } = states.kind(self.kind);
            let stays = complete.is_some() && *phase != Phase::Synced;
            !stays && states.enter(self.kind, Phase::Syncing, Timestamp::now())
        });
    }

    /// A list has been arriving for so long that what was complete before is out of date.
    pub(super) fn still_syncing(&self) {
        self.states.send_if_modified(|states| {
            let KindState { phase, complete, .. } = states.kind(self.kind);
            let is_stale = complete.is_some() && *phase == Phase::Syncing;
            let reason = StreamError::ListTooSlow.reason();
            is_stale && states.enter(self.kind, Phase::Disconnected { reason }, Timestamp::now())
        });
    }

    pub(super) fn synced(&self) {
        self.enter(Phase::Synced);
    }

    /// A complete list has ended.
    pub(super) fn complete(&self) {
        let now = Timestamp::now();
        self.states.send_modify(|states| {
            states.enter(self.kind, Phase::Synced, now);
            states.kinds[self.kind as usize].complete = Some(now);
        });
    }

    pub(super) fn trouble(&self, error: StreamError) {
        let reason = error.reason();
        self.enter(match error {
            StreamError::Forbidden | StreamError::Unauthorized | StreamError::NotServed => {
                Phase::Forbidden { reason }
            }
            _ => Phase::Disconnected { reason },
        });
    }

    pub(super) fn contact(&self) {
        self.states.send_if_modified(|states| {
            states.kinds[self.kind as usize].last_contact = Some(Timestamp::now());
            false
        });
    }

    fn enter(&self, phase: Phase) {
        self.states
            .send_if_modified(|states| states.enter(self.kind, phase, Timestamp::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_place() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }

    #[test]
    fn a_phase_keeps_the_time_it_began() {
        let [first, second] = [1, 2].map(|second| Timestamp::from_second(second).unwrap());
        let mut states = ClusterState::new(first);
        assert!(!states.enter(Kind::Job, Phase::Syncing, second));
        assert_eq!(states.kind(Kind::Job).since, first);
        assert!(states.enter(Kind::Job, Phase::Synced, second));
        assert_eq!(states.kind(Kind::Job).since, second);
        assert!(!states.is_synced());
    }

    #[test]
    fn a_contact_wakes_nobody() {
        let (states, mut receiver) = watch::channel(ClusterState::new(Timestamp::UNIX_EPOCH));
        let reporter = Reporter {
            kind: Kind::Pod,
            states,
        };
        reporter.contact();
        assert!(!receiver.has_changed().unwrap());
        assert!(receiver.borrow_and_update().last_contact().is_some());
        reporter.trouble(StreamError::Forbidden);
        assert!(receiver.has_changed().unwrap());
    }
}

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
    kinds: Vec<(Kind, KindState)>,
}

impl ClusterState {
    /// Nothing read yet of the kinds that every cluster has.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self::of(&Kind::ALL, now)
    }

    /// Nothing read yet of these kinds.
    #[must_use]
    pub fn of(kinds: &[Kind], now: Timestamp) -> Self {
        let state = KindState {
            phase: Phase::Syncing,
            since: now,
            complete: None,
            last_contact: None,
        };
        Self {
            kinds: kinds.iter().map(|kind| (*kind, state)).collect(),
        }
    }

    /// `None` where the kind is not read.
    #[must_use]
    pub fn kind(&self, kind: Kind) -> Option<&KindState> {
        self.iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, state)| state)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Kind, &KindState)> {
        self.kinds.iter().map(|(kind, state)| (*kind, state))
    }

    /// Whether every kind is [`Phase::Synced`].
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.iter().all(|(_, state)| state.phase == Phase::Synced)
    }

    /// Changes the state of a kind, if that is news.
    fn change(&mut self, kind: Kind, change: impl FnOnce(&mut KindState) -> bool) -> bool {
        let state = self.kinds.iter_mut().find(|(known, _)| *known == kind);
        state.is_some_and(|(_, state)| change(state))
    }
}

impl KindState {
    /// Whether the phase is another.
    fn enter(&mut self, phase: Phase, now: Timestamp) -> bool {
        let is_news = self.phase != phase;
        if is_news {
            self.phase = phase;
            self.since = now;
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
        self.change(|state, now| {
            let stays = state.complete.is_some() && state.phase != Phase::Synced;
            !stays && state.enter(Phase::Syncing, now)
        });
    }

    /// A list has been arriving for so long that what was complete before is out of date.
    pub(super) fn still_syncing(&self) {
        let reason = StreamError::ListTooSlow.reason();
        self.change(|state, now| {
            let is_stale = state.complete.is_some() && state.phase == Phase::Syncing;
            is_stale && state.enter(Phase::Disconnected { reason }, now)
        });
    }

    pub(super) fn synced(&self) {
        self.enter(Phase::Synced);
    }

    /// A complete list has ended.
    pub(super) fn complete(&self) {
        self.change(|state, now| {
            state.enter(Phase::Synced, now);
            state.complete = Some(now);
            true
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
        self.change(|state, now| {
            state.last_contact = Some(now);
            false
        });
    }

    fn enter(&self, phase: Phase) {
        self.change(|state, now| state.enter(phase, now));
    }

    /// Whoever follows the states is woken where the change is news.
    fn change(&self, change: impl FnOnce(&mut KindState, Timestamp) -> bool) {
        self.states
            .send_if_modified(|states| states.change(self.kind, |state| change(state, Timestamp::now())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_keeps_the_time_it_began() {
        let [first, second] = [1, 2].map(|second| Timestamp::from_second(second).unwrap());
        let mut states = ClusterState::new(first);
        let mut enter = |phase| states.change(Kind::Job, |state| state.enter(phase, second));
        assert!(!enter(Phase::Syncing));
        assert!(enter(Phase::Synced));
        assert_eq!(states.kind(Kind::Job).unwrap().since, second);
        assert_eq!(states.kind(Kind::Pod).unwrap().since, first);
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
        assert!(
            receiver
                .borrow_and_update()
                .kind(Kind::Pod)
                .unwrap()
                .last_contact
                .is_some()
        );
        reporter.trouble(StreamError::Forbidden);
        assert!(receiver.has_changed().unwrap());
    }
}

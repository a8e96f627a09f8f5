use std::time::Duration;

use crate::{
    backoff::{asked_for, backoff, denied_backoff, short},
    cluster::{
        stream::{Ask, StreamError},
        wire::Format,
    },
};

/// A stream of changes that brings something this long after it was opened works, and
/// forgives the failures before it.
const HEALTHY: Duration = Duration::from_secs(5);
/// Failures in a row that are borne in silence once a kind was complete: one is
/// what a restart of a load balancer takes.
const BORNE: u32 = 1;

/// Where the reading of one kind stands: what to ask for next and how long to wait,
/// decided from how the last attempts ended. Pure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// All changes up to this version were applied; `None` before a complete list.
    version: Option<String>,
    /// The server refused to stream the list that is due.
    is_paged: bool,
    format: Format,
    failures: u32,
    /// The current stream works.
    is_proven: bool,
}

/// How an attempt ended.
pub(super) type Ended = Result<Closed, StreamError>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// The list came in pages and is complete: changes are next.
    Listed,
    /// The server ended the stream in good order, as it does after some minutes.
    ByServer,
    /// There is another client, with newer credentials.
    ForNewClient,
}

/// The sort of list or stream that is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next<'a> {
    Stream(Ask<'a>),
    Pages,
}

/// What follows from an attempt's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) wait: Duration,
    /// What to tell about it; `None` where nothing is the matter.
    pub(super) trouble: Option<StreamError>,
}

impl Plan {
    pub(super) fn new() -> Self {
        Self {
            version: None,
            is_paged: false,
            format: Format::Protobuf,
            failures: 0,
            is_proven: false,
        }
    }

    pub(super) fn next(&self) -> Next<'_> {
        match &self.version {
            Some(since) => Next::Stream(Ask::Changes { since }),
            None if self.is_paged => Next::Pages,
            None => Next::Stream(Ask::StreamedList),
        }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// All changes up to a version were applied.
    pub(super) fn reached(&mut self, version: &str) {
        // Most versions are as long as the one before: the buffer is kept.
        let known = self.version.get_or_insert_default();
        known.clear();
        known.push_str(version);
    }

    /// Whether more was applied than a server at this version has to tell.
    pub(super) fn is_ahead_of(&self, version: &str) -> bool {
        let number = |version: &str| version.parse::<u64>().ok();
        let reached = self.version.as_deref().and_then(number);
        reached
            .zip(number(version))
            .is_some_and(|(reached, there)| reached > there)
    }

    /// A stream of changes brought something, be it its end, so long after it was opened.
    pub(super) fn heard(&mut self, since_opened: Duration) {
        self.is_proven |= since_opened >= HEALTHY;
    }

    /// Decides what follows an attempt.
    pub(super) fn ended(&mut self, ended: &Ended, random: u64) -> Verdict {
        let fine = |wait| Verdict { wait, trouble: None };
        let was_proven = std::mem::take(&mut self.is_proven);
        if was_proven {
            self.failures = 0;
        }
        let error = match ended {
            Ok(Closed::Listed | Closed::ForNewClient) => return fine(Duration::ZERO),
            Ok(Closed::ByServer) if was_proven => return fine(short(random)),
            // A server that ends a list, or every stream at once, is in no good order.
            Ok(Closed::ByServer) => StreamError::Broken,
            Err(error) => *error,
        };
        if self.try_otherwise(error) {
            return fine(Duration::ZERO);
        }
        self.failures = self.failures.saturating_add(1);
        let is_borne = self.version.is_some() && self.failures <= BORNE && !is_denied(error);
        if must_list_again(error) || (!is_borne && is_outage(error)) {
            self.version = None;
            // It may have been updated since.
            self.is_paged = false;
        }
        Verdict {
            wait: self.wait(error, random),
            trouble: (!is_borne).then_some(error),
        }
    }

    /// Takes a step down to what older servers know, if there is one left that helps.
    fn try_otherwise(&mut self, error: StreamError) -> bool {
        match error {
            StreamError::Rejected | StreamError::NoListEnd if self.version.is_none() && !self.is_paged => {
                self.is_paged = true;
            }
            StreamError::NotAcceptable if self.format == Format::Protobuf => {
                self.format = Format::Json;
            }
            _ => return false,
        }
        true
    }

    fn wait(&self, error: StreamError, random: u64) -> Duration {
        match error {
            StreamError::Throttled {
                retry_after: Some(wait),
            }
            | StreamError::ServerError {
                retry_after: Some(wait),
                ..
            } => asked_for(wait, random).max(backoff(self.failures, random)),
            error if is_denied(error) => denied_backoff(self.failures, random),
            _ => backoff(self.failures, random),
        }
    }
}

/// Nothing changes until someone grants a right or makes room.
fn is_denied(error: StreamError) -> bool {
    matches!(
        error,
        StreamError::Unauthorized
            | StreamError::Forbidden
            | StreamError::NotServed
            | StreamError::FrameTooLarge
            | StreamError::ListTooLarge
            | StreamError::BudgetExceeded
    )
}

/// The server may come back with an older state, restored from a backup, and count up
/// past the version that was reached here before it is asked for changes since.
fn is_outage(error: StreamError) -> bool {
    matches!(
        error,
        StreamError::Unreachable { .. }
            | StreamError::NoAnswer
            | StreamError::ServerError { .. }
            | StreamError::Broken
    )
}

/// Changes were or may have been missed.
fn must_list_again(error: StreamError) -> bool {
    match error {
        StreamError::Expired
        | StreamError::Rejected
        | StreamError::Malformed(_)
        | StreamError::FrameTooLarge
        | StreamError::BudgetExceeded
        // Not even bookmarks came: as from a server that was restored to an older state.
        | StreamError::Silent => true,
        StreamError::Unreachable { .. }
        | StreamError::NoAnswer
        | StreamError::Unauthorized
        | StreamError::Forbidden
        | StreamError::NotServed
        | StreamError::NotAcceptable
        | StreamError::Throttled { .. }
        | StreamError::ServerError { .. }
        | StreamError::Unexpected { .. }
        | StreamError::Broken
        | StreamError::ListTooLarge
        | StreamError::ListTooSlow
        | StreamError::NoListEnd => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::wire::Malformed;

    const UNREACHABLE: StreamError = StreamError::Unreachable { reason: "Timeout" };
    const LIST: Next<'_> = Next::Stream(Ask::StreamedList);

    fn changes(since: &str) -> Next<'_> {
        Next::Stream(Ask::Changes { since })
    }

    fn live(version: &str) -> Plan {
        let mut plan = Plan::new();
        plan.reached(version);
        plan
    }

    /// A stream that works.
    fn proven(version: &str) -> Plan {
        let mut plan = live(version);
        plan.heard(HEALTHY);
        plan
    }

    /// What is next after an error, starting from a complete list at version 7.
    fn after(error: StreamError) -> Plan {
        let mut plan = proven("7");
        plan.ended(&Err(error), 1);
        plan
    }

    #[test]
    fn a_list_comes_first_and_then_changes_since_the_last_version() {
        assert_eq!(Plan::new().next(), LIST);
        let mut plan = proven("7");
        assert_eq!(plan.next(), changes("7"));
        plan.reached("8");
        let verdict = plan.ended(&Ok(Closed::ByServer), 1);
        assert_eq!(verdict.trouble, None);
        assert_eq!(plan.next(), changes("8"));
    }

    #[test]
    fn a_broken_stream_goes_on_where_it_was() {
        for error in [StreamError::Broken, StreamError::NoAnswer, UNREACHABLE] {
            assert_eq!(after(error).next(), changes("7"), "{error:?}");
        }
    }

    #[test]
    fn what_may_have_missed_changes_lists_again() {
        for error in [
            StreamError::Expired,
            StreamError::Malformed(Malformed),
            StreamError::FrameTooLarge,
            StreamError::BudgetExceeded,
            StreamError::Silent,
        ] {
            assert_eq!(after(error).next(), LIST, "{error:?}");
        }
    }

    #[test]
    fn a_server_that_was_away_lists_again() {
        let mut plan = proven("7");
        plan.ended(&Err(StreamError::Broken), 1);
        assert_eq!(plan.next(), changes("7"));
        plan.ended(&Err(UNREACHABLE), 1);
        assert_eq!(plan.next(), LIST);
        // One that only asks for patience was there all the time.
        let mut plan = proven("7");
        for _ in 0..3 {
            plan.ended(&Err(StreamError::Throttled { retry_after: None }), 1);
        }
        assert_eq!(plan.next(), changes("7"));
    }

    #[test]
    fn versions_are_compared_as_numbers_where_they_are() {
        let plan = live("100");
        assert!(plan.is_ahead_of("99"));
        assert!(!plan.is_ahead_of("100"));
        assert!(!plan.is_ahead_of("101"));
        assert!(!plan.is_ahead_of("opaque"));
        assert!(!Plan::new().is_ahead_of("1"));
    }

    #[test]
    fn an_older_server_is_asked_for_pages_at_once() {
        for error in [StreamError::Rejected, StreamError::NoListEnd] {
            let mut plan = Plan::new();
            let verdict = plan.ended(&Err(error), 1);
            assert_eq!((verdict.wait, verdict.trouble), (Duration::ZERO, None));
            assert_eq!(plan.next(), Next::Pages);
            // There is nothing simpler than pages.
            let verdict = plan.ended(&Err(error), 1);
            assert_eq!(verdict.trouble, Some(error));
            plan.reached("7");
            assert_eq!(plan.ended(&Ok(Closed::Listed), 1).wait, Duration::ZERO);
            assert_eq!(plan.next(), changes("7"));
            plan.ended(&Err(StreamError::Expired), 1);
            assert_eq!(plan.next(), LIST);
        }
    }

    #[test]
    fn a_server_without_protobuf_is_asked_for_json_once() {
        let mut plan = Plan::new();
        assert_eq!(plan.ended(&Err(StreamError::NotAcceptable), 1).trouble, None);
        assert_eq!(plan.format(), Format::Json);
        let verdict = plan.ended(&Err(StreamError::NotAcceptable), 1);
        assert_eq!(verdict.trouble, Some(StreamError::NotAcceptable));
    }

    #[test]
    fn one_failure_of_a_complete_kind_is_borne_in_silence() {
        let mut plan = live("7");
        assert_eq!(plan.ended(&Err(StreamError::Broken), 1).trouble, None);
        let again = plan.ended(&Err(UNREACHABLE), 1);
        assert_eq!(again.trouble, Some(UNREACHABLE));
        // An answer and then silence is no recovery.
        plan.heard(Duration::from_secs(1));
        assert_eq!(
            plan.ended(&Err(StreamError::Silent), 1).trouble,
            Some(StreamError::Silent)
        );
        // Recovered for a while: the next is the first again.
        plan.reached("8");
        plan.heard(HEALTHY);
        assert_eq!(plan.ended(&Err(StreamError::Broken), 1).trouble, None);
    }

    #[test]
    fn nothing_is_borne_before_the_first_list_or_without_rights() {
        let mut plan = Plan::new();
        let verdict = plan.ended(&Err(UNREACHABLE), 1);
        assert_eq!(verdict.trouble, Some(UNREACHABLE));
        let verdict = live("7").ended(&Err(StreamError::Forbidden), 1);
        assert_eq!(verdict.trouble, Some(StreamError::Forbidden));
        assert!(verdict.wait >= Duration::from_secs(7));
    }

    #[test]
    fn a_server_that_ends_every_stream_at_once_is_backed_off_from() {
        let mut plan = live("7");
        let random = u64::MAX;
        let waits: Vec<_> = (0..12)
            .map(|_| plan.ended(&Ok(Closed::ByServer), random).wait)
            .collect();
        assert_eq!(plan.failures, 12);
        assert!(
            waits.iter().any(|wait| *wait > Duration::from_secs(10)),
            "{waits:?}"
        );
        assert_eq!(
            plan.ended(&Ok(Closed::ByServer), 1).trouble,
            Some(StreamError::Broken)
        );
    }

    #[test]
    fn expiry_again_and_again_is_backed_off_from() {
        let mut plan = live("7");
        for _ in 0..10 {
            plan.reached("7");
            plan.ended(&Err(StreamError::Expired), 1);
        }
        assert_eq!(plan.failures, 10);
    }

    #[test]
    fn a_wait_that_the_server_asks_for_is_kept() {
        let throttled = StreamError::Throttled {
            retry_after: Some(Duration::from_secs(20)),
        };
        let verdict = live("7").ended(&Err(throttled), 12345);
        assert!(verdict.wait >= Duration::from_secs(20) && verdict.wait <= Duration::from_secs(21));
    }

    #[test]
    fn new_credentials_lose_nothing() {
        let mut plan = live("7");
        let verdict = plan.ended(&Ok(Closed::ForNewClient), 1);
        assert_eq!((verdict.wait, verdict.trouble), (Duration::ZERO, None));
        assert_eq!(plan.next(), changes("7"));
    }
}

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::date_time;

/// Types of conditions, each once.
pub mod condition_type {
    /// The operator has done what this generation asks with what it can reach.
    pub const READY: &str = "Ready";
    /// Work towards Ready is under way; absent when not true.
    pub const RECONCILING: &str = "Reconciling";
    /// Only a change by a person can help; absent when not true.
    pub const STALLED: &str = "Stalled";
    pub const REACHABLE: &str = "Reachable";
    pub const AUTHORIZED: &str = "Authorized";
    pub const SYNCED: &str = "Synced";
    /// The credentials may do more than read; absent when not true.
    pub const EXCESS_RIGHTS: &str = "ExcessRights";
    /// The credentials end soon, or have; absent when not true.
    pub const CREDENTIALS_EXPIRING: &str = "CredentialsExpiring";
    /// A source proves who it is by a secret in its path; absent when not true.
    pub const WEAK_AUTHENTICATION: &str = "WeakAuthentication";
    pub const RECEIVING: &str = "Receiving";
    pub const CLUSTERS_COMPLETE: &str = "ClustersComplete";
    pub const EVENTS_COMPLETE: &str = "EventsComplete";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// One aspect of the object's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The aspect, for example Ready.
    pub r#type: String,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// Why, as one word for programs.
    pub reason: String,
    /// Why, and what to do about it, for people.
    pub message: String,
    /// When status last changed.
    #[schemars(schema_with = "date_time")]
    pub last_transition_time: Timestamp,
    /// The generation of the spec this was observed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Builds the conditions of one object's next status; what keeps its status keeps its time.
#[derive(Debug)]
pub struct Conditions<'a> {
    previous: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    next: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    #[must_use]
    pub fn new(previous: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self {
            previous,
            generation,
            // Kubernetes writes the times of conditions in whole seconds.
            now: Timestamp::from_second(now.as_second()).unwrap_or(now),
            next: Vec::new(),
        }
    }

    #[must_use]
    pub fn set(
        mut self,
        r#type: &str,
        status: impl Into<ConditionStatus>,
        reason: &str,
        message: impl Into<String>,
    ) -> Self {
        let status = status.into();
        let last_transition_time = self
            .previous
            .iter()
            .find(|condition| condition.r#type == r#type && condition.status == status)
            .map_or(self.now, |condition| condition.last_transition_time);
        self.next.push(Condition {
            r#type: r#type.to_owned(),
            status,
            reason: reason.to_owned(),
            message: message.into(),
            last_transition_time,
            observed_generation: self.generation,
        });
        self
    }

    #[must_use]
    pub fn build(self) -> Vec<Condition> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_time_until_its_status_changes() {
        let early: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let late: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let first = Conditions::new(&[], Some(1), early)
            .set("Ready", false, "A", "a")
            .build();
        let same = Conditions::new(&first, Some(2), late)
            .set("Ready", false, "B", "b")
            .build();
        assert_eq!(same[0].last_transition_time, early);
        assert_eq!(same[0].observed_generation, Some(2));
        let changed = Conditions::new(&same, Some(2), late)
            .set("Ready", true, "C", "c")
            .build();
        assert_eq!(changed[0].last_transition_time, late);
    }
}

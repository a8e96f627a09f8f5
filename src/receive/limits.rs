use std::time::Duration;

/// What the webhook server grants, so that nobody can hold all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time; more wait to be accepted.
    pub connections: usize,
    /// How long the head of a request may take, and how long a connection may idle
    /// between requests.
    pub head_within: Duration,
    /// How long a body may take to arrive.
    pub body_within: Duration,
    /// KiB of bodies held at the same time, of all sources.
    pub bodies_kib: u32,
    /// The same for bodies whose signature tells who sent them: until they are there, anybody may have.
    pub unproven_kib: u32,
    /// Deliveries of one source at the same time; more wait.
    pub of_one_source: usize,
    /// How long a delivery waits for its turn or for room before it is sent away.
    pub patience: Duration,
    /// How long the store may take. A delivery that is committed after that is a
    /// duplicate when it comes again.
    pub commit_within: Duration,
    /// How long deliveries under way have when the server stops.
    pub stop_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            head_within: Duration::from_secs(10),
            body_within: Duration::from_secs(10),
            bodies_kib: 32 * 1024,
            unproven_kib: 4 * 1024,
            of_one_source: 64,
            patience: Duration::from_secs(1),
            commit_within: Duration::from_secs(15),
            stop_within: Duration::from_secs(10),
        }
    }
}

//! Stretches of time whose events may be lost: why, and how many are kept.

/// A registry process was not seen before: what another one had queued in memory may be
/// gone (distribution's `notifications` keep their queue there).
pub(super) const NEW_INSTANCE: &str = "NewInstance";
/// A body that could not be read. It may be read later, which ends the gap.
pub(super) const QUARANTINED: &str = "Quarantined";
/// A body that could not be read, and made room for others.
pub(super) const QUARANTINE_FULL: &str = "QuarantineFull";
/// No webhook server listened, for longer than the sender sends again what was not taken.
pub(super) const RECEIVER_DOWN: &str = "ReceiverDown";
/// Deliveries were answered that they cannot be taken now.
pub(super) const REFUSED: &str = "Refused";

/// Nearer than this, two gaps of one reason are kept as one.
pub(super) const JOIN: i64 = 60 * 1_000_000_000;
/// Most gaps of one source; the two oldest become one when there are more.
pub(super) const MOST: i64 = 200;

/// Why, where two gaps are told as one: what may end does not hide what does not.
pub(super) fn of_both<'a>(older: &'a str, newer: &'a str) -> &'a str {
    if older == QUARANTINED { newer } else { older }
}

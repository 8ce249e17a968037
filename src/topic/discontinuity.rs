//! The notice that messages are missing: from where, to where, and why.

use super::position::Position;

/// Why messages are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// This subscriber was overtaken by retention.
    Slow,
    /// The start that was asked for is no longer retained.
    Expired,
    /// The topic began a new epoch.
    Reset,
    /// The store lost or quarantined messages.
    Store,
}

impl Reason {
    /// Every reason, in the order of the declaration.
    pub const ALL: [Reason; 4] = [Reason::Slow, Reason::Expired, Reason::Reset, Reason::Store];

    /// Its name as labels and traces have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Slow => "slow",
            Reason::Expired => "expired",
            Reason::Reset => "reset",
            Reason::Store => "store",
        }
    }
}

/// Messages are missing between two positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discontinuity {
    /// Why.
    pub reason: Reason,
    /// The last message the subscriber has; none where it had nothing before.
    pub last_delivered: Option<Position>,
    /// Delivery goes on with this one.
    pub next: Position,
}

impl Discontinuity {
    /// How many messages are missing at most, where both ends are of one history.
    pub fn messages(&self) -> Option<u64> {
        let last = self.last_delivered.filter(|last| last.epoch == self.next.epoch)?;
        Some(self.next.sequence.saturating_sub(last.sequence + 1))
    }
}

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

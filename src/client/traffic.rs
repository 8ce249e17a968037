//! What has gone in and out, of a topic or of the whole server.

use crate::proto::v1 as wire;

/// Counted since the server started, or since the topic was opened. Two of them, some time apart,
/// give a rate; one that is smaller than an earlier one began anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Messages accepted.
    pub published_messages: u64,
    /// Their bytes, as they are kept.
    pub published_bytes: u64,
    /// Messages given to subscribers, each one counted.
    pub delivered_messages: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
}

pub(super) fn traffic(wire: wire::Traffic) -> Traffic {
    let wire::Traffic { published_messages, published_bytes, delivered_messages, delivered_bytes } = wire;
    Traffic { published_messages, published_bytes, delivered_messages, delivered_bytes }
}

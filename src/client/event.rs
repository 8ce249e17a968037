//! What a subscription tells: messages, and everything else that happens to it.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::message::{Message, time};
use crate::error::Error;
use crate::topic::Position;

/// One thing that happened on a subscription. Only messages carry data; the others are there so
/// that a gap, a silence and a reconnect are never hidden.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The server has opened the subscription: the first event, and again after each reconnect.
    Opened {
        /// Names the subscription in the server's logs and traces.
        subscription_id: Option<Uuid>,
        /// The first position that can be delivered.
        next: Position,
    },
    /// A message.
    Message(Delivery),
    /// Messages are missing, and why. The subscription goes on at `next`.
    Discontinuity {
        /// Why they are missing.
        reason: Reason,
        /// The last message before the gap; `None` when nothing was delivered before.
        last_delivered: Option<Position>,
        /// The first message behind the gap.
        next: Position,
    },
    /// The newest message has been delivered; what comes now is live.
    CaughtUp {
        /// The newest message of the topic; `None` when it has none.
        newest: Option<Position>,
    },
    /// The server is there and has nothing new.
    Heartbeat {
        /// The newest message of the topic; `None` when it has none.
        newest: Option<Position>,
        /// The server's clock.
        server_time: SystemTime,
    },
    /// The server is going away and will end the subscription, which will reconnect.
    Draining {
        /// How long the server goes on delivering.
        grace: Option<Duration>,
    },
    /// The connection was lost; the next attempt resumes where this one ended.
    Reconnecting {
        /// Attempts without success so far, this one included.
        attempt: u32,
        /// The wait before it.
        delay: Duration,
        /// Why.
        cause: Error,
    },
}

/// A message and where it stands.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Its place in the topic: keep it to resume behind this message.
    pub position: Position,
}

impl Delivery {
    /// When the server accepted it.
    pub fn publish_time(&self) -> SystemTime {
        time(self.message.wire.publish_time_unix_nano)
    }

    /// When the server accepted it, nanoseconds since the Unix epoch.
    pub fn publish_time_unix_nano(&self) -> u64 {
        self.message.wire.publish_time_unix_nano
    }
}

impl std::ops::Deref for Delivery {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

/// Why messages are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The server gave no reason this client knows.
    Unspecified,
    /// This subscriber was overtaken by the topic's retention.
    Slow,
    /// The start asked for is no longer retained.
    Expired,
    /// The topic began a new history.
    Reset,
    /// The store lost messages or put them aside.
    Store,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::Unspecified => "no reason given",
            Reason::Slow => "this subscriber was too slow, and the topic keeps no more",
            Reason::Expired => "the start asked for is no longer kept",
            Reason::Reset => "the topic lost its history and began a new one",
            Reason::Store => "the store lost messages",
        })
    }
}

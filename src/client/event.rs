//! What a subscription tells: messages, and everything else that happens to it.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::Context;
use uuid::Uuid;

use super::message::{Message, time};
use super::trace::ProcessSpan;
use crate::error::Error;
use crate::topic::Position;

/// One thing that happened on a subscription. Only messages carry data; the others are there so
/// that a gap, a silence and a reconnect are never hidden.
#[derive(Debug, Clone)]
#[non_exhaustive]
// Nearly all events are messages: a box would be one more allocation for each of them.
#[allow(clippy::large_enum_variant)]
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
///
/// Where the client is traced, a delivery is also the span `process {topic}`: it began when the
/// subscription handed the message out, and ends when the delivery and its clones are dropped. So
/// keep it until the work is done.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Its place in the topic: keep it to resume behind this message.
    pub position: Position,
    span: Option<Arc<ProcessSpan>>,
}

impl Delivery {
    /// A delivery that came by no subscription, such as a test of a consumer needs.
    pub fn new(message: Message, position: Position) -> Self {
        Delivery { message, position, span: None }
    }

    pub(super) fn traced(message: Message, position: Position, span: Option<Arc<ProcessSpan>>) -> Self {
        Delivery { message, position, span }
    }

    /// The context of its span, so that the spans of the work come below it; the current context
    /// where the delivery is not traced, so that attaching it changes nothing.
    ///
    /// The parent of the span is the span that was current when the message was handed out, or else
    /// the one in which the message was made (its `traceparent`), to which it is linked anyway.
    ///
    /// ```no_run
    /// use opentelemetry::trace::FutureExt;
    ///
    /// # async fn store(_: &[u8]) -> Result<(), std::io::Error> { Ok(()) }
    /// # async fn example(mut orders: bugle::client::Subscription) -> Result<(), bugle::error::Error> {
    /// while let Some(delivery) = orders.next_message().await {
    ///     let delivery = delivery?;
    ///     // Spans that start in `store` are children of this message's `process orders`.
    ///     if let Err(error) = store(delivery.payload()).with_context(delivery.context()).await {
    ///         delivery.mark_failed("io", error);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn context(&self) -> Context {
        match &self.span {
            Some(span) => span.context().clone(),
            None => Context::current(),
        }
    }

    /// Marks the processing as failed: the span gets status Error with this description, and
    /// `error.type`, which should be one of few words. The first call counts; where the delivery is
    /// not traced it does nothing.
    pub fn mark_failed(&self, error_type: &str, description: impl Display) {
        if let Some(span) = &self.span {
            span.fail(error_type, description);
        }
    }

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

//! A span as it is recorded: plain data, made by those who did the work. `telemetry` turns it into
//! what is exported, by the conventions of OpenTelemetry for messaging.

use std::net::SocketAddr;

use uuid::Uuid;

use crate::error::Code;
use crate::limits::SPAN_LINKS_MAX;
use crate::topic::{TopicName, TraceContext};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A batch was published.
    Publish,
    /// The readers that waited for a batch were woken.
    FanOut,
    /// A batch was given to a subscription and written to its connection.
    Deliver,
    /// A subscription was opened, resumed or closed.
    Subscribe,
    /// A namespace or topic was administered, or looked at.
    Admin,
    /// A subscription was told of missing messages.
    Discontinuity,
    /// A subscription was cut because it made no progress.
    Stall,
    /// A request was refused.
    Refusal,
    /// The server drains.
    Drain,
}

impl Operation {
    /// How many there are.
    pub const COUNT: usize = Operation::Drain as usize + 1;

    /// The first word of the span's name.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Publish => "publish",
            Operation::FanOut => "fan-out",
            Operation::Deliver => "deliver",
            Operation::Subscribe => "subscribe",
            Operation::Admin => "admin",
            Operation::Discontinuity => "discontinuity",
            Operation::Stall => "stall",
            Operation::Refusal => "refusal",
            Operation::Drain => "drain",
        }
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A word that is known before.
    Word(&'static str),
    /// Any text.
    Text(String),
    /// A number.
    Count(u64),
    /// A UUID.
    Id(Uuid),
}

/// An attribute: its key and its value.
pub type Attribute = (&'static str, Value);

/// A finished span.
#[derive(Debug, Clone)]
pub struct Span {
    /// What was done.
    pub operation: Operation,
    /// What was done, where the operation alone does not tell.
    pub what: Option<&'static str>,
    /// To which topic.
    pub topic: Option<TopicName>,
    /// The span's own context.
    pub context: TraceContext,
    /// Its parent in the same trace, and whether that is a span of somebody else.
    pub parent: Option<(u64, bool)>,
    /// When it began and ended, unix nanoseconds.
    pub start: u64,
    /// See `start`.
    pub end: u64,
    /// The contexts in which its messages were made, at most [`SPAN_LINKS_MAX`].
    pub links: Vec<TraceContext>,
    /// Where the client is.
    pub peer: Option<SocketAddr>,
    /// What else there is to say.
    pub attributes: Vec<Attribute>,
    /// Why it failed.
    pub error: Option<(Code, String)>,
}

impl Span {
    /// A span without a parent.
    pub fn new(
        operation: Operation,
        topic: Option<TopicName>,
        context: TraceContext,
        start: u64,
        end: u64,
    ) -> Span {
        let (links, attributes) = (Vec::new(), Vec::with_capacity(8));
        Span {
            operation,
            what: None,
            topic,
            context,
            parent: None,
            start,
            end: end.max(start),
            links,
            peer: None,
            attributes,
            error: None,
        }
    }

    /// The same span as a child of one of ours.
    pub fn child_of(self, parent: TraceContext) -> Span {
        Span { parent: Some((parent.span_id, false)), ..self }
    }

    /// The same span as a child of the caller's, if there is one.
    pub fn called_by(self, caller: Option<TraceContext>) -> Span {
        Span { parent: caller.map(|caller| (caller.span_id, true)), ..self }
    }

    /// The same span, linked to the contexts in which its messages were made.
    pub fn linked_to(self, contexts: impl Iterator<Item = TraceContext>) -> Span {
        Span { links: contexts.take(SPAN_LINKS_MAX).collect(), ..self }
    }

    /// Adds an attribute.
    pub fn with(mut self, key: &'static str, value: Value) -> Span {
        self.attributes.push((key, value));
        self
    }

    /// The same span of a client at this address.
    pub fn with_peer(self, peer: Option<SocketAddr>) -> Span {
        Span { peer, ..self }
    }

    /// Says why it failed.
    pub fn failed(self, code: Code, message: &str) -> Span {
        Span { error: Some((code, message.to_owned())), ..self }
    }

    /// The value of an attribute.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }
}

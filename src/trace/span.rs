//! A span as it is recorded: plain data, made by those who did the work. `telemetry` turns it into
//! what is exported, by the conventions of OpenTelemetry for messaging.

use std::net::SocketAddr;

use uuid::Uuid;

use crate::error::Code;
use crate::limits::{SPAN_LINKS_MAX, SPAN_TEXT_BYTES_MAX};
use crate::topic::{Position, TopicName, TraceContext};

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
    /// A message was sent to the endpoint of a webhook.
    Push,
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
            Operation::Push => "deliver",
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

/// As much of a text as a span may carry.
pub fn cut(text: &str) -> &str {
    let end = (0..=SPAN_TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

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
    /// The contexts in which its messages were made, each once, at most [`SPAN_LINKS_MAX`].
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
    pub fn linked_to(mut self, contexts: impl Iterator<Item = TraceContext>) -> Span {
        let mut last = None;
        for context in contexts.filter(|context| context.span_id != self.context.span_id) {
            if self.links.len() >= SPAN_LINKS_MAX {
                break;
            }
            // Neighbours are mostly alike; the list is short enough to be looked through for the rest.
            if last != Some(context) && !self.links.contains(&context) {
                self.links.push(context);
            }
            last = Some(context);
        }
        self
    }

    /// Adds an attribute.
    pub fn with(mut self, key: &'static str, value: Value) -> Span {
        self.attributes.push((key, value));
        self
    }

    /// Adds how many messages there were; one alone is no batch.
    pub fn with_count(self, messages: u64) -> Span {
        if messages > 1 { self.with("messaging.batch.message_count", Value::Count(messages)) } else { self }
    }

    /// Adds the positions of the messages: the first, and the sequence of the last.
    pub fn with_range(self, first: Position, last: u64) -> Span {
        self.with("bugle.epoch", Value::Count(first.epoch))
            .with("bugle.sequence.first", Value::Count(first.sequence))
            .with("bugle.sequence.last", Value::Count(last))
    }

    /// Adds which method was called, by its path without the first slash.
    pub fn with_method(self, path: &str) -> Span {
        let (service, method) = path.split_once('/').unwrap_or(("", path));
        self.with("rpc.system", Value::Word("grpc"))
            .with("rpc.service", Value::Text(cut(service).to_owned()))
            .with("rpc.method", Value::Text(cut(method).to_owned()))
    }

    /// The same span of a client at this address.
    pub fn with_peer(self, peer: Option<SocketAddr>) -> Span {
        Span { peer, ..self }
    }

    /// Says why it failed.
    pub fn failed(self, code: Code, message: &str) -> Span {
        Span { error: Some((code, cut(message).to_owned())), ..self }
    }

    /// About how much memory it takes, bytes.
    pub fn bytes(&self) -> usize {
        let text = |(_, value): &Attribute| if let Value::Text(text) = value { text.len() } else { 0 };
        let texts: usize = self.attributes.iter().map(text).sum();
        let error = self.error.as_ref().map_or(0, |(_, message)| message.len());
        let lists = self.links.capacity() * size_of::<TraceContext>()
            + self.attributes.capacity() * size_of::<Attribute>();
        size_of::<Span>() + lists + texts + error
    }

    /// The value of an attribute.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(span_id: u64) -> TraceContext {
        TraceContext::sampled(1, span_id).unwrap()
    }

    #[test]
    fn each_context_is_linked_once_and_never_the_span_itself() {
        let span = Span::new(Operation::Publish, None, context(1), 1, 2);
        let span = span.linked_to([5, 5, 1, 6, 5].into_iter().map(context));
        assert_eq!(span.links, [context(5), context(6)]);
        let span = Span::new(Operation::Publish, None, context(1), 1, 2);
        assert_eq!(span.linked_to((2..1000).map(context)).links.len(), SPAN_LINKS_MAX);
    }

    #[test]
    fn what_a_client_says_is_cut() {
        let span = Span::new(Operation::Refusal, None, context(1), 1, 2);
        let span = span.failed(Code::NotFound, &"é".repeat(10_000));
        assert!(span.error.unwrap().1.len() <= SPAN_TEXT_BYTES_MAX);
    }
}

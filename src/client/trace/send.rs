//! `send {topic}`: the span of one publish, from the call until the receipt is known. It ends with
//! an error when the publish failed, and when it was given up without an answer.

use opentelemetry::KeyValue;
use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Link, Span, SpanBuilder, SpanContext, SpanKind, Status, Tracer};
use uuid::Uuid;

use super::{Spans, number, place, traceparent};
use crate::error::{Code, Error};
use crate::proto::v1 as wire;

const OPERATION: &str = "send";
/// Most links of one span: what SDKs keep when they are not told otherwise.
const LINKS_MAX: usize = 128;

/// A publish that is on its way.
pub(in crate::client) struct SendSpan {
    span: BoxedSpan,
}

impl Spans {
    /// Starts the span of one message below the current one, and gives the message its context; a
    /// message that has a `traceparent` keeps that, and the span links to it.
    // Out of line, as is all that only traced messages need: it keeps the way of the others short.
    #[inline(never)]
    pub(in crate::client) fn send(&self, topic: &str, message: &mut wire::Message) -> SendSpan {
        let mut started = self.start(topic, std::slice::from_mut(message));
        if started.is_recording()
            && let Ok(id) = Uuid::from_slice(&message.id)
        {
            started.span.set_attribute(KeyValue::new("messaging.message.id", id.to_string()));
        }
        started
    }

    /// The same for a batch: one span for all its messages.
    pub(in crate::client) fn send_batch(&self, topic: &str, messages: &mut [wire::Message]) -> SendSpan {
        let mut started = self.start(topic, messages);
        let count = number(messages.len() as u64);
        started.span.set_attribute(KeyValue::new("messaging.batch.message_count", count));
        started
    }

    fn start(&self, topic: &str, messages: &mut [wire::Message]) -> SendSpan {
        let contexts = messages.iter().filter_map(creation_context).take(LINKS_MAX);
        let links: Vec<_> = contexts.map(Link::with_context).collect();
        let builder = SpanBuilder {
            span_kind: Some(SpanKind::Producer),
            attributes: Some(self.attributes(OPERATION, topic.to_owned())),
            links: (!links.is_empty()).then_some(links),
            ..SpanBuilder::from_name(OPERATION)
        };
        let mut span = self.trace.tracer.build(builder);
        if span.is_recording() {
            self.describe(&mut span, OPERATION, topic);
        }
        give(span.span_context(), messages);
        SendSpan { span }
    }
}

/// The context that a message brings along.
pub(super) fn creation_context(message: &wire::Message) -> Option<SpanContext> {
    traceparent::read(&message.traceparent, &message.tracestate)
}

/// Gives a context to the messages that have none of their own.
fn give(context: &SpanContext, messages: &mut [wire::Message]) {
    let mut bare = messages.iter_mut().filter(|message| message.traceparent.is_empty()).peekable();
    if !context.is_valid() || bare.peek().is_none() {
        return;
    }
    let (traceparent, tracestate) = (traceparent::traceparent(context), traceparent::tracestate(context));
    for message in bare {
        message.traceparent.clone_from(&traceparent);
        message.tracestate.clone_from(&tracestate);
    }
}

impl SendSpan {
    pub(in crate::client) fn context(&self) -> &SpanContext {
        self.span.span_context()
    }

    pub(in crate::client) fn is_recording(&self) -> bool {
        self.span.is_recording()
    }

    /// The server has accepted it there: from the first sequence to the last, which are the same where
    /// it is one message.
    pub(in crate::client) fn accepted(mut self, epoch: u64, first: u64, last: u64) {
        if self.span.is_recording() {
            place(&mut self.span, epoch, first, last);
        }
        self.span.end();
    }

    /// It failed.
    #[inline(never)]
    pub(in crate::client) fn failed(mut self, error: &Error) {
        self.fail(error.code(), || error.message().to_owned());
    }

    fn fail(&mut self, code: Code, description: impl FnOnce() -> String) {
        if self.span.is_recording() {
            self.span.set_attribute(KeyValue::new("error.type", code.as_str()));
            self.span.set_status(Status::error(description()));
        }
        self.span.end();
    }
}

impl Drop for SendSpan {
    #[inline(never)]
    fn drop(&mut self) {
        // A span that has ended records no more.
        if self.span.is_recording() {
            self.fail(Code::Cancelled, || "the publish was given up before its receipt was known".to_owned());
        }
    }
}

//! `process {topic}`: the span of one message that a subscription has handed out, until the last
//! clone of its delivery is dropped.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Link, Span, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use uuid::Uuid;

use super::send::creation_context;
use super::{Spans, number, place};
use crate::proto::v1 as wire;
use crate::topic::Position;

const OPERATION: &str = "process";

/// Makes the spans for the messages of one subscription.
pub(in crate::client) struct Processing {
    spans: Spans,
    topic: Arc<str>,
    /// What the server calls the subscription since it was last opened.
    subscription_id: Option<Arc<str>>,
}

impl Processing {
    pub(in crate::client) fn new(spans: Spans, topic: &str) -> Box<Self> {
        Box::new(Processing { spans, topic: Arc::from(topic), subscription_id: None })
    }

    /// The server has opened the subscription, again perhaps.
    pub(in crate::client) fn opened(&mut self, id: &[u8]) {
        self.subscription_id = Uuid::from_slice(id).ok().map(|id| Arc::from(id.to_string()));
    }

    /// Starts the span of a message: below the current span, or else below the one in which the
    /// message was made, to which it is linked in any case.
    #[inline(never)]
    pub(in crate::client) fn begin(
        &self,
        message: &wire::Message,
        position: Position,
    ) -> Option<Arc<ProcessSpan>> {
        let mut parent = Context::current();
        let creation = creation_context(message);
        if let Some(creation) = &creation
            && !parent.span().span_context().is_valid()
        {
            parent = parent.with_remote_span_context(creation.clone());
        }
        let builder = SpanBuilder {
            span_kind: Some(SpanKind::Consumer),
            attributes: Some(self.spans.attributes(OPERATION, Arc::clone(&self.topic))),
            links: creation.map(|creation| vec![Link::with_context(creation)]),
            ..SpanBuilder::from_name(OPERATION)
        };
        let mut span = self.spans.trace.tracer.build_with_context(builder, &parent);
        let context = if span.is_recording() {
            self.describe(&mut span, message, position);
            parent.with_span(span)
        } else {
            // Of a span that is not recorded only the context is of use, to the spans below it.
            parent.with_remote_span_context(span.span_context().clone())
        };
        let is_valid = context.span().span_context().is_valid();
        is_valid.then(|| Arc::new(ProcessSpan { context, failed: AtomicBool::new(false) }))
    }

    fn describe(&self, span: &mut BoxedSpan, message: &wire::Message, position: Position) {
        self.spans.describe(span, OPERATION, &self.topic);
        place(span, position.epoch, position.sequence, position.sequence);
        let bytes = number(message.payload.len() as u64);
        span.set_attribute(KeyValue::new("messaging.message.body.size", bytes));
        if let Ok(id) = Uuid::from_slice(&message.id) {
            span.set_attribute(KeyValue::new("messaging.message.id", id.to_string()));
        }
        if let Some(id) = &self.subscription_id {
            span.set_attribute(KeyValue::new("bugle.subscription.id", Arc::clone(id)));
        }
    }
}

/// The span of a delivery; its clones share it, and it ends with the last.
#[derive(Debug)]
pub(in crate::client) struct ProcessSpan {
    context: Context,
    failed: AtomicBool,
}

impl ProcessSpan {
    pub(in crate::client) fn context(&self) -> &Context {
        &self.context
    }

    /// The first failure counts.
    pub(in crate::client) fn fail(&self, error_type: &str, description: impl Display) {
        let span = self.context.span();
        if span.is_recording() && !self.failed.swap(true, Ordering::Relaxed) {
            span.set_attribute(KeyValue::new("error.type", error_type.to_owned()));
            span.set_status(Status::error(description.to_string()));
        }
    }
}

impl Drop for ProcessSpan {
    #[inline(never)]
    fn drop(&mut self) {
        let span = self.context.span();
        if span.is_recording() {
            // Not left to the end of the context: one that was handed out may live longer.
            span.end();
        }
    }
}

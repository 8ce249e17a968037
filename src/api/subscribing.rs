//! The trace of a subscription: a short span when it is opened or resumed and one when it ends, and
//! nothing that lives as long as the stream does.

use std::net::SocketAddr;
use std::sync::Arc;

use uuid::Uuid;

use super::caller::{Caller, log_span};
use crate::broker::{Subscribe, Subscription};
use crate::error::{Code, Error, Result};
use crate::store::unix_nanos;
use crate::topic::{Start, TopicName, TraceContext};
use crate::trace::{Operation, Recorder, Span, Value, random_id};

/// A subscription that is traced.
pub struct Subscribing {
    recorder: Arc<Recorder>,
    topic: TopicName,
    peer: Option<SocketAddr>,
    parent: Option<TraceContext>,
    context: TraceContext,
    is_resumed: bool,
    begun: u64,
    id: Uuid,
    log_span: tracing::Span,
    end: Option<(Code, String)>,
}

impl Subscribing {
    /// Decides whether a subscription that was asked for at this time, unix nanoseconds, is traced.
    pub fn begin(
        recorder: &Arc<Recorder>,
        topic: &TopicName,
        request: &Subscribe,
        caller: &Caller,
        begun: u64,
    ) -> Option<Box<Subscribing>> {
        let context = recorder.begin(Some(topic), caller.context(), caller.is_sampled(), begun)?;
        let (recorder, topic) = (recorder.clone(), topic.clone());
        let (peer, parent) = (caller.address(), caller.context());
        let is_resumed = matches!(request.start, Start::After(_));
        let (id, end, log_span) = (Uuid::nil(), None, log_span(context));
        Some(Box::new(Subscribing {
            recorder,
            topic,
            peer,
            parent,
            context,
            is_resumed,
            begun,
            id,
            log_span,
            end,
        }))
    }

    /// It was opened, or refused: the first span. Gives itself back for the end.
    pub fn opened(mut self: Box<Self>, outcome: &Result<Subscription>) -> Option<Box<Self>> {
        let mut span =
            Span::new(Operation::Subscribe, Some(self.topic.clone()), self.context, self.begun, unix_nanos())
                .called_by(self.parent)
                .with_peer(self.peer);
        span.what = Some(if self.is_resumed { "resume" } else { "open" });
        match outcome {
            Ok(subscription) => {
                self.id = subscription.id();
                let span = span
                    .with("bugle.subscription.id", Value::Id(self.id))
                    .with("bugle.epoch", Value::Count(subscription.epoch()));
                self.record(span);
                Some(self)
            }
            Err(error) => {
                self.record(span.failed(error.code(), error.message()));
                // There is nothing that could be closed.
                self.id = Uuid::nil();
                None
            }
        }
    }

    /// The span that has the log's lines say which trace the work inside it is part of.
    pub fn log_span(&self) -> &tracing::Span {
        &self.log_span
    }

    /// The server ended it, for this reason.
    pub fn ended(mut self, error: &Error) {
        self.end = Some((error.code(), error.message().to_owned()));
    }

    fn record(&self, span: Span) {
        if self.recorder.admits(span.context.trace_id, span.end) {
            self.recorder.record(span);
        }
    }
}

impl Drop for Subscribing {
    fn drop(&mut self) {
        if self.id.is_nil() {
            return;
        }
        let (now, context) = (unix_nanos(), self.context.with_span(random_id()));
        let mut span = Span::new(Operation::Subscribe, Some(self.topic.clone()), context, now, now)
            .child_of(self.context)
            .with("bugle.subscription.id", Value::Id(self.id))
            .with_peer(self.peer);
        span.what = Some("close");
        let span = match self.end.take() {
            Some((code, message)) => span.failed(code, &message),
            None => span,
        };
        self.record(span);
    }
}

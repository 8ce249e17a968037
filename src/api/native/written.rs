//! The spans of a delivery: from when a subscription took traced messages from the log until they
//! were written to its connection.
//!
//! It rides in the frame that carries the messages, so what ends it is the frame's last byte; a
//! frame that is dropped before was not delivered, and its span says so.

use std::net::SocketAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::error::Code;
use crate::store::unix_nanos;
use crate::topic::{Position, Run, TopicName, Trace, TraceContext};
use crate::trace::{Operation, Recorder, Span, Value, random_id};

/// Most spans for one frame: one for each traced batch that has messages in it.
const BATCHES_MAX: usize = 128;

/// What is to be told when a frame was written.
pub struct Written {
    recorder: Arc<Recorder>,
    delivered: Delivered,
    traces: Vec<Trace>,
    read: u64,
    is_written: bool,
}

/// What was delivered to whom.
pub struct Delivered {
    /// The topic.
    pub topic: TopicName,
    /// The subscription.
    pub subscription: Uuid,
    /// Where its client is.
    pub peer: Option<SocketAddr>,
    /// Position of the first message.
    pub first: Position,
    /// Sequence of the last one.
    pub last: u64,
}

impl Written {
    /// What is to be told of a run; `None` where none of its messages is traced.
    pub fn of(
        recorder: &Arc<Recorder>,
        run: &mut Run,
        delivered: impl FnOnce() -> Delivered,
    ) -> Option<Box<Written>> {
        if run.traces.is_empty() {
            return None;
        }
        let (traces, delivered) = (std::mem::take(&mut run.traces), delivered());
        let recorder = recorder.clone();
        Some(Box::new(Written { recorder, delivered, traces, read: unix_nanos(), is_written: false }))
    }

    /// The last byte was written.
    pub fn done(mut self) {
        self.is_written = true;
    }

    fn record(&self, traces: &[Trace], now: u64) {
        let Some(fan_out) = traces.first().map(|trace| trace.fan_out) else { return };
        if !self.recorder.admits(fan_out.trace_id, now) {
            return;
        }
        let Delivered { topic, subscription, peer, first, last } = &self.delivered;
        let context = fan_out.with_span(random_id());
        let span = Span::new(Operation::Deliver, Some(topic.clone()), context, self.read, now)
            .child_of(fan_out)
            .linked_to(created(traces))
            .with("messaging.batch.message_count", Value::Count(last + 1 - first.sequence))
            .with("bugle.epoch", Value::Count(first.epoch))
            .with("bugle.sequence.first", Value::Count(first.sequence))
            .with("bugle.sequence.last", Value::Count(*last))
            .with("bugle.subscription.id", Value::Id(*subscription))
            .with_peer(*peer);
        self.recorder.record(match self.is_written {
            true => span,
            false => span.failed(Code::Cancelled, "the stream ended before the messages were written"),
        });
    }
}

/// The contexts in which traced messages were made, each once where they stand together.
fn created(traces: &[Trace]) -> impl Iterator<Item = TraceContext> + '_ {
    let is_new = |at: usize| at == 0 || traces[at - 1].created != traces[at].created;
    traces.iter().enumerate().filter(move |(at, _)| is_new(*at)).map(|(_, trace)| trace.created)
}

impl Drop for Written {
    fn drop(&mut self) {
        let (now, traces) = (unix_nanos(), std::mem::take(&mut self.traces));
        let batches = traces.chunk_by(|one, next| one.fan_out == next.fan_out);
        batches.take(BATCHES_MAX).for_each(|batch| self.record(batch, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_one_context_are_linked_once() {
        let context = |span| TraceContext::sampled(1, span).unwrap();
        let trace = |sequence, span| Trace { sequence, created: context(span), fan_out: context(9) };
        let traces = [trace(1, 5), trace(2, 5), trace(3, 6), trace(4, 5)];
        assert_eq!(created(&traces).map(|it| it.span_id).collect::<Vec<_>>(), [5, 6, 5]);
    }
}

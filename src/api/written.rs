//! The spans of a delivery: from when a subscription took traced messages from the log until they
//! were written to its connection.
//!
//! It rides in the frame that carries the messages, so what ends it is the frame's last byte; a
//! frame that is dropped before was not delivered, and its span says so.

use std::net::SocketAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::error::Code;
use crate::limits::DELIVER_SPANS_MAX;
use crate::store::unix_nanos;
use crate::topic::{Position, Run, Slices, TopicName, Trace, record};
use crate::trace::{Operation, Recorder, Span, Value, random_id};

/// What is to be told when a frame was written.
pub struct Written {
    recorder: Arc<Recorder>,
    to: Recipient,
    traces: Vec<Trace>,
    /// The id of each traced message that is alone of its batch, by its sequence.
    ids: Vec<(u64, Uuid)>,
    read: u64,
    is_written: bool,
}

/// Whom it was delivered to.
pub struct Recipient {
    /// The topic.
    pub topic: TopicName,
    /// Its history.
    pub epoch: u64,
    /// The subscription.
    pub subscription: Uuid,
    /// Where its client is.
    pub peer: Option<SocketAddr>,
}

impl Written {
    /// What is to be told of a run; `None` where none of its messages is traced.
    pub fn of(
        recorder: &Arc<Recorder>,
        run: &mut Run,
        recipient: impl FnOnce() -> Recipient,
    ) -> Option<Box<Written>> {
        if run.traces.is_empty() {
            return None;
        }
        let traces = std::mem::take(&mut run.traces);
        let alone = batches(&traces).filter_map(|batch| match batch {
            [trace] if trace.first == trace.last => Some(trace.first),
            _ => None,
        });
        let ids = ids(&run.slices, alone);
        let (recorder, to) = (recorder.clone(), recipient());
        Some(Box::new(Written { recorder, to, traces, ids, read: unix_nanos(), is_written: false }))
    }

    /// The last byte was written.
    pub fn done(mut self) {
        self.is_written = true;
    }

    /// The span of one batch.
    fn record(&self, batch: &[Trace], now: u64) {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return };
        if !self.recorder.admits(first.fan_out.trace_id, now) {
            return;
        }
        let Recipient { topic, epoch, subscription, peer } = &self.to;
        let context = first.fan_out.with_span(random_id());
        let count = batch.iter().map(|trace| trace.last + 1 - trace.first).sum();
        let mut span = Span::new(Operation::Deliver, Some(topic.clone()), context, self.read, now)
            .child_of(first.fan_out)
            .linked_to(batch.iter().map(|trace| trace.created))
            .with_count(count)
            .with_range(Position::new(*epoch, first.first), last.last)
            .with("bugle.subscription.id", Value::Id(*subscription))
            .with_peer(*peer);
        if let Some((_, id)) = self.ids.iter().find(|(sequence, _)| count == 1 && *sequence == first.first) {
            span = span.with("messaging.message.id", Value::Id(*id));
        }
        self.recorder.record(match self.is_written {
            true => span,
            false => span.failed(Code::Cancelled, "the stream ended before the messages were written"),
        });
    }
}

/// The traces of each published batch.
fn batches(traces: &[Trace]) -> impl Iterator<Item = &[Trace]> {
    traces.chunk_by(|one, next| one.fan_out == next.fan_out)
}

/// The ids of the messages with these sequences, which come in order.
fn ids(slices: &Slices, sequences: impl Iterator<Item = u64>) -> Vec<(u64, Uuid)> {
    let mut records = slices.iter().flat_map(|slice| record::headers(slice).map(move |at| (slice, at)));
    let found = sequences.filter_map(|sequence| {
        let (slice, (offset, header)) = records.find(|(_, (_, header))| header.sequence >= sequence)?;
        let id = record::id(&slice[offset..offset + header.bytes])?;
        (header.sequence == sequence).then_some((sequence, id))
    });
    found.collect()
}

impl Drop for Written {
    fn drop(&mut self) {
        let (now, traces) = (unix_nanos(), std::mem::take(&mut self.traces));
        batches(&traces).take(DELIVER_SPANS_MAX).for_each(|batch| self.record(batch, now));
        self.recorder.note_dropped(batches(&traces).skip(DELIVER_SPANS_MAX).count());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::{Batch, Budget, Log, Message, Read, Retention, TraceContext, Weight};

    #[test]
    fn the_ids_of_messages_are_found_in_their_records() {
        let mut log = Log::new(1, 1, Retention::default(), Weight::new(Budget::new(usize::MAX)));
        let id = |n: u128| Uuid::from_u128(n);
        let message = |n| Message { id: Some(id(n)), payload: vec![7; 300].into(), ..Message::default() };
        for n in 1..=5 {
            log.append(&Batch::encode(&[message(n)]).unwrap(), 1).unwrap();
        }
        let Read::Run(run) = log.read(1, usize::MAX) else { panic!("nothing to read") };
        let found = ids(&run.slices, [2, 4, 5, 9].into_iter());
        assert_eq!(found, [(2, id(2)), (4, id(4)), (5, id(5))]);
    }

    #[test]
    fn what_follows_each_other_of_one_fan_out_is_a_batch() {
        let context = |span| TraceContext::sampled(1, span).unwrap();
        let trace =
            |first, fan_out| Trace { first, last: first, created: context(5), fan_out: context(fan_out) };
        let traces = [trace(1, 7), trace(2, 7), trace(3, 8)];
        assert_eq!(batches(&traces).map(<[Trace]>::len).collect::<Vec<_>>(), [2, 1]);
    }
}

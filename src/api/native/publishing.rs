//! The trace of a publish: whether there is one, what the messages carry of it, and its span.
//!
//! A message that comes with a context keeps it. One that comes without is given that of its call,
//! or of the publish's own span, where the trace is recorded; so its subscribers can join.

use super::Caller;
use crate::broker::Broker;
use crate::error::Result;
use crate::limits::SPAN_LINKS_MAX;
use crate::proto::v1;
use crate::store::{Receipt, unix_nanos};
use crate::topic::{Batch, FannedOut, TopicName, TraceContext, Traced};
use crate::trace::{Operation, Span, Value, random_id};

/// A publish that is traced.
pub struct Publishing {
    context: TraceContext,
    parent: Option<TraceContext>,
    fan_out: TraceContext,
    /// The traced messages by their place in the batch.
    created: Vec<(u32, TraceContext)>,
    accepted: u64,
}

impl Publishing {
    /// Decides whether a publish that was accepted at this time (unix nanoseconds) is traced, and
    /// gives the messages without a context theirs. A call's context is not for its messages where
    /// the call is a stream: `caller` has none then.
    pub fn begin(
        broker: &Broker,
        name: &TopicName,
        messages: &mut [v1::Message],
        caller: &Caller,
        accepted: u64,
    ) -> Option<Publishing> {
        let recorder = broker.recorder();
        if !recorder.is_exporting() {
            if let Some(context) = caller.context().filter(TraceContext::is_sampled) {
                give(messages, context, caller.tracestate());
            }
            return None;
        }
        let (created, first) = contexts(messages);
        let parent = caller.context().or(created.first().map(|(_, context)| *context)).or(first);
        let is_sampled = caller.is_sampled() || !created.is_empty();
        let Some(context) = recorder.begin(Some(name), parent, is_sampled, accepted) else {
            if let Some(context) = caller.context().filter(TraceContext::is_sampled) {
                give(messages, context, caller.tracestate());
            }
            return None;
        };
        Some(Publishing::traced(context, parent, created, messages, caller, accepted))
    }

    /// A publish that is traced whatever anybody says: a probe.
    pub fn probe(context: TraceContext, messages: &mut [v1::Message], accepted: u64) -> Publishing {
        Publishing::traced(context, None, Vec::new(), messages, &Caller::default(), accepted)
    }

    fn traced(
        context: TraceContext,
        parent: Option<TraceContext>,
        created: Vec<(u32, TraceContext)>,
        messages: &mut [v1::Message],
        caller: &Caller,
        accepted: u64,
    ) -> Publishing {
        let tracestate = if caller.context().is_some() { caller.tracestate() } else { "" };
        let mut created = created;
        created.extend(give(messages, context, tracestate));
        created.sort_unstable_by_key(|(place, _)| *place);
        Publishing { context, parent, fan_out: context.with_span(random_id()), created, accepted }
    }

    /// What the batch carries of the trace.
    pub fn carried(&self, broker: &Broker, name: &TopicName) -> Traced {
        let (recorder, name) = (broker.recorder().clone(), name.clone());
        let (fan_out, publish) = (self.fan_out, self.context);
        let fanned_out = Box::new(move |end: FannedOut| {
            let now = unix_nanos();
            if !recorder.admits(fan_out.trace_id, now) {
                return;
            }
            let FannedOut { first, last, ordered, woken } = end;
            let span = Span::new(Operation::FanOut, Some(name.clone()), fan_out, ordered, now)
                .child_of(publish)
                .with("bugle.epoch", Value::Count(first.epoch))
                .with("bugle.sequence.first", Value::Count(first.sequence))
                .with("bugle.sequence.last", Value::Count(last))
                .with("bugle.readers.woken", Value::Count(woken as u64));
            recorder.record(span);
        });
        Traced { fan_out, created: self.created.clone(), fanned_out }
    }

    /// The publish is over: its span.
    pub fn end(
        self,
        broker: &Broker,
        name: &TopicName,
        batch: Option<&Batch>,
        outcome: &Result<Receipt>,
        caller: &Caller,
    ) {
        let (recorder, now) = (broker.recorder(), unix_nanos());
        if !recorder.admits(self.context.trace_id, now) {
            return;
        }
        let own = self.context;
        let links = self.created.iter().map(|(_, context)| *context).filter(|context| *context != own);
        let mut span = Span::new(Operation::Publish, Some(name.clone()), own, self.accepted, now)
            .called_by(self.parent)
            .linked_to(links)
            .with_peer(caller.address());
        if let Some(batch) = batch {
            span = match (batch.len(), batch.id()) {
                (1, Some(id)) => span.with("messaging.message.id", Value::Id(id)),
                (count, _) => span.with("messaging.batch.message_count", Value::Count(count as u64)),
            };
        }
        let span = match outcome {
            Ok(Receipt { epoch, first, last, bytes }) => span
                .with("bugle.epoch", Value::Count(*epoch))
                .with("bugle.sequence.first", Value::Count(*first))
                .with("bugle.sequence.last", Value::Count(*last))
                .with("messaging.message.body.size", Value::Count(*bytes)),
            Err(error) => span.failed(error.code(), error.message()),
        };
        recorder.record(span);
    }
}

/// The messages that are made in a recorded trace, each with its place; and the first context of
/// all, recorded or not.
fn contexts(messages: &[v1::Message]) -> (Vec<(u32, TraceContext)>, Option<TraceContext>) {
    let (mut sampled, mut first) = (Vec::new(), None);
    for (place, message) in messages.iter().enumerate().filter(|(_, it)| !it.traceparent.is_empty()) {
        let Some(context) = TraceContext::parse(&message.traceparent) else { continue };
        first = first.or(Some(context));
        if context.is_sampled() {
            sampled.push((place as u32, context));
        }
    }
    (sampled, first)
}

/// Gives a context to the messages that have none. Their deliveries show in the trace by the first
/// and every so many of them, which is enough for each run of a batch that is delivered.
fn give(messages: &mut [v1::Message], context: TraceContext, tracestate: &str) -> Vec<(u32, TraceContext)> {
    let mut given = Vec::new();
    let text = context.to_string();
    for (place, message) in messages.iter_mut().enumerate().filter(|(_, it)| it.traceparent.is_empty()) {
        message.traceparent.clone_from(&text);
        tracestate.clone_into(&mut message.tracestate);
        if given.len() * SPAN_LINKS_MAX <= place {
            given.push((place as u32, context));
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn messages(contexts: &[&str]) -> Vec<v1::Message> {
        let message =
            |context: &&str| v1::Message { traceparent: (*context).to_owned(), ..v1::Message::default() };
        contexts.iter().map(message).collect()
    }

    #[test]
    fn a_message_with_a_context_of_its_own_keeps_it() {
        let mut messages = messages(&[SAMPLED, "", UNSAMPLED, "nonsense"]);
        let given = TraceContext::sampled(7, 8).unwrap();
        assert_eq!(give(&mut messages, given, "a=1"), [(1, given)]);
        let carried: Vec<_> = messages.iter().map(|it| it.traceparent.as_str()).collect();
        assert_eq!(carried, [SAMPLED, given.to_string().as_str(), UNSAMPLED, "nonsense"]);
        assert_eq!((messages[0].tracestate.as_str(), messages[1].tracestate.as_str()), ("", "a=1"));
    }

    #[test]
    fn the_recorded_contexts_of_a_batch_are_found_with_their_places() {
        let sampled = TraceContext::parse(SAMPLED).unwrap();
        let unsampled = TraceContext::parse(UNSAMPLED);
        assert_eq!(contexts(&messages(&["", UNSAMPLED, SAMPLED])), (vec![(2, sampled)], unsampled));
        assert_eq!(contexts(&messages(&["", "nonsense"])), (Vec::new(), None));
    }

    #[test]
    fn a_large_batch_is_listed_in_parts() {
        let mut messages = messages(&[""; 1000]);
        let given = give(&mut messages, TraceContext::sampled(7, 8).unwrap(), "");
        let places: Vec<_> = given.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [0, 128, 256, 384, 512, 640, 768, 896]);
        assert!(messages.iter().all(|message| !message.traceparent.is_empty()));
    }
}

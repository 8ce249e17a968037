//! The trace of a publish: whether there is one, what the messages carry of it, and its span.
//!
//! A message that comes with a context keeps it. One that comes without is given that of the publish's
//! own span, where that is recorded, or of its call, where no spans are; so its subscribers can join.

use super::caller::Caller;
use crate::broker::Broker;
use crate::error::Result;
use crate::limits::SPAN_LINKS_MAX;
use crate::store::{Receipt, unix_nanos};
use crate::topic::{Batch, Created, FannedOut, Inherited, Message, TopicName, TraceContext, Traced};
use crate::trace::{Operation, Span, Value, random_id};

/// A publish that is traced.
pub struct Publishing {
    context: TraceContext,
    parent: Option<TraceContext>,
    fan_out: TraceContext,
    created: Vec<Created>,
    inherited: Inherited,
    /// Bytes of the payload, where there is one message.
    payload: Option<usize>,
    accepted: u64,
}

impl Publishing {
    /// Decides whether a publish that was accepted at this time (unix nanoseconds) is traced. A
    /// call's context is not for its messages where the call is a stream: `caller` has none then.
    pub fn begin(
        broker: &Broker,
        name: &TopicName,
        messages: &[Message],
        caller: &Caller,
        accepted: u64,
    ) -> Option<Publishing> {
        let recorder = broker.recorder();
        if !recorder.is_exporting() {
            return None;
        }
        let seen = Seen::of(messages);
        let of_call = caller.context().filter(TraceContext::is_sampled);
        // Where call and messages disagree, what is recorded is the parent.
        let parent = of_call.or(seen.sampled).or(caller.context()).or(seen.first);
        let is_sampled = parent.is_some_and(|parent| parent.is_sampled());
        let context = recorder.begin(Some(name), parent, is_sampled, accepted)?;
        let tracestate = if of_call.is_some() { caller.tracestate() } else { "" };
        Some(Publishing::traced(context, parent, messages, tracestate, accepted))
    }

    /// A publish that is traced whatever anybody says: a probe.
    pub fn probe(context: TraceContext, messages: &[Message], accepted: u64) -> Publishing {
        Publishing::traced(context, None, messages, "", accepted)
    }

    fn traced(
        context: TraceContext,
        parent: Option<TraceContext>,
        messages: &[Message],
        tracestate: &str,
        accepted: u64,
    ) -> Publishing {
        let payload = if let [message] = messages { Some(message.payload.len()) } else { None };
        Publishing {
            context,
            parent,
            fan_out: context.with_span(random_id()),
            created: created(messages, context),
            inherited: inherited(context, tracestate, messages.len()),
            payload,
            accepted,
        }
    }

    /// What messages without a context are given, of a publish that is traced or not.
    pub fn inherited(this: Option<&Publishing>, caller: &Caller, messages: usize) -> Option<Inherited> {
        match this {
            Some(publishing) => Some(publishing.inherited.clone()),
            None => {
                let context = caller.context().filter(TraceContext::is_sampled)?;
                Some(inherited(context, caller.tracestate(), messages))
            }
        }
    }

    /// The context of its span.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// What the batch carries of the trace.
    pub fn carried(&self, broker: &Broker, name: &TopicName) -> Traced {
        let (recorder, name) = (broker.recorder().clone(), name.clone());
        let publish = self.context;
        let fanned_out = Box::new(move |traced: &Traced, end: FannedOut| {
            let (fan_out, now) = (traced.fan_out, unix_nanos());
            if !recorder.admits(fan_out.trace_id, now) {
                return;
            }
            let FannedOut { first, last, ordered, woken } = end;
            let links = traced.created.iter().map(|created| created.context);
            let span = Span::new(Operation::FanOut, Some(name.clone()), fan_out, ordered, now)
                .child_of(publish)
                .linked_to(links.filter(|context| context.span_id != publish.span_id))
                .with_count(last + 1 - first.sequence)
                .with_range(first, last);
            recorder.record(match woken {
                Some(woken) => span.with("bugle.readers.woken", Value::Count(woken as u64)),
                None => span,
            });
        });
        Traced { fan_out: self.fan_out, created: self.created.clone(), fanned_out }
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
        let mut span = Span::new(Operation::Publish, Some(name.clone()), self.context, self.accepted, now)
            .called_by(self.parent)
            .linked_to(self.created.iter().map(|created| created.context))
            .with_peer(caller.address());
        if let Some(batch) = batch {
            span = match (batch.len(), batch.id()) {
                (1, Some(id)) => span.with("messaging.message.id", Value::Id(id)),
                (count, _) => span.with_count(count as u64),
            };
        }
        if let Some(bytes) = self.payload {
            span = span.with("messaging.message.body.size", Value::Count(bytes as u64));
        }
        recorder.record(match outcome {
            Ok(Receipt { epoch, first, last, bytes }) => span
                .with_range(crate::topic::Position::new(*epoch, *first), *last)
                .with("bugle.batch.bytes", Value::Count(*bytes)),
            Err(error) => span.failed(error.code(), error.message()),
        });
    }
}

/// The contexts that messages came with: the first of all, and the first that is recorded.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    first: Option<TraceContext>,
    sampled: Option<TraceContext>,
}

impl Seen {
    fn of(messages: &[Message]) -> Seen {
        let mut seen = Seen::default();
        for context in messages.iter().filter_map(own) {
            seen.first = seen.first.or(Some(context));
            if context.is_sampled() {
                seen.sampled = Some(context);
                break;
            }
        }
        seen
    }
}

fn own(message: &Message) -> Option<TraceContext> {
    if message.traceparent.is_empty() { None } else { TraceContext::parse(&message.traceparent) }
}

/// The traced messages: those that came with a recorded context, and those that are given this one.
fn created(messages: &[Message], given: TraceContext) -> Vec<Created> {
    let mut all: Vec<Created> = Vec::new();
    for (place, message) in (0..).zip(messages) {
        let context = if message.traceparent.is_empty() { Some(given) } else { own(message) };
        let Some(context) = context.filter(TraceContext::is_sampled) else { continue };
        match all.last_mut() {
            Some(last) if last.context == context && last.last + 1 == place => last.last = place,
            _ => all.push(Created { first: place, last: place, context }),
        }
    }
    all
}

/// What messages without a context are given. The vendors' part is for those who publish a few: it
/// may be ten times as long as the rest.
fn inherited(context: TraceContext, tracestate: &str, messages: usize) -> Inherited {
    let tracestate = if messages <= SPAN_LINKS_MAX { tracestate.to_owned() } else { String::new() };
    Inherited { traceparent: context.to_string(), tracestate }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn messages(contexts: &[&str]) -> Vec<Message> {
        let message = |context: &&str| Message { traceparent: (*context).to_owned(), ..Message::default() };
        contexts.iter().map(message).collect()
    }

    #[test]
    fn neighbours_of_one_context_are_listed_together() {
        let (sampled, given) = (TraceContext::parse(SAMPLED).unwrap(), TraceContext::sampled(7, 8).unwrap());
        let messages = messages(&["", "", SAMPLED, UNSAMPLED, "nonsense", "", SAMPLED, SAMPLED]);
        let listed = created(&messages, given);
        let entry = |first, last, context| Created { first, last, context };
        let expected = [entry(0, 1, given), entry(2, 2, sampled), entry(5, 5, given), entry(6, 7, sampled)];
        assert_eq!(listed, expected);
    }

    #[test]
    fn the_recorded_context_of_a_batch_is_found_behind_others() {
        let (sampled, unsampled) = (TraceContext::parse(SAMPLED), TraceContext::parse(UNSAMPLED));
        assert_eq!(Seen::of(&messages(&["", UNSAMPLED, SAMPLED])), Seen { first: unsampled, sampled });
        assert_eq!(Seen::of(&messages(&["", "nonsense"])), Seen::default());
    }

    #[test]
    fn the_state_of_vendors_is_for_a_few_messages() {
        let context = TraceContext::sampled(7, 8).unwrap();
        assert_eq!(inherited(context, "a=1", 128).tracestate, "a=1");
        assert_eq!(inherited(context, "a=1", 129).tracestate, "");
    }
}

//! A probe: one message that is traced whatever is sampled, and the times of its way, collected from
//! the spans that its work leaves behind.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Caller, Native, convert};
use crate::api::publishing::Publishing;
use crate::auth::{Action, Resource};
use crate::error::{Code, Error, Result};
use crate::limits::{PROBE_SPANS_MAX, PROBE_WAIT_DEFAULT, PROBE_WAIT_MAX, PROBES_MAX};
use crate::proto::v1::{Position, ProbeDelivery, TraceTopicRequest, TraceTopicResponse};
use crate::store::unix_nanos;
use crate::topic::{Batch, Message, TopicName};
use crate::trace::{Operation, Probe, Span, Value};

/// Attribute of a probe, for subscribers that want to pass it over.
const ATTRIBUTE: &str = "bugle.probe";
/// What a probe says when nobody says anything else.
const PAYLOAD: &[u8] = b"This message was published to see how long it takes: bugle trace.";

/// Publishes a probe that was asked for at this time, unix nanoseconds, and follows it.
pub async fn run(
    native: &Native,
    request: TraceTopicRequest,
    caller: &Caller,
    accepted: u64,
) -> Result<TraceTopicResponse> {
    let TraceTopicRequest { namespace, topic, wait, payload } = request;
    let name = TopicName::parse(&namespace, &topic)?;
    native.may(caller, Action::Publish, Resource::Topic(&name))?;
    // It tells who subscribes, and from where.
    native.may(caller, Action::Admin, Resource::Topic(&name))?;
    let wait = wait.map_or(Some(PROBE_WAIT_DEFAULT), convert::span).filter(|wait| *wait <= PROBE_WAIT_MAX);
    let wait = wait.ok_or_else(|| Error::field("wait", format!("has to be from 0 to {PROBE_WAIT_MAX:?}")))?;

    let broker = &native.broker;
    let (context, mut probe) = broker.recorder().probe().ok_or_else(too_many)?;
    let (messages, account) = ([message(payload, caller)], native.account(caller));
    let bytes = || messages.iter().map(|message| message.bytes() as u64).sum();
    native.admission.quotas().publish(name.namespace(), &account, messages.len(), bytes)?;
    let publishing = Publishing::probe(context, &messages, accepted);
    let inherited = Publishing::inherited(Some(&publishing), &Caller::default(), 1);
    let batch = Batch::encode_in(&messages, inherited.as_ref())?.accepted_at(accepted);
    let batch = batch.traced_by(Some(publishing.carried(broker, &name)));
    let subscriptions = broker.readers(&name);
    let outcome = broker.publish_by(Some(&account), &name, &batch).await;
    publishing.end(broker, &name, Some(&batch), &outcome, &Caller::default());
    let receipt = outcome?;

    let mut response = TraceTopicResponse {
        position: Some(Position { epoch: receipt.epoch, sequence: receipt.first }),
        traceparent: context.to_string(),
        accepted_unix_nano: accepted,
        subscriptions: subscriptions as u64,
        ..Default::default()
    };
    tokio::select! {
        () = follow(&mut response, &mut probe, wait) => {}
        // What is known by now has to do: a probe does not hold up the end of the server.
        () = broker.drained() => {}
    }
    response.answered_unix_nano = unix_nanos();
    Ok(response)
}

fn too_many() -> Error {
    let message = format!("{PROBES_MAX} probes are on their way already; try again when one has arrived");
    Error::new(Code::ResourceExhausted, message).reason("PROBES").retry_after(PROBE_WAIT_DEFAULT)
}

fn message(payload: bytes::Bytes, caller: &Caller) -> Message {
    let payload = if payload.is_empty() { bytes::Bytes::from_static(PAYLOAD) } else { payload };
    let attributes = [(ATTRIBUTE.to_owned(), "true".to_owned())].into();
    Message { payload, attributes, publisher: caller.publisher().cloned(), ..Default::default() }
}

/// Collects spans until every subscription has the probe, or so long.
async fn follow(response: &mut TraceTopicResponse, probe: &mut Probe, wait: Duration) {
    let deadline = Instant::now() + wait;
    let expected = response.subscriptions.min(PROBE_SPANS_MAX as u64 - 2) as usize;
    while response.fanned_out_unix_nano == 0 || response.deliveries.len() < expected {
        let Ok(Some(span)) = timeout_at(deadline, probe.next()).await else { return };
        note(response, &span);
    }
}

fn note(response: &mut TraceTopicResponse, span: &Span) {
    match span.operation {
        Operation::FanOut => {
            response.ordered_unix_nano = span.start;
            response.fanned_out_unix_nano = span.end;
            if let Some(Value::Count(woken)) = span.get("bugle.readers.woken") {
                response.woken = u32::try_from(*woken).unwrap_or(u32::MAX);
            }
        }
        // One that was not written did not get there.
        Operation::Deliver if span.error.is_none() => {
            let subscription_id = match span.get("bugle.subscription.id") {
                Some(Value::Id(id)) => bytes::Bytes::copy_from_slice(id.as_bytes()),
                _ => bytes::Bytes::new(),
            };
            response.deliveries.push(ProbeDelivery {
                subscription_id,
                peer: span.peer.map_or_else(String::new, |peer| peer.to_string()),
                read_unix_nano: span.start,
                written_unix_nano: span.end,
            });
        }
        _ => {}
    }
}

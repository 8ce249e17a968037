//! The only place where wire types of the native API become the domain's, and back.
//!
//! Messages are taken apart with full destructuring: a new field of the contract is a compile error
//! here, where it has to be thought about.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::{Delivery, Subscribe, SubscriptionInfo, TopicChange, TopicInfo};
use crate::error::{Code, Error, Result};
use crate::limits::{HEARTBEAT_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::metrics::Counted;
use crate::proto::v1;
use crate::topic::{Discontinuity, Message, Position, Reason, Start, TopicName};

/// The messages of a publish by this principal. A violation names the message by its index.
pub fn messages(messages: Vec<v1::Message>, publisher: Option<&Arc<str>>) -> Result<Vec<Message>> {
    let convert = |(index, wire)| {
        message(wire, publisher).map_err(|error: Error| error.under(&format!("messages[{index}]")))
    };
    messages.into_iter().enumerate().map(convert).collect()
}

fn message(message: v1::Message, publisher: Option<&Arc<str>>) -> Result<Message> {
    let v1::Message {
        sequence: _,
        publish_time_unix_nano: _,
        id,
        key,
        attributes,
        payload,
        content_type,
        traceparent,
        tracestate,
        publisher: _,
    } = message;
    let id = Message::parse_id(&id)?;
    let publisher = publisher.cloned();
    Ok(Message { id, key, attributes, payload, content_type, traceparent, tracestate, publisher })
}

/// The topic and the wishes of a subscribe.
pub fn subscribe(request: v1::SubscribeRequest) -> Result<(TopicName, Subscribe)> {
    let v1::SubscribeRequest { namespace, topic, start: from, max_batch_bytes, heartbeat_interval } = request;
    let name = TopicName::parse(&namespace, &topic)?;
    let heartbeat_interval = heartbeat_interval.map(|interval| {
        let error =
            || Error::field("heartbeat_interval", format!("has to be a duration, at most {HEARTBEAT_MAX:?}"));
        span(interval).ok_or_else(error)
    });
    let request = Subscribe {
        start: from.map_or(Ok(Start::Latest), start)?,
        max_batch_bytes: (max_batch_bytes > 0).then_some(max_batch_bytes as usize),
        heartbeat_interval: heartbeat_interval.transpose()?,
        peer: None,
        eject: None,
        by: None,
    };
    Ok((name, request))
}

fn start(start: v1::StartPosition) -> Result<Start> {
    use v1::start_position::Start as Wire;
    let v1::StartPosition { start } = start;
    match start {
        Some(Wire::Latest(true)) => Ok(Start::Latest),
        Some(Wire::Earliest(true)) => Ok(Start::Earliest),
        Some(Wire::Latest(false)) => {
            Err(Error::field("start.latest", "has to be true, or choose another start"))
        }
        Some(Wire::Earliest(false)) => {
            Err(Error::field("start.earliest", "has to be true, or choose another start"))
        }
        Some(Wire::After(v1::Position { epoch: 0, .. })) => {
            Err(Error::field("start.after.epoch", "has to be the epoch of a delivered position; 0 is none"))
        }
        Some(Wire::After(v1::Position { epoch, sequence })) => Ok(Start::After(Position { epoch, sequence })),
        Some(Wire::TimeUnixNano(time)) => Ok(Start::Time(time)),
        Some(Wire::Last(count)) => Ok(Start::Last(count)),
        None => {
            let description = "has to choose one of latest, earliest, after, time_unix_nano and last; \
                               this server knows no other start";
            Err(Error::field("start", description))
        }
    }
}

/// A notice as a response; messages are not one, they are sent as they are.
pub fn notice(delivery: Delivery) -> Option<v1::SubscribeResponse> {
    let mut response = v1::SubscribeResponse::default();
    match delivery {
        Delivery::Messages(_) => return None,
        Delivery::Opened { id, next } => {
            response.opened = Some(v1::Opened {
                subscription_id: bytes::Bytes::copy_from_slice(id.as_bytes()),
                epoch: next.epoch,
                next_sequence: next.sequence,
            });
        }
        Delivery::Discontinuity(gap) => response.discontinuity = Some(discontinuity(gap)),
        Delivery::CaughtUp(newest) => {
            response.caught_up = Some(v1::CaughtUp { newest: Some(position(newest)) });
        }
        Delivery::Heartbeat(newest, server_time_unix_nano) => {
            response.heartbeat =
                Some(v1::Heartbeat { newest: Some(position(newest)), server_time_unix_nano });
        }
        Delivery::Draining(grace) => {
            response.draining = Some(v1::Draining { grace: Some(duration(grace)) });
        }
    }
    Some(response)
}

fn discontinuity(gap: Discontinuity) -> v1::Discontinuity {
    use v1::discontinuity::Reason as Wire;
    let Discontinuity { reason, last_delivered, next } = gap;
    let reason = match reason {
        Reason::Slow => Wire::Slow,
        Reason::Expired => Wire::Expired,
        Reason::Reset => Wire::Reset,
        Reason::Store => Wire::Store,
    };
    v1::Discontinuity {
        reason: reason as i32,
        last_delivered: last_delivered.map(position),
        next: Some(position(next)),
    }
}

fn position(position: Position) -> v1::Position {
    let Position { epoch, sequence } = position;
    v1::Position { epoch, sequence }
}

/// A duration that is not negative and is written as the protocol asks. prost's own conversion
/// overflows on the smallest number of seconds.
pub fn span(duration: prost_types::Duration) -> Option<Duration> {
    let prost_types::Duration { seconds, nanos } = duration;
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(seconds).ok()?, nanos))
}

/// A duration as the protocol writes it.
pub fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or_default()
}

/// The name and the settings of a topic to create or update.
pub fn topic_change(topic: Option<v1::Topic>) -> Result<(TopicName, TopicChange)> {
    let topic = topic.ok_or_else(|| Error::field("topic", "has to be given"))?;
    let v1::Topic { namespace, topic, retention, durability, .. } = topic;
    let name = TopicName::parse(&namespace, &topic).map_err(|error| error.under("topic"))?;
    check_durability(durability)?;
    let v1::Retention { max_bytes, max_messages, max_age } = retention.unwrap_or_default();
    let max_age = max_age.unwrap_or_default();
    let age = span(max_age)
        .ok_or_else(|| Error::field("topic.retention.max_age", "has to be a duration of zero or more"))?;
    let change = TopicChange {
        bytes: (max_bytes > 0).then_some(max_bytes),
        messages: (max_messages > 0).then_some(max_messages),
        age: (age > Duration::ZERO).then_some(age),
    };
    Ok((name, change))
}

fn check_durability(durability: i32) -> Result<()> {
    use v1::topic::Durability;
    match Durability::try_from(durability) {
        Ok(Durability::Unspecified | Durability::Memory) => Ok(()),
        Ok(wanted @ (Durability::Disk | Durability::Replicated)) => {
            let message = format!(
                "{} is not offered by this server, which keeps topics in memory; use DURABILITY_MEMORY",
                wanted.as_str_name()
            );
            Err(Error::new(Code::FailedPrecondition, message).reason("DURABILITY_NOT_OFFERED"))
        }
        Err(_) => Err(Error::field("topic.durability", format!("{durability} is not a known durability"))),
    }
}

/// A topic as Admin answers it.
pub fn topic(info: TopicInfo) -> v1::Topic {
    let TopicInfo { name, retention, epoch, first, next, bytes, subscriptions, lag, traffic: counted } = info;
    v1::Topic {
        namespace: name.namespace().to_string(),
        topic: name.topic().to_owned(),
        retention: Some(v1::Retention {
            max_bytes: retention.bytes,
            max_messages: retention.messages,
            max_age: Some(duration(retention.age)),
        }),
        durability: v1::topic::Durability::Memory as i32,
        epoch,
        first_sequence: first,
        next_sequence: next,
        retained_bytes: bytes,
        subscriptions: u32::try_from(subscriptions).unwrap_or(u32::MAX),
        lag_messages: lag.messages,
        lag: Some(duration(Duration::from_nanos(lag.nanos))),
        traffic: counted.map(traffic),
    }
}

/// What has gone in and out.
pub fn traffic(counted: Counted) -> v1::Traffic {
    let Counted { published_messages, published_bytes, delivered_messages, delivered_bytes } = counted;
    v1::Traffic { published_messages, published_bytes, delivered_messages, delivered_bytes }
}

/// A subscription as Monitor lists it.
pub fn subscription(info: SubscriptionInfo) -> v1::SubscriptionState {
    let SubscriptionInfo { id, peer, is_cut, next, lag_messages, silent_for, opened } = info;
    v1::SubscriptionState {
        subscription_id: bytes::Bytes::copy_from_slice(id.as_bytes()),
        peer: peer.map_or_else(String::new, |peer| peer.to_string()),
        next_sequence: next,
        lag_messages,
        silent_for: Some(duration(silent_for)),
        open_time_unix_nano: opened,
        cut: is_cut,
    }
}

/// The number of entries of a page.
pub fn page_size(asked: u32) -> usize {
    match asked as usize {
        0 => PAGE_SIZE_DEFAULT,
        asked => asked.min(PAGE_SIZE_MAX),
    }
}

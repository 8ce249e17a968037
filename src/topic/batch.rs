//! A batch: messages encoded and waiting for their order.
//!
//! Everything that does not depend on the order is done here, before any lock: checking, encoding,
//! ids. What is left for the store is to put a sequence and a time in front of each body.

use std::sync::Arc;

use uuid::Uuid;

use super::message::Message;
use super::record::{HEADER_BYTES_MAX, put_varint, varint_bytes};
use super::trace::Traced;
use crate::error::{Error, Result};
use crate::limits::{BATCH_MESSAGES_MAX, ID_BYTES};

/// The trace context for messages that come without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inherited {
    /// The W3C `traceparent`.
    pub traceparent: String,
    /// The W3C `tracestate`; it goes where none is either.
    pub tracestate: String,
}

impl Inherited {
    /// What a message carries: its own, or this.
    fn of<'a>(inherited: Option<&'a Inherited>, message: &'a Message) -> (&'a str, &'a str) {
        let (own, state) = (message.traceparent.as_str(), message.tracestate.as_str());
        match inherited.filter(|_| own.is_empty()) {
            Some(inherited) if state.is_empty() => (&inherited.traceparent, &inherited.tracestate),
            Some(inherited) => (&inherited.traceparent, state),
            None => (own, state),
        }
    }
}

/// The encoded bodies of one or more messages, in order.
#[derive(Debug, Clone)]
pub struct Batch {
    bodies: Vec<u8>,
    /// Where each body ends in `bodies`.
    ends: Vec<u32>,
    /// When it was accepted, unix nanoseconds; `None` for when it is ordered.
    accepted: Option<u64>,
    traced: Option<Arc<Traced>>,
}

impl Batch {
    /// Checks and encodes messages. A violation names the message by its index.
    pub fn encode(messages: &[Message]) -> Result<Batch> {
        Batch::encode_in(messages, None)
    }

    /// The same; messages that come without a context are given this one.
    pub fn encode_in(messages: &[Message], inherited: Option<&Inherited>) -> Result<Batch> {
        let count = messages.len();
        if count == 0 {
            return Err(Error::field("messages", "has to contain at least one message"));
        }
        if count > BATCH_MESSAGES_MAX {
            let description =
                format!("has {count} entries; at most {BATCH_MESSAGES_MAX} are allowed in one batch");
            return Err(Error::field("messages", description));
        }
        for (index, message) in messages.iter().enumerate() {
            message.check().map_err(|error| error.under(&format!("messages[{index}]")))?;
        }
        let mut batch = Batch {
            bodies: Vec::with_capacity(messages.iter().map(|it| body_bytes(it, inherited)).sum()),
            ends: Vec::with_capacity(count),
            accepted: None,
            traced: None,
        };
        let mut ids = Ids::default();
        for message in messages {
            put_body(&mut batch.bodies, message, message.id.unwrap_or_else(|| ids.next()), inherited);
            // A request is at most 64 MiB, so offsets fit.
            batch.ends.push(batch.bodies.len() as u32);
        }
        Ok(batch)
    }

    /// The same batch, which was accepted at this time, unix nanoseconds.
    pub fn accepted_at(self, time: u64) -> Batch {
        Batch { accepted: Some(time), ..self }
    }

    /// The same batch, of which this is traced.
    pub fn traced_by(self, traced: Option<Traced>) -> Batch {
        Batch { traced: traced.map(Arc::new), ..self }
    }

    /// When it was accepted, unix nanoseconds, if that was said.
    pub fn accepted(&self) -> Option<u64> {
        self.accepted
    }

    /// What of it is traced.
    pub fn traced(&self) -> Option<&Arc<Traced>> {
        self.traced.as_ref()
    }

    /// The id of the first message.
    pub fn id(&self) -> Option<Uuid> {
        // The id is the first field of a body: its tag, its length, and itself.
        Uuid::from_slice(self.bodies.get(2..2 + ID_BYTES)?).ok()
    }

    /// Number of messages, at least one.
    #[allow(clippy::len_without_is_empty)] // a batch is never empty
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// An upper bound of the bytes the batch takes in a log.
    pub fn bytes_max(&self) -> usize {
        self.bodies.len() + self.len() * HEADER_BYTES_MAX
    }

    /// The encoded body of each message.
    pub fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let body = &self.bodies[start..*end as usize];
            start = *end as usize;
            body
        })
    }
}

/// Ids for messages without one: the first is a new UUID v7, the others follow it, so that a batch
/// costs one random number and its ids sort in its order.
#[derive(Default)]
struct Ids(Option<Uuid>);

impl Ids {
    fn next(&mut self) -> Uuid {
        const RANDOM_BITS: u128 = (1 << 62) - 1;
        let id = match self.0 {
            None => Uuid::now_v7(),
            Some(last) => {
                let last = last.as_u128();
                Uuid::from_u128(last & !RANDOM_BITS | (last + 1) & RANDOM_BITS)
            }
        };
        self.0 = Some(id);
        id
    }
}

const TAG_ID: u8 = 3 << 3 | 2;
const TAG_KEY: u8 = 4 << 3 | 2;
const TAG_ATTRIBUTE: u8 = 5 << 3 | 2;
const TAG_PAYLOAD: u8 = 6 << 3 | 2;
const TAG_CONTENT_TYPE: u8 = 7 << 3 | 2;
const TAG_TRACEPARENT: u8 = 8 << 3 | 2;
const TAG_TRACESTATE: u8 = 9 << 3 | 2;
const TAG_PUBLISHER: u8 = 10 << 3 | 2;
const TAG_ENTRY_NAME: u8 = 1 << 3 | 2;
const TAG_ENTRY_VALUE: u8 = 2 << 3 | 2;

fn put_body(out: &mut Vec<u8>, message: &Message, id: Uuid, inherited: Option<&Inherited>) {
    let Message { id: _, key, attributes, payload, content_type, traceparent: _, tracestate: _, publisher } =
        message;
    let (traceparent, tracestate) = Inherited::of(inherited, message);
    put_field(out, TAG_ID, id.as_bytes());
    put_field(out, TAG_KEY, key.as_bytes());
    for (name, value) in attributes {
        out.push(TAG_ATTRIBUTE);
        put_varint(out, (field_bytes(name.len()) + field_bytes(value.len())) as u64);
        put_field(out, TAG_ENTRY_NAME, name.as_bytes());
        put_field(out, TAG_ENTRY_VALUE, value.as_bytes());
    }
    put_field(out, TAG_PAYLOAD, payload);
    put_field(out, TAG_CONTENT_TYPE, content_type.as_bytes());
    put_field(out, TAG_TRACEPARENT, traceparent.as_bytes());
    put_field(out, TAG_TRACESTATE, tracestate.as_bytes());
    put_field(out, TAG_PUBLISHER, publisher.as_deref().unwrap_or_default().as_bytes());
}

/// An empty field is left out, as proto3 does.
fn put_field(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    if value.is_empty() {
        return;
    }
    out.push(tag);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn field_bytes(length: usize) -> usize {
    if length == 0 { 0 } else { 1 + varint_bytes(length as u64) + length }
}

/// Bytes of the body of a message.
pub fn body_bytes(message: &Message, inherited: Option<&Inherited>) -> usize {
    let Message { id: _, key, attributes, payload, content_type, traceparent: _, tracestate: _, publisher } =
        message;
    let (traceparent, tracestate) = Inherited::of(inherited, message);
    let attributes = attributes.iter().map(|(name, value)| {
        let entry = field_bytes(name.len()) + field_bytes(value.len());
        1 + varint_bytes(entry as u64) + entry
    });
    field_bytes(16)
        + attributes.sum::<usize>()
        + [key, content_type, traceparent, tracestate, publisher.as_deref().unwrap_or_default()]
            .map(|text: &str| field_bytes(text.len()))
            .iter()
            .sum::<usize>()
        + field_bytes(payload.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_violation_names_the_message_by_its_index() {
        let wrong = Message { key: "k".repeat(5000), ..Default::default() };
        let error = Batch::encode(&[Message::default(), wrong]).unwrap_err();
        assert_eq!(error.violations()[0].field, "messages[1].key");
    }

    #[test]
    fn neither_an_empty_batch_nor_a_huge_one_is_taken() {
        assert!(Batch::encode(&[]).is_err());
        assert!(Batch::encode(&vec![Message::default(); BATCH_MESSAGES_MAX]).is_ok());
        assert!(Batch::encode(&vec![Message::default(); BATCH_MESSAGES_MAX + 1]).is_err());
    }

    #[test]
    fn a_context_is_inherited_only_where_there_is_none() {
        let inherited = Inherited { traceparent: "given".into(), tracestate: "state".into() };
        let of = |traceparent: &str, tracestate: &str| {
            let (traceparent, tracestate) = (traceparent.to_owned(), tracestate.to_owned());
            let message = Message { traceparent, tracestate, ..Default::default() };
            let (parent, state) = Inherited::of(Some(&inherited), &message);
            (parent.to_owned(), state.to_owned())
        };
        let pair = |parent: &str, state: &str| (parent.to_owned(), state.to_owned());
        assert_eq!(of("own", ""), pair("own", ""));
        assert_eq!(of("", ""), pair("given", "state"));
        assert_eq!(of("", "mine"), pair("given", "mine"));
    }

    #[test]
    fn ids_are_distinct_version_seven_and_in_order() {
        let mut ids = Ids::default();
        let made: Vec<Uuid> = (0..1000).map(|_| ids.next()).collect();
        assert!(made.iter().all(|id| id.get_version_num() == 7));
        let mut sorted = made.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted, made);
    }

    #[test]
    fn the_room_that_is_reserved_is_the_room_that_is_used() {
        let message = Message {
            key: "k".into(),
            attributes: [("a".to_owned(), "b".repeat(300)), ("c".to_owned(), String::new())].into(),
            payload: Bytes::from(vec![1; 200]),
            content_type: "text/plain".into(),
            traceparent: "t".into(),
            tracestate: "s".into(),
            publisher: Some("p".into()),
            ..Default::default()
        };
        let batch = Batch::encode(std::slice::from_ref(&message)).unwrap();
        assert_eq!(batch.bodies.len(), body_bytes(&message, None));
        let inherited = Inherited { traceparent: "parent".into(), tracestate: "state".into() };
        let bare = Message { traceparent: String::new(), ..message };
        let batch = Batch::encode_in(std::slice::from_ref(&bare), Some(&inherited)).unwrap();
        assert_eq!(batch.bodies.len(), body_bytes(&bare, Some(&inherited)));
    }
}

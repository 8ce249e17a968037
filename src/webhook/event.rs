//! A message as a request: its headers and its body, all but what is new with each attempt.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::definition::{Definition, Format};
use crate::store::unix_nanos;
use crate::topic::media::{is_json, media_type};
use crate::topic::record::{self, View};
use crate::topic::{Batch, Discontinuity, Message, Position, TopicName, TraceContext, cloudevent};

/// What is percent-encoded in the value of a header, as CloudEvents has it.
const VALUE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');
/// What is percent-encoded in the name of one: all that HTTP does not have there, and the sign itself.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// A message that is to be delivered, with no part of the log.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its place.
    pub position: Position,
    /// `webhook-id`: that of the message, whichever attempt it is.
    pub id: String,
    /// The context in which it was made, where that is one.
    pub created: Option<TraceContext>,
    /// The same as text, with the vendors' part.
    pub trace: (String, String),
    /// What is sent of it.
    pub headers: HeaderMap,
    /// See `headers`.
    pub body: Bytes,
}

/// What an endpoint is told of messages that it does not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Why: a reason of discontinuities, or `gave-up`.
    pub reason: &'static str,
    /// How many, where that is known.
    pub missing: Option<u64>,
    /// The last position in front of them, if there was one.
    pub after: Option<Position>,
    /// Delivery goes on with this one.
    pub next: Position,
}

impl From<Discontinuity> for Notice {
    fn from(gap: Discontinuity) -> Notice {
        Notice {
            reason: gap.reason.as_str(),
            missing: gap.messages(),
            after: gap.last_delivered,
            next: gap.next,
        }
    }
}

impl Notice {
    /// As the value of `bugle-discontinuity`.
    pub fn header(&self) -> HeaderValue {
        let missing = self.missing.map_or("unknown".to_owned(), |count| count.to_string());
        let after = self.after.map(|after| format!("; after={after}")).unwrap_or_default();
        let text = format!("reason={}; missing={missing}{after}; next={}", self.reason, self.next);
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("reason=unknown"))
    }
}

impl Event {
    /// The request for a message of this epoch.
    pub fn of(view: &View<'_>, epoch: u64, definition: &Definition) -> Event {
        let position = Position::new(epoch, view.sequence);
        let mut headers = HeaderMap::new();
        put(&mut headers, "bugle-namespace", definition.topic.namespace().as_str());
        put(&mut headers, "bugle-topic", definition.topic.topic());
        put(&mut headers, "bugle-position", &position.to_string());
        let body = match definition.format {
            Format::Raw => raw(&mut headers, view),
            Format::CloudEvents => binary(&mut headers, view, epoch, &definition.topic),
            Format::CloudEventsJson => structured(&mut headers, view, epoch, &definition.topic),
        };
        Event {
            position,
            id: view.id.to_string(),
            created: TraceContext::parse(view.traceparent),
            trace: (view.traceparent.to_owned(), view.tracestate.to_owned()),
            headers,
            body,
        }
    }
}

impl Event {
    /// An event that is no message of the topic's, to see what an endpoint answers.
    pub fn trial(definition: &Definition) -> Option<Event> {
        let mut record = Vec::new();
        let message = Message {
            content_type: "text/plain".to_owned(),
            payload: Bytes::from_static(b"This is a test of a webhook. It is no message of the topic."),
            attributes: BTreeMap::from([("ce-type".to_owned(), "bugle.webhook.test".to_owned())]),
            ..Message::default()
        };
        if let Ok(batch) = Batch::encode(&[message]) {
            for body in batch.bodies() {
                record::put_header(&mut record, 0, unix_nanos(), body.len());
                record.extend_from_slice(body);
            }
        }
        let view = record::messages(&record).next()?;
        let mut event = Event::of(&view, 0, definition);
        event.headers.insert("bugle-test", HeaderValue::from_static("true"));
        Some(Event { id: format!("test_{}", uuid::Uuid::now_v7()), ..event })
    }
}

/// The payload as the body, and everything else as headers of Bugle's own.
fn raw(headers: &mut HeaderMap, view: &View<'_>) -> Bytes {
    let content_type =
        if view.content_type.is_empty() { "application/octet-stream" } else { view.content_type };
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    put(headers, "bugle-time", &view.time.to_string());
    for (name, value) in [("bugle-key", view.key), ("bugle-publisher", view.publisher)] {
        if !value.is_empty() {
            put(headers, name, value);
        }
    }
    for (name, value) in view.attributes() {
        put(headers, &format!("bugle-attribute-{}", utf8_percent_encode(name, NAME)), value);
    }
    Bytes::copy_from_slice(view.payload)
}

/// CloudEvents in binary mode: the attributes are headers, the payload is the body.
fn binary(headers: &mut HeaderMap, view: &View<'_>, epoch: u64, topic: &TopicName) -> Bytes {
    if let Some(value) = Some(view.content_type).filter(|it| !it.is_empty())
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(CONTENT_TYPE, value);
    }
    for (name, value) in cloudevent::attributes(view, topic, epoch) {
        // The context goes into the header of that name, which the attempt sets.
        if !name.starts_with("trace") {
            put(headers, &format!("{}{name}", cloudevent::PREFIX), &value);
        }
    }
    Bytes::copy_from_slice(view.payload)
}

/// CloudEvents in structured mode: one object, whose data is JSON, text, or bytes in base64.
fn structured(headers: &mut HeaderMap, view: &View<'_>, epoch: u64, topic: &TopicName) -> Bytes {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
    let mut object = serde_json::Map::new();
    for (name, value) in cloudevent::attributes(view, topic, epoch) {
        object.insert(name.into_owned(), value.into_owned().into());
    }
    if !view.content_type.is_empty() {
        object.insert("datacontenttype".to_owned(), view.content_type.into());
    }
    let media = media_type(view.content_type).to_ascii_lowercase();
    let json = if is_json(&media) { serde_json::from_slice::<Value>(view.payload).ok() } else { None };
    let text = || view.text().filter(|_| media.starts_with("text/")).map(Value::from);
    match json.or_else(text) {
        Some(data) => object.insert("data".to_owned(), data),
        None => object.insert("data_base64".to_owned(), STANDARD.encode(view.payload).into()),
    };
    Bytes::from(Value::Object(object).to_string())
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    let value = HeaderValue::try_from(utf8_percent_encode(value, VALUE).to_string());
    if let (Ok(name), Ok(value)) = (name, value) {
        headers.append(name, value);
    }
}

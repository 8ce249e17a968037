//! What a message, a notice and a receipt are in JSON: the types that every answer of HTTP is made of.
//!
//! A payload is what it is where JSON can say it: text under a text type or none, a JSON value under a
//! JSON type; anything else is base64. Fields that are empty are left out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::broker::Delivery;
use crate::topic::media::media_type;
use crate::topic::record::View;
use crate::topic::{Discontinuity, Position, TopicName, cloudevent};

/// A message as it is delivered.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message<'a> {
    /// Which history of the topic.
    pub epoch: u64,
    /// The place in it.
    pub sequence: u64,
    /// When it was ordered, RFC 3339.
    pub time: String,
    /// A UUID.
    pub id: String,
    /// Ordering or partition key.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub key: &'a str,
    /// Small headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<&'a str, &'a str>,
    /// Media type of the payload.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub content_type: &'a str,
    /// Who published it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub publisher: &'a str,
    /// W3C creation context.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub traceparent: &'a str,
    /// Vendors' part of the context.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub tracestate: &'a str,
    /// The content.
    #[serde(flatten)]
    pub payload: Payload<'a>,
}

/// A message as a CloudEvent in JSON.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CloudEvent<'a> {
    #[serde(flatten)]
    attributes: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    datacontenttype: &'a str,
    #[serde(flatten)]
    data: Option<EventData<'a>>,
}

/// What the data of an event is in JSON.
#[derive(Debug, Serialize, JsonSchema)]
enum EventData<'a> {
    #[serde(rename = "data")]
    Text(&'a str),
    #[serde(rename = "data")]
    Value(&'a RawValue),
    #[serde(rename = "data_base64")]
    Base64(String),
}

impl<'a> CloudEvent<'a> {
    /// The event that a message of this topic is.
    pub fn of(view: &View<'a>, topic: &TopicName, epoch: u64) -> CloudEvent<'a> {
        // Data without a type is JSON to a reader of events, so what is text has to say so.
        let typed = if view.content_type.is_empty() { "text/plain" } else { view.content_type };
        let data = match Payload::of(view.payload, view.content_type) {
            Payload::Text("") => None,
            Payload::Text(text) => Some(EventData::Text(text)),
            Payload::Data(value) => Some(EventData::Value(value)),
            Payload::Base64(text) => Some(EventData::Base64(text)),
        };
        let datacontenttype =
            if matches!(data, Some(EventData::Text(_))) { typed } else { view.content_type };
        let attributes = cloudevent::attributes(view, topic, epoch).into_iter().collect();
        CloudEvent { attributes, datacontenttype, data }
    }
}

/// What a payload is in JSON.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Payload<'a> {
    /// Text.
    Text(&'a str),
    /// A JSON value.
    Data(&'a RawValue),
    /// Anything else, in base64.
    Base64(String),
}

impl<'a> Message<'a> {
    /// A message of this history.
    pub fn of(view: &View<'a>, epoch: u64) -> Message<'a> {
        Message {
            epoch,
            sequence: view.sequence,
            time: time(view.time),
            id: view.id.to_string(),
            key: view.key,
            attributes: view.attributes().collect(),
            content_type: view.content_type,
            publisher: view.publisher,
            traceparent: view.traceparent,
            tracestate: view.tracestate,
            payload: Payload::of(view.payload, view.content_type),
        }
    }
}

impl<'a> Payload<'a> {
    /// A payload of this media type.
    pub fn of(payload: &'a [u8], content_type: &str) -> Payload<'a> {
        let (kind, text) = (Kind::of(content_type), std::str::from_utf8(payload));
        let data = || serde_json::from_slice(payload).ok().map(Payload::Data);
        let found = match (kind, text) {
            (Kind::Json, _) => data(),
            (Kind::Text, Ok(text)) => Some(Payload::Text(text)),
            (Kind::Text, Err(_)) | (Kind::Other, _) => None,
        };
        found.unwrap_or_else(|| Payload::Base64(STANDARD.encode(payload)))
    }
}

/// What a media type says of how bytes can be written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Json,
    Other,
}

impl Kind {
    fn of(content_type: &str) -> Kind {
        let media = media_type(content_type);
        let is = |name: &str| media.eq_ignore_ascii_case(name);
        let ends = |end: &str| media.len() > end.len() && media.to_ascii_lowercase().ends_with(end);
        if media.is_empty() || media.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/")) {
            Kind::Text
        } else if is("application/json") || ends("+json") {
            Kind::Json
        } else {
            Kind::Other
        }
    }
}

/// A time of unix nanoseconds as RFC 3339 has it.
pub fn time(unix_nanos: u64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(unix_nanos));
    time.map_or_else(|_| unix_nanos.to_string(), |time| time.to_string())
}

/// What is told beside messages.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Notice {
    /// The first of all.
    Opened {
        /// The subscription's id, also in logs.
        subscription: String,
        /// The first position it can deliver.
        next: String,
    },
    /// Messages are missing.
    Discontinuity {
        /// Why.
        reason: &'static str,
        /// The last position that was delivered.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_delivered: Option<String>,
        /// Delivery goes on with this one.
        next: String,
    },
    /// The newest message has been reached.
    CaughtUp {
        /// It.
        newest: String,
    },
    /// The server is going away; the end follows.
    Draining {
        /// Within this time.
        grace_seconds: f64,
    },
}

impl Notice {
    /// The notice that a delivery is, with its name and the position behind which a reader goes on that has
    /// seen it; nothing for messages and heartbeats.
    pub fn of(delivery: &Delivery) -> Option<(Notice, Cow<'static, str>, Option<Position>)> {
        let before = |next: Position| Some(Position::new(next.epoch, next.sequence.saturating_sub(1)));
        Some(match delivery {
            Delivery::Messages(_) | Delivery::Heartbeat(..) => return None,
            Delivery::Opened { id, next } => {
                let notice = Notice::Opened { subscription: id.to_string(), next: next.to_string() };
                (notice, "opened".into(), before(*next))
            }
            Delivery::Discontinuity(Discontinuity { reason, last_delivered, next }) => {
                let (reason, last_delivered) = (reason.as_str(), last_delivered.map(|it| it.to_string()));
                let notice = Notice::Discontinuity { reason, last_delivered, next: next.to_string() };
                (notice, "discontinuity".into(), before(*next))
            }
            Delivery::CaughtUp(newest) => {
                (Notice::CaughtUp { newest: newest.to_string() }, "caught-up".into(), None)
            }
            Delivery::Draining(grace) => {
                (Notice::Draining { grace_seconds: grace.as_secs_f64() }, "draining".into(), None)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_written_as_what_it_is_and_as_base64_where_json_cannot() {
        for (payload, content_type, expected) in [
            (&b"hello"[..], "", r#"{"text":"hello"}"#),
            (b"hello", "text/plain; charset=utf-8", r#"{"text":"hello"}"#),
            (b"{\"a\": 1}", "application/json", r#"{"data":{"a": 1}}"#),
            (b"[1]", "application/vnd.x+JSON", r#"{"data":[1]}"#),
            (b"{\"a\":", "application/json", r#"{"base64":"eyJhIjo="}"#),
            (b"hello", "application/octet-stream", r#"{"base64":"aGVsbG8="}"#),
            (&[0xff, 0x00], "text/plain", r#"{"base64":"/wA="}"#),
            (b"", "", r#"{"text":""}"#),
        ] {
            let json = serde_json::to_string(&Payload::of(payload, content_type)).unwrap();
            assert_eq!(json, expected, "{content_type}");
        }
    }

    #[test]
    fn times_are_written_to_the_nanosecond() {
        assert_eq!(time(1_764_072_543_000_000_001), "2025-11-25T12:09:03.000000001Z");
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
    }
}

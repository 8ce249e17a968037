//! A message as a publisher makes it and as a subscriber gets it, and the receipt for it.
//!
//! It holds the wire form itself, so that neither way costs a conversion.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use uuid::Uuid;

use crate::proto::v1 as wire;
use crate::topic::Position;

/// A message: a payload and what is said about it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    pub(super) wire: wire::Message,
}

impl Message {
    /// A message with this payload.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Message { wire: wire::Message { payload: payload.into(), ..wire::Message::default() } }
    }

    /// Sets the ordering key.
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.wire.key = key.into();
        self
    }

    /// Adds one attribute: a small header for filters and routing.
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.wire.attributes.insert(name.into(), value.into());
        self
    }

    /// Sets the id; without one the server makes a UUID v7.
    pub fn with_id(mut self, id: Uuid) -> Self {
        self.wire.id = Bytes::copy_from_slice(id.as_bytes());
        self
    }

    /// Sets the media type of the payload.
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.wire.content_type = content_type.into();
        self
    }

    /// Sets the W3C trace context in which the message was made; it is carried unchanged. A message
    /// without one gets that of its `send` span, where the client is traced.
    pub fn with_trace(mut self, traceparent: impl Into<String>, tracestate: impl Into<String>) -> Self {
        self.wire.traceparent = traceparent.into();
        self.wire.tracestate = tracestate.into();
        self
    }

    /// The payload.
    pub fn payload(&self) -> &Bytes {
        &self.wire.payload
    }

    /// The ordering key, or "".
    pub fn key(&self) -> &str {
        &self.wire.key
    }

    /// The attributes, ordered by name.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.wire.attributes
    }

    /// The id; `None` before the server gave one.
    pub fn id(&self) -> Option<Uuid> {
        Uuid::from_slice(&self.wire.id).ok()
    }

    /// The media type of the payload, or "".
    pub fn content_type(&self) -> &str {
        &self.wire.content_type
    }

    /// The W3C `traceparent`, or "".
    pub fn traceparent(&self) -> &str {
        &self.wire.traceparent
    }

    /// The W3C `tracestate`, or "".
    pub fn tracestate(&self) -> &str {
        &self.wire.tracestate
    }

    /// Who published it, or "" where authentication is off.
    pub fn publisher(&self) -> &str {
        &self.wire.publisher
    }

    /// About how much memory the message takes, bytes: what limits of the publisher count.
    pub(super) fn cost(&self) -> usize {
        let message = &self.wire;
        let attributes: usize =
            message.attributes.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        let texts = message.key.len() + message.content_type.len();
        let trace = message.traceparent.len() + message.tracestate.len();
        // The fields' tags and lengths and the id are less than this.
        32 + message.payload.len() + attributes + texts + trace
    }
}

impl<T: Into<Bytes>> From<T> for Message {
    fn from(payload: T) -> Self {
        Message::new(payload)
    }
}

/// Where a published message stands: the server has accepted it with the topic's durability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Which history of the topic.
    pub epoch: u64,
    /// The place in it.
    pub sequence: u64,
}

impl Receipt {
    /// The position of the message: subscribe after it, or compare it with a delivery's.
    pub fn position(&self) -> Position {
        Position::new(self.epoch, self.sequence)
    }
}

impl std::fmt::Display for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.position().fmt(f)
    }
}

/// The time for nanoseconds since the Unix epoch.
pub(super) fn time(unix_nano: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_nano)
}

/// Nanoseconds since the Unix epoch; times before it count as its beginning.
pub(super) fn unix_nano(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

//! A message as its publisher gives it, and what it may contain.
//!
//! Made by the APIs from their own wire types, encoded by [`Batch`](super::Batch). What a store
//! adds (sequence, time) is not here: see `record`.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::limits::{
    ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX, ATTRIBUTES_MAX, CONTENT_TYPE_BYTES_MAX, ID_BYTES,
    KEY_BYTES_MAX, TRACEPARENT_BYTES_MAX, TRACESTATE_BYTES_MAX,
};

/// One message, before it has a place in a topic.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The publisher's id; without one the message gets a UUID v7.
    pub id: Option<Uuid>,
    /// Ordering or partition key; empty for none.
    pub key: String,
    /// Small headers.
    pub attributes: BTreeMap<String, String>,
    /// The content, any bytes.
    pub payload: Bytes,
    /// Media type of the payload; empty for none.
    pub content_type: String,
    /// W3C creation context, carried unchanged; empty for none.
    pub traceparent: String,
    /// W3C vendor part of the context, carried unchanged; empty for none.
    pub tracestate: String,
    /// The authenticated publisher; set by the API, never by the client.
    pub publisher: Option<Arc<str>>,
}

impl Message {
    /// Reads the id of a request: empty for none, otherwise the 16 bytes of a UUID.
    pub fn parse_id(id: &[u8]) -> Result<Option<Uuid>> {
        if id.is_empty() {
            return Ok(None);
        }
        let length = id.len();
        let bytes = <[u8; ID_BYTES]>::try_from(id).map_err(|_| {
            Error::field("id", format!("has {length} bytes; a UUID has 16, or leave it empty"))
        })?;
        Ok(Some(Uuid::from_bytes(bytes)))
    }

    /// Bytes of it in a log, without its place and what it inherits.
    pub fn bytes(&self) -> usize {
        super::batch::body_bytes(self, None)
    }

    /// Checks every field against its limit.
    pub fn check(&self) -> Result<()> {
        at_most("key", self.key.len(), KEY_BYTES_MAX)?;
        at_most("content_type", self.content_type.len(), CONTENT_TYPE_BYTES_MAX)?;
        at_most("traceparent", self.traceparent.len(), TRACEPARENT_BYTES_MAX)?;
        at_most("tracestate", self.tracestate.len(), TRACESTATE_BYTES_MAX)?;
        if self.attributes.is_empty() {
            return Ok(());
        }
        let count = self.attributes.len();
        if count > ATTRIBUTES_MAX {
            return Err(Error::field(
                "attributes",
                format!("has {count} entries; at most {ATTRIBUTES_MAX} are allowed"),
            ));
        }
        for (name, value) in &self.attributes {
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(Error::field("attributes", "names have to be given, without control characters"));
            }
            let field = |part: &str| format!("attributes[{:.40}].{part}", name);
            at_most(&field("name"), name.len(), ATTRIBUTE_NAME_BYTES_MAX)?;
            at_most(&field("value"), value.len(), ATTRIBUTE_VALUE_BYTES_MAX)?;
        }
        Ok(())
    }
}

fn at_most(field: &str, bytes: usize, bytes_max: usize) -> Result<()> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(Error::field(field, format!("has {bytes} bytes; at most {bytes_max} are allowed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: Message) -> String {
        message.check().unwrap_err().violations()[0].field.clone()
    }

    #[test]
    fn an_id_is_sixteen_bytes_or_none() {
        assert_eq!(Message::parse_id(&[]).unwrap(), None);
        assert_eq!(Message::parse_id(&[7; 16]).unwrap(), Some(Uuid::from_bytes([7; 16])));
        for length in [1, 15, 17, 32] {
            assert!(Message::parse_id(&vec![7; length]).is_err());
        }
    }

    #[test]
    fn every_field_has_a_limit_and_the_refusal_names_it() {
        let text = |bytes: usize| "x".repeat(bytes);
        assert!(Message::default().check().is_ok());
        assert_eq!(refused(Message { key: text(KEY_BYTES_MAX + 1), ..Default::default() }), "key");
        assert_eq!(
            refused(Message { content_type: text(CONTENT_TYPE_BYTES_MAX + 1), ..Default::default() }),
            "content_type"
        );
        assert_eq!(
            refused(Message { traceparent: text(TRACEPARENT_BYTES_MAX + 1), ..Default::default() }),
            "traceparent"
        );
        assert_eq!(
            refused(Message { tracestate: text(TRACESTATE_BYTES_MAX + 1), ..Default::default() }),
            "tracestate"
        );
        let attributes = |name: String, value: String| Message {
            attributes: BTreeMap::from([(name, value)]),
            ..Default::default()
        };
        assert!(attributes(text(ATTRIBUTE_NAME_BYTES_MAX), text(ATTRIBUTE_VALUE_BYTES_MAX)).check().is_ok());
        assert_eq!(refused(attributes(String::new(), text(1))), "attributes");
        assert_eq!(refused(attributes("a\nb".into(), text(1))), "attributes");
        assert!(refused(attributes(text(ATTRIBUTE_NAME_BYTES_MAX + 1), text(1))).ends_with(".name"));
        assert!(refused(attributes("a".into(), text(ATTRIBUTE_VALUE_BYTES_MAX + 1))).ends_with(".value"));
        let many = (0..=ATTRIBUTES_MAX).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(refused(Message { attributes: many, ..Default::default() }), "attributes");
    }
}

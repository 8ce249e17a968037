//! Messages as they are published in JSON: the words of those that are delivered, without what the server
//! decides. What stands there of that is passed over, so that a message can be published as it came.
//!
//! CloudEvents are read here too, in their structured form; one parser for both, which never makes more of a
//! body than a batch may have messages.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::limits::BATCH_MESSAGES_MAX;
use crate::topic::media::is_json;
use crate::topic::{Message, cloudevent};

/// A message in JSON.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Written {
    /// A UUID; without one the message gets one.
    id: Option<String>,
    key: String,
    attributes: BTreeMap<String, String>,
    content_type: String,
    traceparent: String,
    tracestate: String,
    /// The content, one of these.
    text: Option<String>,
    data: Option<Box<RawValue>>,
    base64: Option<String>,
    /// What the server decides.
    #[serde(rename = "epoch")]
    #[schemars(with = "Option<serde_json::Value>")]
    _epoch: IgnoredAny,
    #[serde(rename = "sequence")]
    #[schemars(with = "Option<serde_json::Value>")]
    _sequence: IgnoredAny,
    #[serde(rename = "time")]
    #[schemars(with = "Option<serde_json::Value>")]
    _time: IgnoredAny,
    #[serde(rename = "publisher")]
    #[schemars(with = "Option<serde_json::Value>")]
    _publisher: IgnoredAny,
}

/// A CloudEvent in JSON.
pub type Event = BTreeMap<String, Box<RawValue>>;

impl Written {
    /// The message. Errors: more than one content, or one that is no base64.
    pub fn message(self) -> Result<Message> {
        let Written {
            id,
            key,
            attributes,
            mut content_type,
            traceparent,
            tracestate,
            text,
            data,
            base64,
            ..
        } = self;
        let payload = match (text, data, base64) {
            (None, None, None) => Bytes::new(),
            (Some(text), None, None) => text.into(),
            (None, Some(data), None) => {
                if content_type.is_empty() {
                    content_type = "application/json".to_owned();
                }
                String::from(Box::<str>::from(data)).into()
            }
            (None, None, Some(text)) => decoded("base64", &text)?,
            _ => return Err(Error::field("text", "has to be the only one of text, data and base64")),
        };
        let id = id.map(|id| id.parse::<Uuid>()).transpose();
        let id = id.map_err(|_| Error::field("id", "has to be a UUID, or be left out"))?;
        let publisher = None;
        Ok(Message { id, key, attributes, payload, content_type, traceparent, tracestate, publisher })
    }
}

/// The message that a CloudEvent in JSON is. Errors: what of it is wrong.
pub fn event(event: Event) -> Result<Message> {
    let (mut attributes, mut data, mut base64) = (Vec::new(), None, None);
    for (name, value) in event {
        match name.as_str() {
            "data" if value.get() == "null" => {}
            "data" => data = Some(value),
            "data_base64" => base64 = Some(value),
            _ => attributes.extend(plain(&name, value.get())?.map(|value| (name, value))),
        }
    }
    let named = attributes.iter().find(|(name, _)| name == "datacontenttype");
    let content_type = named.map_or("", |(_, value)| value).to_owned();
    let is_text = !content_type.is_empty() && !is_json(&content_type);
    let (payload, implied) = match (data, base64) {
        (None, None) => (Bytes::new(), ""),
        (Some(_), Some(_)) => {
            return Err(Error::field("data", "has to be the only one of data and data_base64"));
        }
        (None, Some(text)) => (decoded("data_base64", &string("data_base64", &text)?)?, ""),
        (Some(data), None) => match serde_json::from_str::<String>(data.get()) {
            Ok(text) if is_text => (text.into(), ""),
            _ => (String::from(Box::<str>::from(data)).into(), "application/json"),
        },
    };
    let content_type = if content_type.is_empty() { implied.to_owned() } else { content_type };
    cloudevent::message(attributes, content_type, payload)
}

/// The value of an attribute as text; nothing for null.
fn plain(name: &str, value: &str) -> Result<Option<String>> {
    match value.as_bytes().first() {
        Some(b'"') => serde_json::from_str(value).map(Some).map_err(|_| Error::field(name, "is no text")),
        Some(b'n') => Ok(None),
        Some(b'{' | b'[') => {
            Err(Error::field(format!("{name:.40}"), "has to be text, a number or a boolean"))
        }
        _ => Ok(Some(value.to_owned())),
    }
}

fn string(field: &str, value: &RawValue) -> Result<String> {
    serde_json::from_str(value.get()).map_err(|_| Error::field(field, "has to be text"))
}

fn decoded(field: &str, text: &str) -> Result<Bytes> {
    let wrong = |error| Error::field(field, format!("is no base64: {error}"));
    STANDARD.decode(text).map(Bytes::from).map_err(wrong)
}

/// One value of a body. Errors: it is not the JSON that it has to be.
pub fn one<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    serde_json::from_slice::<Object<T>>(body).map(|Object(value)| value).map_err(not_json)
}

/// The values of a body, as many as a batch may have. Errors: it is not the JSON that it has to be.
pub fn many<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<Vec<T>> {
    serde_json::from_slice::<Few<T>>(body).map(|Few(values)| values).map_err(not_json)
}

fn not_json(error: serde_json::Error) -> Error {
    Error::field("body", format!("is not the JSON that it has to be: {error}")).reason("NOT_JSON")
}

/// A value that is an object: types with fields are read from lists too, where nobody looks.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Named(PhantomData))
    }
}

struct Named<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Named<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// A list that is not read beyond what may be in it.
struct Few<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Counted(PhantomData))
    }
}

struct Counted<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Counted<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of messages, at most {BATCH_MESSAGES_MAX}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(Object(value)) = list.next_element()? {
            if values.len() == BATCH_MESSAGES_MAX {
                return Err(serde::de::Error::invalid_length(values.len() + 1, &self));
            }
            values.push(value);
        }
        Ok(Few(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str) -> Result<Message> {
        one::<Written>(json.as_bytes())?.message()
    }

    #[test]
    fn a_message_is_read_with_its_content_as_text_json_or_bytes() {
        let text =
            written(r#"{"text":"hé","key":"k","attributes":{"a":"b"},"epoch":1,"sequence":2}"#).unwrap();
        assert_eq!((&*text.payload, text.key.as_str()), ("hé".as_bytes(), "k"));
        assert_eq!(text.attributes["a"], "b");
        let data = written(r#"{"data":{"a": 1.00}}"#).unwrap();
        assert_eq!((&*data.payload, data.content_type.as_str()), (&b"{\"a\": 1.00}"[..], "application/json"));
        let bytes = written(r#"{"base64":"/wA=","contentType":"x/y"}"#).unwrap();
        assert_eq!((&*bytes.payload, bytes.content_type.as_str()), (&[0xff, 0][..], "x/y"));
        for wrong in [
            r#"{"text":"a","data":1}"#,
            r#"{"base64":"!"}"#,
            r#"{"id":"7"}"#,
            r#"{"texts":"a"}"#,
            r#"{"text":1}"#,
            r#"{"text":"a""#,
            "[]",
            "",
        ] {
            assert!(written(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_event_is_read_with_what_json_makes_of_its_data() {
        let read = |rest: &str| {
            let json = format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t"{rest}}}"#);
            event(one(json.as_bytes())?)
        };
        let kept = read(r#","data":{"a":[1]},"n":7,"gone":null"#).unwrap();
        assert_eq!((&*kept.payload, kept.content_type.as_str()), (&b"{\"a\":[1]}"[..], "application/json"));
        assert_eq!((kept.attributes["ce-n"].as_str(), kept.attributes.contains_key("ce-gone")), ("7", false));
        let text = read(r#","datacontenttype":"text/plain","data":"hi""#).unwrap();
        assert_eq!((&*text.payload, text.content_type.as_str()), (&b"hi"[..], "text/plain"));
        assert_eq!(&*read(r#","data":"hi""#).unwrap().payload, b"\"hi\"");
        assert_eq!(&*read(r#","data_base64":"/wA=""#).unwrap().payload, [0xff, 0]);
        assert!(read(r#","data":1,"data_base64":"/wA=""#).is_err());
        assert!(read(r#","x":{}"#).is_err());
    }

    #[test]
    fn a_list_is_not_read_beyond_what_a_batch_may_have() {
        let body = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(many::<Written>(body(BATCH_MESSAGES_MAX).as_bytes()).unwrap().len(), BATCH_MESSAGES_MAX);
        let error = many::<Written>(body(BATCH_MESSAGES_MAX + 1).as_bytes()).unwrap_err();
        assert!(error.message().contains("at most 10000"), "{error}");
    }
}

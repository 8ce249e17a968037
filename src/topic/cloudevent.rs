//! Messages as CloudEvents 1.0, and back: which attribute of an event is which part of a message.
//!
//! | event | message |
//! | --- | --- |
//! | `id` | the id where that is a UUID as it is usually written, or else the attribute `ce-id` |
//! | `type`, `source`, `subject`, `time`, other extensions | attributes `ce-type`, `ce-source`, … |
//! | `datacontenttype`, data | content type, payload |
//! | `partitionkey`, `traceparent`, `tracestate` | key, context of creation |
//!
//! How attributes and data are written (headers, JSON) is the business of whoever sends them. A message that
//! never was an event becomes one of the type [`TYPE`], whose source is its topic. Other attributes of a
//! message become extensions where their names can be names of those; its place is `bugleposition`.

use std::borrow::Cow;

use bytes::Bytes;
use uuid::Uuid;

use super::message::Message;
use super::name::TopicName;
use super::position::Position;
use super::record::View;
use crate::error::{Error, Result};

/// The version of CloudEvents that is spoken.
pub const SPECVERSION: &str = "1.0";
/// The type of an event that was published as a message.
pub const TYPE: &str = "io.bugle.message";
/// What stands before the name of an event's attribute where it is one of a message, or a header.
pub const PREFIX: &str = "ce-";

/// An attribute of an event: its name, without a prefix, and its value.
pub type Attribute<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The attributes of the event that this message is, without `datacontenttype`: that is its content type.
/// `specversion`, `id`, `source`, `type` and `time` are always there, each once.
pub fn attributes<'a>(view: &View<'a>, topic: &TopicName, epoch: u64) -> Vec<Attribute<'a>> {
    let own =
        |name: &'static str| view.attributes().find(|(known, _)| known.strip_prefix(PREFIX) == Some(name));
    let or = |name, other: &dyn Fn() -> String| -> Attribute<'a> {
        let value = own(name).map_or_else(|| other().into(), |(_, value)| value.into());
        (name.into(), value)
    };
    let mut all: Vec<Attribute<'a>> = vec![
        ("specversion".into(), SPECVERSION.into()),
        or("id", &|| view.id.to_string()),
        or("source", &|| source(topic)),
        or("type", &|| TYPE.to_owned()),
        or("time", &|| rfc3339(view.time)),
    ];
    let carried =
        [("partitionkey", view.key), ("traceparent", view.traceparent), ("tracestate", view.tracestate)];
    let carried = carried.into_iter().filter(|(_, value)| !value.is_empty());
    all.extend(carried.map(|(name, value)| (name.into(), value.into())));
    all.push(("bugleposition".into(), Position::new(epoch, view.sequence).to_string().into()));
    // Those that were an event's first: they are what its publisher called by these names.
    let events = view.attributes().filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value)));
    let others = view.attributes().filter(|(name, _)| !name.starts_with(PREFIX));
    for (name, value) in events.chain(others) {
        if is_name(name) && !is_reserved(name) && all.iter().all(|(known, _)| known != name) {
            all.push((name.into(), value.into()));
        }
    }
    all
}

/// The message that an event is. Errors: it is no event of this version, with the attribute that is wrong.
pub fn message(attributes: Vec<(String, String)>, content_type: String, payload: Bytes) -> Result<Message> {
    let mut message = Message { content_type, payload, ..Message::default() };
    let mut seen = [("specversion", false), ("id", false), ("source", false), ("type", false)];
    for (name, value) in attributes {
        if !is_name(&name) {
            let description = "names of CloudEvents' attributes are lower-case letters and digits";
            return Err(Error::field(format!("{name:.40}"), description));
        }
        if let Some((_, is_seen)) = seen.iter_mut().find(|(known, _)| *known == name) {
            *is_seen = true;
            if value.is_empty() {
                return Err(Error::field(name, "has to be given in a CloudEvent"));
            }
        }
        match name.as_str() {
            "specversion" if value == SPECVERSION => {}
            "specversion" => {
                return Err(Error::field(
                    name,
                    format!("is {value:.20?}; only {SPECVERSION:?} is understood"),
                ));
            }
            "id" => match Uuid::parse_str(&value).ok().filter(|id| id.to_string() == value) {
                Some(id) => message.id = Some(id),
                None => put(&mut message, &name, value),
            },
            "datacontenttype" => message.content_type = value,
            "partitionkey" => message.key = value,
            "traceparent" => message.traceparent = value,
            "tracestate" => message.tracestate = value,
            // Where it was in another bus, or in this one before.
            "bugleposition" => {}
            _ => put(&mut message, &name, value),
        }
    }
    match seen.into_iter().find(|(_, is_seen)| !is_seen) {
        Some((missing, _)) => Err(Error::field(missing, "has to be given in a CloudEvent")),
        None => Ok(message),
    }
}

fn put(message: &mut Message, name: &str, value: String) {
    message.attributes.insert(format!("{PREFIX}{name}"), value);
}

/// Whether an attribute of an event can be called so.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Whether it means something that an attribute of a message does not say.
fn is_reserved(name: &str) -> bool {
    ["data", "datacontenttype", "specversion"].contains(&name)
}

/// Where messages of a topic come from: a reference of a URI.
fn source(topic: &TopicName) -> String {
    let mut text = String::from("/");
    for byte in topic.namespace().as_str().bytes().chain(*b"/").chain(topic.topic().bytes()) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// A time of unix nanoseconds as RFC 3339 has it.
pub fn rfc3339(unix_nanos: u64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(unix_nanos));
    time.map_or_else(|_| unix_nanos.to_string(), |time| format!("{time:.9}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::{Batch, Budget, Log, Read, Retention, Weight, record};

    fn event(message: Message) -> Vec<(String, String)> {
        let mut log = Log::new(7, 1, Retention::default(), Weight::new(Budget::new(usize::MAX)));
        log.append(&Batch::encode(&[message]).unwrap(), 1).unwrap();
        let Read::Run(run) = log.read(1, usize::MAX) else { panic!("nothing to read") };
        let slice = run.slices.concat();
        let view = record::messages(&slice).next().unwrap();
        let topic = TopicName::parse("eu", "orders/a b").unwrap();
        let owned = |(name, value): Attribute<'_>| (name.into_owned(), value.into_owned());
        attributes(&view, &topic, 7).into_iter().map(owned).collect()
    }

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn get<'a>(all: &'a [(String, String)], name: &str) -> Option<&'a str> {
        all.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn what_comes_as_an_event_goes_out_as_the_same_event() {
        let sent = pairs(&[
            ("specversion", "1.0"),
            ("id", "not-a-uuid"),
            ("source", "/shop"),
            ("type", "order.created"),
            ("subject", "7"),
            ("time", "2026-01-31T12:00:00Z"),
            ("partitionkey", "k"),
            ("tenant", "blue"),
        ]);
        let message = message(sent.clone(), "application/json".into(), "{}".into()).unwrap();
        assert_eq!((message.id, message.key.as_str()), (None, "k"));
        assert_eq!(message.content_type, "application/json");
        let got = event(message);
        for (name, value) in &sent {
            assert_eq!(get(&got, name), Some(value.as_str()), "{name}");
        }
        assert_eq!(get(&got, "bugleposition"), Some("7:1"));
        assert_eq!(got.len(), sent.len() + 1);
    }

    #[test]
    fn an_id_that_is_a_uuid_is_the_messages() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let with = |id| pairs(&[("specversion", "1.0"), ("id", id), ("source", "s"), ("type", "t")]);
        let one = message(with(id), String::new(), Bytes::new()).unwrap();
        assert!(one.id.is_some() && !one.attributes.contains_key("ce-id"));
        assert_eq!(get(&event(one), "id"), Some(id));
        let loud = id.to_uppercase();
        let other = message(with(&loud), String::new(), Bytes::new()).unwrap();
        assert_eq!((other.id, get(&event(other), "id")), (None, Some(&*loud)));
    }

    #[test]
    fn a_plain_message_is_an_event_of_its_topic() {
        let attributes = [("colour", "red"), ("Not a name", "x"), ("id", "y"), ("data", "z")];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let got = event(Message { attributes, ..Message::default() });
        assert_eq!(get(&got, "type"), Some(TYPE));
        assert_eq!(get(&got, "source"), Some("/eu/orders/a%20b"));
        assert_eq!(get(&got, "colour"), Some("red"));
        assert_ne!(get(&got, "id"), Some("y"));
        assert_eq!((get(&got, "Not a name"), get(&got, "data")), (None, None));
    }

    #[test]
    fn what_is_no_event_is_refused_with_what_is_wrong() {
        let whole = [("specversion", "1.0"), ("id", "1"), ("source", "s"), ("type", "t")];
        for (place, (name, _)) in whole.iter().enumerate() {
            let mut part = whole.to_vec();
            part.remove(place);
            for broken in [part.clone(), [&part[..], &[(*name, "")]].concat()] {
                let error = message(pairs(&broken), String::new(), Bytes::new()).unwrap_err();
                assert_eq!(error.violations()[0].field, *name);
            }
        }
        let old = message(pairs(&[("specversion", "0.3")]), String::new(), Bytes::new()).unwrap_err();
        assert!(old.message().contains("0.3"));
        assert!(message(pairs(&[("Type", "x")]), String::new(), Bytes::new()).is_err());
    }

    #[test]
    fn times_are_right_on_the_days_that_are_hard() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_798_761_599, "2026-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(rfc3339(seconds * 1_000_000_000 + 7), format!("{expected}.000000007Z"));
        }
    }
}

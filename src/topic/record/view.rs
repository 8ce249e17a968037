//! The messages of a run of records, read where they lie: what a dialect with an encoding of its own
//! makes its messages of. Nothing is copied.

use uuid::Uuid;

use super::{Header, headers, varint};

/// A message in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View<'a> {
    /// Its place.
    pub sequence: u64,
    /// When it was ordered, unix nanoseconds.
    pub time: u64,
    /// Its id.
    pub id: Uuid,
    /// Its key; empty for none.
    pub key: &'a str,
    /// Its content.
    pub payload: &'a [u8],
    /// Media type of the content; empty for none.
    pub content_type: &'a str,
    /// W3C creation context; empty for none.
    pub traceparent: &'a str,
    /// Vendors' part of the context; empty for none.
    pub tracestate: &'a str,
    /// Who published it; empty where nobody had to say so.
    pub publisher: &'a str,
    body: &'a [u8],
}

const ID: u8 = 3;
const KEY: u8 = 4;
const ATTRIBUTE: u8 = 5;
const PAYLOAD: u8 = 6;
const CONTENT_TYPE: u8 = 7;
const TRACEPARENT: u8 = 8;
const TRACESTATE: u8 = 9;
const PUBLISHER: u8 = 10;

/// The messages of a run of records, as far as whole records go.
pub fn messages(run: &[u8]) -> impl Iterator<Item = View<'_>> {
    headers(run).filter_map(|(offset, header)| View::of(run.get(offset..offset + header.bytes)?, header))
}

impl<'a> View<'a> {
    /// The message of this record, whose header this is.
    fn of(record: &'a [u8], header: Header) -> Option<View<'a>> {
        let Header { sequence, time, bytes: _ } = header;
        // The tag, the length, the sequence with its tag, the time with its tag: as `header` read them.
        let (_, rest) = varint(record.get(1..)?)?;
        let (_, rest) = varint(rest.get(1..)?)?;
        let body = rest.get(9..)?;
        let mut view = View {
            sequence,
            time,
            id: Uuid::nil(),
            key: "",
            payload: &[],
            content_type: "",
            traceparent: "",
            tracestate: "",
            publisher: "",
            body,
        };
        for (number, value) in fields(body) {
            match number {
                ID => view.id = Uuid::from_slice(value).unwrap_or_default(),
                KEY => view.key = text(value),
                PAYLOAD => view.payload = value,
                CONTENT_TYPE => view.content_type = text(value),
                TRACEPARENT => view.traceparent = text(value),
                TRACESTATE => view.tracestate = text(value),
                PUBLISHER => view.publisher = text(value),
                _ => {}
            }
        }
        Some(view)
    }

    /// Its attributes, by name.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        fields(self.body).filter(|(number, _)| *number == ATTRIBUTE).map(|(_, entry)| {
            let mut pair = ("", "");
            for (number, value) in fields(entry) {
                match number {
                    1 => pair.0 = text(value),
                    2 => pair.1 = text(value),
                    _ => {}
                }
            }
            pair
        })
    }

    /// The content as text, where it is that.
    pub fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.payload).ok()
    }
}

/// Everything that is text was checked to be that when it was published.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The length-delimited fields of a message, which is all that a body has.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, rest) = bytes.split_first()?;
        let (length, rest) = varint(rest)?;
        let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        bytes = rest;
        (tag & 7 == 2).then_some((tag >> 3, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::{Batch, Message, record};
    use proptest::prelude::*;

    fn run(messages: &[Message]) -> Vec<u8> {
        let mut run = Vec::new();
        for (sequence, body) in (1..).zip(Batch::encode(messages).unwrap().bodies()) {
            record::put_header(&mut run, sequence, 7, body.len());
            run.extend_from_slice(body);
        }
        run
    }

    #[test]
    fn a_message_in_a_log_is_the_one_that_was_published() {
        let full = Message {
            id: Some(Uuid::from_u128(5)),
            key: "k".into(),
            attributes: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())].into(),
            payload: vec![9; 300].into(),
            content_type: "text/plain".into(),
            traceparent: "t".into(),
            tracestate: "s".into(),
            publisher: Some("token:x".into()),
        };
        let run = run(&[full.clone(), Message::default()]);
        let views: Vec<View<'_>> = messages(&run).collect();
        let [one, bare] = views[..] else { panic!("{views:?}") };
        assert_eq!((one.sequence, one.time, one.id), (1, 7, Uuid::from_u128(5)));
        assert_eq!((one.key, one.content_type, one.publisher), ("k", "text/plain", "token:x"));
        assert_eq!((one.traceparent, one.tracestate, one.payload), ("t", "s", &full.payload[..]));
        assert_eq!(one.attributes().collect::<Vec<_>>(), [("a", "1"), ("b", "")]);
        assert_eq!((bare.sequence, bare.payload, bare.attributes().count()), (2, &[][..], 0));
        assert!(!bare.id.is_nil());
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_messages_are_none_and_never_a_panic(bytes: Vec<u8>) {
            messages(&bytes).for_each(|view| {
                let _ = view.attributes().count();
            });
        }
    }
}

//! Messages of the log as items of a Momento subscription, each a gRPC message of its own, in one buffer:
//! nothing is decoded that is not needed, and what is sent is copied once.

use bytes::BufMut;

use crate::api::frame::{PREFIX_BYTES, prefix};
use crate::topic::media::media_type;
use crate::topic::record::{View, put_varint, varint_bytes};

/// `_SubscriptionItem.item = 1`.
const ITEM: u8 = 1 << 3 | 2;
/// `_TopicItem.topic_sequence_number = 1`.
const SEQUENCE: u8 = 1 << 3;
/// `_TopicItem.value = 2`.
const VALUE: u8 = 2 << 3 | 2;
/// `_TopicItem.publisher_id = 3`.
const PUBLISHER: u8 = 3 << 3 | 2;
/// `_TopicItem.sequence_page = 4`.
const PAGE: u8 = 4 << 3;
/// `_TopicValue.text = 1`.
const TEXT: u8 = 1 << 3 | 2;
/// `_TopicValue.binary = 2`.
const BINARY: u8 = 2 << 3 | 2;
/// What an item adds to its payload and publisher, bytes at most.
pub const OVERHEAD_BYTES: usize = PREFIX_BYTES + 6 + 11 + 6 + 6 + 3 + 11;

/// Appends a message of this page.
pub fn put(out: &mut Vec<u8>, view: &View<'_>, page: u64) {
    let kind = if is_text(view) { TEXT } else { BINARY };
    let publisher = publisher_id(view.publisher);
    let value = field_bytes(view.payload.len());
    let publisher_bytes = if publisher.is_empty() { 0 } else { field_bytes(publisher.len()) };
    let item =
        1 + varint_bytes(view.sequence) + field_bytes(value) + publisher_bytes + 1 + varint_bytes(page);
    out.reserve(PREFIX_BYTES + field_bytes(item));
    out.put_slice(&prefix(field_bytes(item)));
    put_length(out, ITEM, item);
    out.put_u8(SEQUENCE);
    put_varint(out, view.sequence);
    put_length(out, VALUE, value);
    put_length(out, kind, view.payload.len());
    out.put_slice(view.payload);
    if !publisher.is_empty() {
        put_length(out, PUBLISHER, publisher.len());
        out.put_slice(publisher.as_bytes());
    }
    out.put_u8(PAGE);
    put_varint(out, page);
}

/// Bytes of a field of so many bytes, with its tag and length.
fn field_bytes(bytes: usize) -> usize {
    1 + varint_bytes(bytes as u64) + bytes
}

fn put_length(out: &mut Vec<u8>, tag: u8, bytes: usize) {
    out.put_u8(tag);
    put_varint(out, bytes as u64);
}

/// Whether a client gets it as text: where it says that it is, and is.
pub fn is_text(view: &View<'_>) -> bool {
    media_type(view.content_type).eq_ignore_ascii_case(super::convert::TEXT)
        && std::str::from_utf8(view.payload).is_ok()
}

/// The id of the disposable token that published it.
pub fn publisher_id(publisher: &str) -> &str {
    publisher.strip_prefix("token:").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::momento::cache_client::pubsub::{
        SubscriptionItem, TopicItem, TopicValue, subscription_item, topic_value::Kind,
    };
    use crate::topic::{Batch, Message, record};
    use proptest::prelude::*;
    use prost::Message as _;

    fn encoded(message: Message, sequence: u64, page: u64) -> (Vec<u8>, usize) {
        let bytes = message.payload.len() + message.publisher.as_ref().map_or(0, |name| name.len());
        let batch = Batch::encode(&[message]).unwrap();
        let (mut run, body) = (Vec::new(), batch.bodies().next().unwrap());
        record::put_header(&mut run, sequence, 1, body.len());
        run.extend_from_slice(body);
        let mut out = Vec::new();
        record::messages(&run).for_each(|view| put(&mut out, &view, page));
        (out, bytes)
    }

    proptest! {
        #[test]
        fn an_item_is_what_prost_would_write(
            payload in prop::collection::vec(any::<u8>(), 0..300),
            is_text: bool,
            sequence in 1u64..,
            page in 1u64..,
            token in "[a-z]{0,8}",
        ) {
            let publisher = (!token.is_empty()).then(|| format!("token:{token}").into());
            let content_type = if is_text { "text/plain; charset=utf-8" } else { "" }.to_owned();
            let message = Message { payload: payload.clone().into(), content_type, publisher, ..Message::default() };
            let (out, bytes) = encoded(message, sequence, page);
            prop_assert!(out.len() <= bytes + OVERHEAD_BYTES);
            let kind = match String::from_utf8(payload.clone()) {
                Ok(text) if is_text => Kind::Text(text),
                _ => Kind::Binary(payload.into()),
            };
            let item = TopicItem {
                topic_sequence_number: sequence,
                value: Some(TopicValue { kind: Some(kind) }),
                publisher_id: token,
                sequence_page: page,
            };
            let expected = SubscriptionItem { kind: Some(subscription_item::Kind::Item(item)) };
            prop_assert_eq!(&out[..PREFIX_BYTES], &prefix(expected.encoded_len())[..]);
            prop_assert_eq!(SubscriptionItem::decode(&out[PREFIX_BYTES..]).unwrap(), expected);
        }
    }
}

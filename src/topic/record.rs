//! A message in wire format: one entry of `repeated Message messages = 1` of a SubscribeResponse.
//!
//! ```text
//! 0a LEN  08 SEQUENCE  11 TIME(8 bytes)  BODY
//! ```
//!
//! `BODY` is what the publisher decides (fields 3 to 10 of `Message`), encoded once by `batch`;
//! sequence and time come in front of it when the store orders the message. Any run of records is
//! the body of a response, which is why the log keeps nothing else.

mod view;

use uuid::Uuid;

pub use view::{View, messages};

use crate::limits::ID_BYTES;

/// Tag of `messages = 1`, length-delimited.
const TAG_RECORD: u8 = 0x0a;
/// Tag of `Message.sequence = 1`, varint.
const TAG_SEQUENCE: u8 = 0x08;
/// Tag of `Message.publish_time_unix_nano = 2`, fixed64.
const TAG_TIME: u8 = 0x11;

/// Most bytes a record has in front of its body: two tags of 1, a varint of 5 and one of 10, and
/// the time with its tag.
pub const HEADER_BYTES_MAX: usize = 1 + 5 + 1 + 10 + 9;

/// What stands in front of a record's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The message's sequence.
    pub sequence: u64,
    /// When the message was ordered, unix nanoseconds.
    pub time: u64,
    /// Bytes of the whole record.
    pub bytes: usize,
}

/// Appends the header of a record whose body has `body_bytes`, for the body to follow.
pub fn put_header(out: &mut impl bytes::BufMut, sequence: u64, time: u64, body_bytes: usize) {
    let length = 1 + varint_bytes(sequence) + 9 + body_bytes;
    out.put_u8(TAG_RECORD);
    put_varint(out, length as u64);
    out.put_u8(TAG_SEQUENCE);
    put_varint(out, sequence);
    out.put_u8(TAG_TIME);
    out.put_u64_le(time);
}

/// Reads the header of the record at the start of `bytes`; `None` where no whole record starts.
pub fn header(bytes: &[u8]) -> Option<Header> {
    let rest = bytes.strip_prefix(&[TAG_RECORD])?;
    let (length, rest) = varint(rest)?;
    let length = usize::try_from(length).ok()?;
    let total = (bytes.len() - rest.len()).checked_add(length)?;
    if total > bytes.len() {
        return None;
    }
    let (sequence, rest) = varint(rest.strip_prefix(&[TAG_SEQUENCE])?)?;
    let time = rest.strip_prefix(&[TAG_TIME])?.first_chunk::<8>()?;
    Some(Header { sequence, time: u64::from_le_bytes(*time), bytes: total })
}

/// The id of the message in this record: the first field of its body.
pub fn id(record: &[u8]) -> Option<Uuid> {
    const TAG_ID: u8 = 3 << 3 | 2;
    let (_, rest) = varint(record.strip_prefix(&[TAG_RECORD])?)?;
    let (_, rest) = varint(rest.strip_prefix(&[TAG_SEQUENCE])?)?;
    let body = rest.strip_prefix(&[TAG_TIME])?.get(8..)?;
    Uuid::from_slice(body.strip_prefix(&[TAG_ID, ID_BYTES as u8])?.get(..ID_BYTES)?).ok()
}

/// The headers of a run of records with the offset of each, as far as whole records go.
pub fn headers(run: &[u8]) -> impl Iterator<Item = (usize, Header)> + '_ {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let header = header(run.get(offset..)?)?;
        let at = offset;
        offset += header.bytes;
        Some((at, header))
    })
}

/// Appends a protobuf varint.
pub fn put_varint(out: &mut impl bytes::BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Bytes of a value as a protobuf varint, 1 to 10.
pub fn varint_bytes(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Reads a varint; the value and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_that_was_written_can_be_read(sequence: u64, time: u64, body in 0usize..40_000) {
            let mut record = Vec::new();
            put_header(&mut record, sequence, time, body);
            prop_assert!(record.len() <= HEADER_BYTES_MAX);
            record.resize(record.len() + body, 7);
            let read = header(&record).unwrap();
            prop_assert_eq!(read, Header { sequence, time, bytes: record.len() });
            prop_assert_eq!(header(&record[..record.len() - 1]), None);
        }

        #[test]
        fn bytes_that_are_no_record_are_none_and_never_a_panic(bytes: Vec<u8>) {
            let _ = (header(&bytes), id(&bytes));
            let _ = headers(&bytes).count();
        }

        #[test]
        fn varints_have_the_length_that_is_told(value: u64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varint_bytes(value));
            prop_assert_eq!(varint(&bytes), Some((value, &[][..])));
        }
    }
}

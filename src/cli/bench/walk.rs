//! Walking a byte stream item by item, without copying what is whole.
//!
//! Every protocol here is a run of items with a short head. A [`Walk`] looks at the head and says
//! how long the item is; [`Carry`] keeps the head that a read cut in two, and skips the rest of
//! an item that a read did not bring. Payloads are never copied.

use crate::error::{Code, Error, Result};

/// The longest head kept between two reads, bytes; a server that needs more is not understood.
const HELD_BYTES_MAX: usize = 64 * 1024;
/// How much of the next read is joined to a cut head at a time, bytes.
const JOIN_BYTES: usize = 512;

/// One item: `used` bytes of what was shown belong to it, and `skip` bytes that have not come yet.
pub struct Item {
    /// At least as many as were looked at.
    pub used: usize,
    /// Bytes to pass over unseen.
    pub skip: usize,
}

impl Item {
    /// An item of `total` bytes, of which `shown` were there to look at.
    pub fn of(total: usize, shown: usize) -> Self {
        let used = total.min(shown);
        Item { used, skip: total - used }
    }
}

/// Understands the items of one protocol.
pub trait Walk {
    /// Takes the item at the front of `data`; `None` when too little of it is there.
    fn item(&mut self, data: &[u8]) -> Result<Option<Item>>;
}

/// What one read left for the next.
#[derive(Default)]
pub struct Carry {
    held: Vec<u8>,
    skip: usize,
}

impl Carry {
    /// Walks all whole items of `data`, together with what was left by the read before.
    pub fn feed(&mut self, mut data: &[u8], walk: &mut impl Walk) -> Result<()> {
        loop {
            let skipped = self.skip.min(data.len());
            (self.skip, data) = (self.skip - skipped, &data[skipped..]);
            if data.is_empty() {
                return Ok(());
            }
            if self.held.is_empty() {
                let Some(item) = walk.item(data)? else {
                    self.held.extend_from_slice(data);
                    return check(self.held.len());
                };
                (self.skip, data) = (item.skip, &data[item.used..]);
            } else {
                data = self.join(data, walk)?;
            }
        }
    }

    fn join<'a>(&mut self, data: &'a [u8], walk: &mut impl Walk) -> Result<&'a [u8]> {
        let before = self.held.len();
        let joined = data.len().min(JOIN_BYTES);
        self.held.extend_from_slice(&data[..joined]);
        let Some(item) = walk.item(&self.held)? else {
            check(self.held.len())?;
            return Ok(&data[joined..]);
        };
        self.held.clear();
        self.skip = item.skip;
        Ok(&data[item.used.saturating_sub(before)..])
    }
}

fn check(held: usize) -> Result<()> {
    if held <= HELD_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(Code::Internal, "the server sent something this load generator does not understand"))
}

/// Reads a protobuf varint: its value and its length; `None` when it is cut or too long.
pub fn varint(data: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (at, byte) in data.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items of one length byte and that many bytes.
    struct Lengths(Vec<u8>);

    impl Walk for Lengths {
        fn item(&mut self, data: &[u8]) -> Result<Option<Item>> {
            let (Some(length), Some(first)) = (data.first(), data.get(1)) else { return Ok(None) };
            self.0.push(*first);
            Ok(Some(Item::of(1 + usize::from(*length), data.len())))
        }
    }

    #[test]
    fn items_are_the_same_however_the_stream_is_cut() {
        let stream = [3, b'a', 0, 0, 1, b'b', 5, b'c', 0, 0, 0, 0, 2, b'd', 0];
        for size in 1..=stream.len() {
            let (mut carry, mut walk) = (Carry::default(), Lengths(Vec::new()));
            for part in stream.chunks(size) {
                carry.feed(part, &mut walk).unwrap();
            }
            assert_eq!(walk.0, b"abcd", "in parts of {size}");
        }
    }

    #[test]
    fn a_varint_that_is_cut_is_not_a_number() {
        assert_eq!(varint(&[0x80]), None);
        assert_eq!(varint(&[0xac, 0x02, 0xff]), Some((300, 2)));
    }
}

//! What response bodies are made of: a small header chained with slices of a log.
//!
//! The header and the slices of a response go to the socket in one gathered write, and the slices
//! are the log's own memory. Answers of generated services are frames without a header.

use std::io::IoSlice;

use bytes::{Buf, Bytes};
use smallvec::smallvec;

use super::written::Written;
use crate::topic::{Charge, Slices};

/// Bytes of the prefix of a gRPC message: a flag and the length.
pub const PREFIX_BYTES: usize = 5;

/// The prefix of an uncompressed gRPC message of so many bytes.
pub fn prefix(bytes: usize) -> [u8; PREFIX_BYTES] {
    // A response is bounded by `limits`, far below 4 GiB.
    let [a, b, c, d] = (bytes as u32).to_be_bytes();
    [0, a, b, c, d]
}

/// A piece of a response body.
pub struct Frame {
    prefix: [u8; PREFIX_BYTES],
    /// What of the prefix has been taken.
    prefix_taken: usize,
    slices: Slices,
    /// The first slice that is not used up.
    at: usize,
    /// Bytes left, prefix included.
    left: usize,
    /// What is to be told when they are written; nothing for most.
    written: Option<Box<Written>>,
}

impl Frame {
    /// One gRPC message, uncompressed: its prefix and its body, of so many bytes.
    pub fn message(slices: Slices, bytes: usize) -> Frame {
        let left = PREFIX_BYTES + bytes;
        Frame { prefix: prefix(bytes), prefix_taken: 0, slices, at: 0, left, written: None }
    }

    /// Bytes as they are, which stand in the memory budget until they are written.
    pub fn held(bytes: Vec<u8>, charge: Charge) -> Frame {
        Frame::from(Bytes::from_owner(Held { bytes, _charge: charge }))
    }

    /// The same frame, with what is to be told when it is written.
    pub fn telling(self, written: Option<Box<Written>>) -> Frame {
        Frame { written, ..self }
    }
}

/// What was encoded for one client, with its place in the memory budget.
struct Held {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Bytes> for Frame {
    /// Bytes as they are.
    fn from(bytes: Bytes) -> Frame {
        let left = bytes.len();
        let (prefix, prefix_taken) = ([0; PREFIX_BYTES], PREFIX_BYTES);
        Frame { prefix, prefix_taken, slices: smallvec![bytes], at: 0, left, written: None }
    }
}

impl Buf for Frame {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        if self.prefix_taken < PREFIX_BYTES {
            return &self.prefix[self.prefix_taken..];
        }
        self.slices.get(self.at).map_or(&[], |slice| slice)
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let prefix = &self.prefix[self.prefix_taken..];
        let slices = self.slices[self.at.min(self.slices.len())..].iter().map(|slice| &slice[..]);
        let chunks = [prefix].into_iter().chain(slices).filter(|chunk| !chunk.is_empty());
        let mut filled = 0;
        for (slot, chunk) in out.iter_mut().zip(chunks) {
            *slot = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.left, "cannot advance past the end");
        self.left -= count;
        if self.left == 0
            && let Some(written) = self.written.take()
        {
            written.done();
        }
        let of_prefix = count.min(PREFIX_BYTES - self.prefix_taken);
        self.prefix_taken += of_prefix;
        let mut count = count - of_prefix;
        while let Some(slice) = self.slices.get_mut(self.at) {
            if count < slice.len() {
                slice.advance(count);
                return;
            }
            count -= slice.len();
            // Lets go of the log's memory as soon as it is written.
            *slice = Bytes::new();
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Budget;
    use proptest::prelude::*;

    #[test]
    fn what_is_held_for_a_client_stands_in_the_budget_until_it_is_written() {
        let budget = Budget::new(1000);
        let charge = Budget::charge(&budget, 300).unwrap();
        let mut frame = Frame::held(vec![7; 300], charge);
        frame.advance(299);
        assert_eq!((budget.used(), frame.chunk()), (300, &[7][..]));
        frame.advance(1);
        assert_eq!(budget.used(), 0);
        drop(Frame::held(Vec::new(), Budget::charge(&budget, 5).unwrap()));
        assert_eq!(budget.used(), 0);
    }

    proptest! {
        #[test]
        fn a_frame_reads_the_same_in_whatever_steps(
            slices in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5),
            steps in prop::collection::vec(1usize..30, 1..200),
        ) {
            let body: Vec<u8> = slices.concat();
            let mut expected = vec![0];
            expected.extend((body.len() as u32).to_be_bytes());
            expected.extend(&body);
            let mut frame = Frame::message(slices.into_iter().map(Bytes::from).collect(), body.len());
            let mut read = Vec::new();
            let mut steps = steps.into_iter().cycle();
            while frame.has_remaining() {
                let mut vectors = [IoSlice::new(&[]); 16];
                let filled = frame.chunks_vectored(&mut vectors);
                let gathered: Vec<u8> = vectors[..filled].iter().flat_map(|vector| vector.to_vec()).collect();
                prop_assert_eq!(gathered.len(), frame.remaining());
                prop_assert!(!frame.chunk().is_empty());
                let step = steps.next().unwrap().min(frame.remaining());
                read.extend_from_slice(&gathered[..step]);
                frame.advance(step);
            }
            prop_assert_eq!(read, expected);
        }
    }
}

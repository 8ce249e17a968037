//! The frames of HTTP/2 in the bytes of a connection: which begin, however the bytes are cut.
//!
//! Their heads alone are read; payloads are passed over. [`Paced`](super::Paced) counts by it.

/// What a connection of HTTP/2 begins with, bytes.
pub const PREFACE_BYTES: usize = 24;
/// The head of a frame, bytes.
pub const HEAD_BYTES: usize = 9;

/// Follows the frames of what is read.
pub struct Frames {
    /// Bytes to pass over: the rest of the preface, or of a frame's payload.
    skip: usize,
    head: [u8; HEAD_BYTES],
    have: usize,
}

/// Frames that were read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Data.
    pub data: u32,
    /// Those with which calls begin.
    pub calls: u32,
    /// Priorities, settings, pings, goodbyes, and what nobody knows.
    pub control: u32,
    /// Resets, windows, continuations: an honest client sends tens of thousands a second.
    pub rest: u32,
}

impl Frames {
    /// At the first byte of a connection.
    pub fn new() -> Frames {
        Frames { skip: PREFACE_BYTES, head: [0; HEAD_BYTES], have: 0 }
    }

    /// Which frames begin in these bytes.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Passed {
        let mut passed = Passed::default();
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let take = bytes.len().min(HEAD_BYTES - self.have);
            self.head[self.have..self.have + take].copy_from_slice(&bytes[..take]);
            self.have += take;
            bytes = &bytes[take..];
            if self.have == HEAD_BYTES {
                let [a, b, c, kind, ..] = self.head;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.have = 0;
                match kind {
                    0 => passed.data += 1,
                    1 => passed.calls += 1,
                    3 | 8 | 9 => passed.rest += 1,
                    _ => passed.control += 1,
                }
            }
        }
        passed
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A frame of this kind, with a payload of so many bytes.
    pub fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let mut bytes = (payload as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, 0, 0, 0, 0, 1]);
        bytes.extend(vec![6; payload]);
        bytes
    }

    #[test]
    fn frames_are_counted_however_the_bytes_are_cut() {
        let kinds = [4, 1, 0, 6, 8, 2, 0, 3, 9, 77, 7];
        let sizes = [18, 200, 5000, 8, 4, 5, 0, 4, 90, 0, 8];
        let mut stream = vec![6; PREFACE_BYTES];
        kinds.into_iter().zip(sizes).for_each(|(kind, size)| stream.extend(frame(kind, size)));
        for step in [1, 2, 7, 9, 1000, stream.len()] {
            let mut frames = Frames::new();
            let mut sum = Passed::default();
            for passed in stream.chunks(step).map(|bytes| frames.pass(bytes)) {
                sum.data += passed.data;
                sum.calls += passed.calls;
                sum.control += passed.control;
                sum.rest += passed.rest;
            }
            let expected = Passed { data: 2, calls: 1, control: 5, rest: 3 };
            assert_eq!(sum, expected, "in pieces of {step}");
        }
    }
}

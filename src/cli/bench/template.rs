//! One publish command, encoded before the load starts.
//!
//! A publisher copies the bytes and patches what differs from command to command: the topic's
//! number, and in each payload the intended send time and the message's number. So encoding costs
//! the client the same for all systems, which is next to nothing.

use std::ops::Range;

/// Bytes at the start of each payload that carry the send time and the number.
pub const STAMP_BYTES: usize = 16;
/// Digits of a topic's number, so that all names of a load are equally long.
const TOPIC_DIGITS: usize = 7;

/// See the module.
pub struct Template {
    /// The command as it is sent, unpatched.
    pub bytes: Vec<u8>,
    /// Messages in it.
    pub messages: u64,
    stamps: Vec<usize>,
    names: Vec<usize>,
}

/// The name of topic number `topic`.
pub fn topic_name(prefix: &str, topic: usize) -> String {
    format!("{prefix}{topic:0TOPIC_DIGITS$}")
}

impl Template {
    /// An empty command; the protocols add to it.
    pub fn new() -> Self {
        Template { bytes: Vec::new(), messages: 0, stamps: Vec::new(), names: Vec::new() }
    }

    /// Adds bytes that stay.
    pub fn text(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.bytes.extend_from_slice(text.as_ref());
        self
    }

    /// Adds a topic's name, whose number is patched.
    pub fn topic(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.names.push(self.bytes.len() - TOPIC_DIGITS);
        self
    }

    /// Adds a payload of `length` bytes, at least [`STAMP_BYTES`], whose start is patched.
    pub fn payload(&mut self, length: usize) -> &mut Self {
        self.stamps.push(self.bytes.len());
        self.messages += 1;
        let filler = (0..length.max(STAMP_BYTES)).map(|at| b'a' + (at % 26) as u8);
        self.bytes.extend(filler);
        self
    }

    /// Appends the command to `out` for topic number `topic`, messages numbered from `first`, all
    /// meant to be sent at `time`.
    pub fn write(&self, out: &mut Vec<u8>, topic: usize, first: u64, time: u64) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        for at in &self.names {
            let digits = &mut out[start + at..start + at + TOPIC_DIGITS];
            let mut rest = topic;
            for digit in digits.iter_mut().rev() {
                (*digit, rest) = (b'0' + (rest % 10) as u8, rest / 10);
            }
        }
        for (number, at) in (first..).zip(&self.stamps) {
            let stamp = &mut out[start + at..start + at + STAMP_BYTES];
            stamp[..8].copy_from_slice(&time.to_le_bytes());
            stamp[8..].copy_from_slice(&number.to_le_bytes());
        }
    }
}

/// The send time in a payload; `None` when it is not one of ours.
pub fn time(payload: &[u8]) -> Option<u64> {
    word(payload, 0..8)
}

/// The number in a payload; `None` when it is not one of ours.
pub fn number(payload: &[u8]) -> Option<u64> {
    word(payload, 8..16)
}

fn word(payload: &[u8], range: Range<usize>) -> Option<u64> {
    payload.get(range)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_patched_with_its_topic_times_and_numbers() {
        let mut template = Template::new();
        template.text("PUB ").topic(&topic_name("t.", 0)).text(" ").payload(20).payload(20);
        let mut out = b"before".to_vec();
        template.write(&mut out, 1234, 9, 77);
        let command = &out[6..];
        assert_eq!(&command[..14], b"PUB t.0001234 ");
        assert_eq!((time(&command[14..]), number(&command[14..])), (Some(77), Some(9)));
        assert_eq!((time(&command[34..]), number(&command[34..])), (Some(77), Some(10)));
    }
}

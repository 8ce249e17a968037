//! A place in a topic: an epoch and a sequence.
//!
//! The epoch is why a resume can never be answered with other messages: a topic that lost its
//! history begins a new, larger one.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A place in a topic. Positions order by epoch, then by sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Which history of the topic; below 2^53, larger for every later one.
    pub epoch: u64,
    /// The place in that history; the first message has 1.
    pub sequence: u64,
}

impl Position {
    /// The place `sequence` in the history `epoch`.
    pub fn new(epoch: u64, sequence: u64) -> Self {
        Position { epoch, sequence }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.sequence)
    }
}

/// Reads what `Display` writes: `EPOCH:SEQUENCE`.
impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text
            .split_once(':')
            .and_then(|(epoch, sequence)| Some((epoch.parse().ok()?, sequence.parse().ok()?)));
        match numbers {
            Some((epoch, sequence)) => Ok(Position { epoch, sequence }),
            None => Err(Error::field("position", "has to be EPOCH:SEQUENCE, such as 1767225600000:42")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_epoch_is_later_whatever_the_sequence() {
        assert!(Position::new(2, 1) > Position::new(1, 99));
        assert!(Position::new(2, 2) > Position::new(2, 1));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let position = Position::new(1_767_225_600_000, 42);
        assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
        for wrong in ["", "1", "1:", ":1", "a:b", "1:2:3", "-1:2"] {
            assert!(wrong.parse::<Position>().is_err(), "{wrong}");
        }
    }
}

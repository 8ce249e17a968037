//! How much of a topic is kept: the first limit that is reached drops the oldest messages.

use std::time::Duration;

use crate::limits::{RETENTION_AGE_DEFAULT, RETENTION_BYTES_DEFAULT, RETENTION_MESSAGES_DEFAULT};

/// The three limits of a topic; none is ever zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of encoded messages. Memory is given back in chunks of at most an eighth of it, so
    /// between seven eighths and all of it is kept; the newest batch is kept whatever its size.
    pub bytes: u64,
    /// Number of messages.
    pub messages: u64,
    /// Age of the oldest message.
    pub age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            bytes: RETENTION_BYTES_DEFAULT,
            messages: RETENTION_MESSAGES_DEFAULT,
            age: RETENTION_AGE_DEFAULT,
        }
    }
}

impl Retention {
    /// The age in nanoseconds, as message times are; the largest number where it does not fit.
    pub fn age_nanos(&self) -> u64 {
        u64::try_from(self.age.as_nanos()).unwrap_or(u64::MAX)
    }
}

//! How much of a topic is kept.

use std::time::Duration;

use crate::limits::{RETENTION_AGE_DEFAULT, RETENTION_BYTES_DEFAULT, RETENTION_MESSAGES_DEFAULT};

/// The limits of what a topic keeps: whichever is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of encoded messages.
    pub bytes: u64,
    /// Messages.
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

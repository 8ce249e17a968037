//! One clock for the whole load generator.
//!
//! All publishers and subscribers live in this process, so a message can carry its intended send
//! time as nanoseconds of this clock, and its receiver subtracts.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the first call in this process.
pub fn now() -> u64 {
    nanos(START.elapsed())
}

/// A duration in whole nanoseconds; five centuries fit.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

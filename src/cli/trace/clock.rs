//! What the server's clock says, as far as it can be told from here.
//!
//! A call took some time here, and the server says how much of it was its own; the rest was the way
//! there and back. Half of that is taken for the way there, which can be wrong by that half. So of
//! several calls the quickest is believed.

use std::time::{Duration, SystemTime};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    /// The server's clock less ours, nanoseconds.
    pub(super) ahead_nano: i64,
    /// How wrong that can be, one way or the other.
    pub(super) uncertainty: Duration,
}

impl Clock {
    /// From when we sent, by our clock, and how long we waited; and when the server accepted and
    /// answered, by its own.
    pub(super) fn estimate(
        sent: SystemTime,
        waited: Duration,
        accepted: SystemTime,
        answered: SystemTime,
    ) -> Self {
        let served = answered.duration_since(accepted).unwrap_or_default();
        let way = waited.saturating_sub(served) / 2;
        Clock { ahead_nano: between(sent + way, accepted), uncertainty: way }
    }

    /// Whichever is less uncertain.
    pub(super) fn or(self, other: Self) -> Self {
        if other.uncertainty < self.uncertainty { other } else { self }
    }

    /// Nanoseconds from one time, by the server's clock, to another, by ours.
    pub(super) fn between(&self, theirs: SystemTime, ours: SystemTime) -> i64 {
        between(theirs, ours) + self.ahead_nano
    }
}

/// Nanoseconds from one time to another, which may be before it.
pub(super) fn between(from: SystemTime, to: SystemTime) -> i64 {
    match to.duration_since(from) {
        Ok(later) => nano(later),
        Err(earlier) => -nano(earlier.duration()),
    }
}

fn nano(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_micros(1_000_000 + micros)
    }

    #[test]
    fn what_happened_here_is_put_on_the_servers_clock() {
        // The server's clock is 500 µs ahead, each way takes 40 µs and the service 1,000 µs.
        let clock = Clock::estimate(at(0), Duration::from_micros(1080), at(540), at(1540));
        assert_eq!(clock, Clock { ahead_nano: 500_000, uncertainty: Duration::from_micros(40) });
        assert_eq!(clock.between(at(540), at(40)), 0);
        assert_eq!(clock.between(at(540), at(300)), 260_000);
    }

    #[test]
    fn the_quickest_call_is_believed() {
        let slow = Clock::estimate(at(0), Duration::from_micros(100), at(90), at(90));
        let quick = Clock::estimate(at(900), Duration::from_micros(20), at(100), at(110));
        assert_eq!(quick, Clock { ahead_nano: -805_000, uncertainty: Duration::from_micros(5) });
        assert_eq!((slow.or(quick), quick.or(slow)), (quick, quick));
    }

    #[test]
    fn a_clock_that_was_set_meanwhile_makes_no_nonsense() {
        let clock = Clock::estimate(at(0), Duration::from_micros(10), at(500), at(100));
        assert_eq!(clock.uncertainty, Duration::from_micros(5));
        let clock = Clock::estimate(at(0), Duration::from_micros(10), at(0), at(900));
        assert_eq!(clock.uncertainty, Duration::ZERO);
    }
}

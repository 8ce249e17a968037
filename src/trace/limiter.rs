//! At most so many in a second, with one atomic and no lock: what bounds spans and log lines that
//! clients can cause.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bits of the count; the rest is the second it belongs to.
const COUNT_BITS: u32 = 24;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const SECOND: u64 = 1_000_000_000;

/// Counts in whole seconds of the clock.
#[derive(Debug, Default)]
pub struct Limiter(AtomicU64);

impl Limiter {
    /// Whether one more may pass at this time, unix nanoseconds, where at most so many (below 2^24)
    /// may in a second; it is counted then.
    pub fn admit(&self, time: u64, per_second: u64) -> bool {
        let counted = self.0.fetch_update(Relaxed, Relaxed, |state| {
            // A time from a little earlier belongs to the second that is counted by now.
            let second = at(time).max(state & !COUNT_MAX);
            let count = if state & !COUNT_MAX == second { state & COUNT_MAX } else { 0 };
            (count < per_second.min(COUNT_MAX)).then_some(second | (count + 1))
        });
        counted.is_ok()
    }

    /// How many have passed in the second of this time, or in a later one that is counted.
    pub fn count(&self, time: u64) -> u64 {
        count_at(self.0.load(Relaxed), time)
    }
}

/// The state of a second in which none has passed.
fn at(time: u64) -> u64 {
    (time / SECOND) << COUNT_BITS
}

fn count_at(state: u64, time: u64) -> u64 {
    if state & !COUNT_MAX >= at(time) { state & COUNT_MAX } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own_room() {
        let limiter = Limiter::default();
        let now = 1_800_000_000 * SECOND;
        let admitted = |time| (0..5).filter(|_| limiter.admit(time, 3)).count();
        assert_eq!(admitted(now), 3);
        assert!(!limiter.admit(now + SECOND - 1, 3));
        assert_eq!(admitted(now + SECOND), 3);
        assert_eq!((limiter.count(now + SECOND), limiter.count(now + 2 * SECOND)), (3, 0));
        assert!(!limiter.admit(now + 2 * SECOND, 0));
    }

    #[test]
    fn a_time_from_before_does_not_begin_a_second_again() {
        let limiter = Limiter::default();
        let now = 1_800_000_000 * SECOND;
        assert!(limiter.admit(now, 2) && limiter.admit(now - SECOND, 2));
        assert!(!limiter.admit(now, 2) && !limiter.admit(now - SECOND, 2));
    }
}

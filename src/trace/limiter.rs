//! At most so many in a second, with one atomic and no lock: what bounds spans and log lines that
//! clients can cause.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bits of the count; the rest is the second it belongs to.
const COUNT_BITS: u32 = 24;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const SECOND: u64 = 1_000_000_000;

/// Counts in whole seconds of the clock.
#[derive(Debug, Default)]
pub struct Limiter {
    state: AtomicU64,
    per_second: u64,
}

impl Limiter {
    /// At most so many in a second; below 2^24.
    pub fn new(per_second: u64) -> Limiter {
        Limiter { state: AtomicU64::new(0), per_second: per_second.min(COUNT_MAX) }
    }

    /// Whether one more may pass at this time, unix nanoseconds; it is counted then.
    pub fn admit(&self, time: u64) -> bool {
        let counted = self.state.fetch_update(Relaxed, Relaxed, |state| {
            let count = count_at(state, time);
            (count < self.per_second).then(|| at(time) | (count + 1))
        });
        counted.is_ok()
    }

    /// How many have passed in the second of this time.
    pub fn count(&self, time: u64) -> u64 {
        count_at(self.state.load(Relaxed), time)
    }
}

/// The state of a second in which none has passed.
fn at(time: u64) -> u64 {
    (time / SECOND) << COUNT_BITS
}

fn count_at(state: u64, time: u64) -> u64 {
    if state & !COUNT_MAX == at(time) { state & COUNT_MAX } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own_room() {
        let limiter = Limiter::new(3);
        let now = 1_800_000_000 * SECOND;
        assert_eq!((0..5).filter(|_| limiter.admit(now)).count(), 3);
        assert!(!limiter.admit(now + SECOND - 1));
        assert_eq!((0..5).filter(|_| limiter.admit(now + SECOND)).count(), 3);
        assert_eq!((limiter.count(now + SECOND), limiter.count(now + 2 * SECOND)), (3, 0));
        assert!(!Limiter::new(0).admit(now));
    }
}

//! Says something at most once in a while, and how often it would have been said.
//!
//! For log lines that a client can cause: a flood of connections must not become a flood of lines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A line is logged at most this often.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts what happens and lets one of them through per interval.
pub struct Throttle {
    start: Instant,
    /// Milliseconds from `start` to when the next may pass.
    next: AtomicU64,
    count: AtomicU64,
}

impl Throttle {
    /// Lets the first one through.
    pub fn new() -> Self {
        Throttle { start: Instant::now(), next: AtomicU64::new(0), count: AtomicU64::new(0) }
    }

    /// It happened. Returns how often since the last time something was returned, if it is time to
    /// say so.
    pub fn hit(&self) -> Option<u64> {
        self.hit_at(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn hit_at(&self, now: u64) -> Option<u64> {
        self.count.fetch_add(1, Ordering::Relaxed);
        let next = self.next.load(Ordering::Relaxed);
        let later = now.saturating_add(INTERVAL.as_millis() as u64);
        let mine = now >= next
            && self.next.compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        mine.then(|| self.count.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_an_interval_passes_and_tells_how_many_did_not() {
        let throttle = Throttle::new();
        assert_eq!(throttle.hit_at(0), Some(1));
        assert_eq!(throttle.hit_at(1), None);
        assert_eq!(throttle.hit_at(9_999), None);
        assert_eq!(throttle.hit_at(10_000), Some(3));
    }
}

//! Two samples to compare: the newest, and one that is old enough for a rate to mean something.
//!
//! A sample may come early, because the filter was changed. A rate over a few milliseconds would be
//! noise, so then the older one stays until an interval has passed.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub(super) struct History<T> {
    before: Option<T>,
    now: T,
    taken: Instant,
}

impl<T> History<T> {
    /// Begins with one sample; there is no rate yet.
    pub(super) fn new(now: T, taken: Instant) -> Self {
        History { before: None, now, taken }
    }

    /// The newest sample.
    pub(super) fn now(&self) -> &T {
        &self.now
    }

    /// The one to compare it with.
    pub(super) fn before(&self) -> Option<&T> {
        self.before.as_ref()
    }

    /// Takes a newer sample.
    pub(super) fn push(&mut self, newer: T, taken: Instant, interval: Duration) {
        let older = std::mem::replace(&mut self.now, newer);
        if self.before.is_none() || taken.duration_since(self.taken) >= interval / 2 {
            self.before = Some(older);
        }
        self.taken = taken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_that_came_early_is_compared_with_an_older_one() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut history = History::new('a', begin);
        assert_eq!(history.before(), None);
        history.push('b', begin + second, second);
        assert_eq!((history.before(), history.now()), (Some(&'a'), &'b'));
        history.push('c', begin + second + second / 100, second);
        assert_eq!((history.before(), history.now()), (Some(&'a'), &'c'));
        history.push('d', begin + 2 * second, second);
        assert_eq!((history.before(), history.now()), (Some(&'c'), &'d'));
    }
}

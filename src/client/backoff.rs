//! How long to wait before the next attempt: exponential, capped, with jitter.
//!
//! The jitter is the whole range ("full jitter"): when a server comes back, its clients must not
//! come back all in the same instant.

use std::time::Duration;

use rand::Rng;

/// When and how often to try again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Upper bound of the first wait.
    pub initial: Duration,
    /// Upper bound of every wait.
    pub max: Duration,
    /// Give up after so many attempts in a row that brought nothing; `None`: never give up.
    pub attempts_max: Option<u32>,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(10), attempts_max: None }
    }
}

impl Backoff {
    /// Never tries again: the first failure is the last.
    pub fn never() -> Self {
        Backoff { attempts_max: Some(0), ..Backoff::default() }
    }

    /// The wait before attempt `attempt` (the first is 1), or `None` when it is time to give up.
    pub fn delay(&self, attempt: u32) -> Option<Duration> {
        let bound = self.bound(attempt)?;
        Some(bound.mul_f64(rand::rng().random_range(0.0..=1.0)))
    }

    /// The upper bound of that wait.
    fn bound(&self, attempt: u32) -> Option<Duration> {
        if self.attempts_max.is_some_and(|max| attempt > max) {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(20);
        Some(self.initial.saturating_mul(1 << doublings).min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff::default();
        let bounds: Vec<_> = [1, 2, 3, 8, 9, u32::MAX].map(|n| backoff.bound(n).unwrap().as_millis()).into();
        assert_eq!(bounds, [100, 200, 400, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn a_wait_is_never_longer_than_its_bound_and_not_always_the_same() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..50).map(|_| backoff.delay(3).unwrap()).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(400)));
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }

    #[test]
    fn attempts_end_where_the_policy_says() {
        let backoff = Backoff { attempts_max: Some(2), ..Backoff::default() };
        assert!(backoff.delay(2).is_some());
        assert!(backoff.delay(3).is_none());
        assert!(Backoff::never().delay(1).is_none());
    }
}

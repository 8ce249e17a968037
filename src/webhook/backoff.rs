//! How long to wait behind failures: exponential with full jitter, and never less than the endpoint asks for.

use std::time::Duration;

use crate::limits::{WEBHOOK_DEAD_AFTER, WEBHOOK_PROBE_FACTOR, WEBHOOK_RETRY_AFTER_MAX};

/// How waits grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Upper bound of the first wait.
    pub initial: Duration,
    /// Upper bound of all, while the endpoint is not dead.
    pub max: Duration,
}

impl Backoff {
    /// The wait behind so many failures in a row. `random` is from 0 to 1; `asked` is what the endpoint said
    /// by `Retry-After`.
    pub fn delay(self, failures: u32, random: f64, asked: Option<Duration>) -> Duration {
        let bound = self.bound(failures);
        // The probes of a dead endpoint are at growing intervals, so theirs is no full jitter.
        let share = if failures >= WEBHOOK_DEAD_AFTER { 0.5 + random / 2.0 } else { random };
        let least = asked.unwrap_or_default().min(WEBHOOK_RETRY_AFTER_MAX);
        bound.mul_f64(share.clamp(0.0, 1.0)).max(least)
    }

    /// The upper bound of that wait.
    fn bound(self, failures: u32) -> Duration {
        let cap = match failures >= WEBHOOK_DEAD_AFTER {
            true => self.max.saturating_mul(WEBHOOK_PROBE_FACTOR),
            false => self.max,
        };
        self.initial.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { initial: Duration::from_millis(500), max: Duration::from_secs(60) };

    #[test]
    fn waits_double_up_to_a_bound_and_longer_for_the_dead() {
        let seconds: Vec<f64> =
            (1..=12).map(|failures| BACKOFF.delay(failures, 1.0, None).as_secs_f64()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]);
        assert_eq!(BACKOFF.delay(u32::MAX, 1.0, None), Duration::from_secs(300));
    }

    #[test]
    fn the_jitter_is_the_whole_range_except_for_probes() {
        assert_eq!(BACKOFF.delay(3, 0.0, None), Duration::ZERO);
        assert_eq!(BACKOFF.delay(3, 0.5, None), Duration::from_secs(1));
        assert_eq!(BACKOFF.delay(11, 0.0, None), Duration::from_secs(150));
    }

    #[test]
    fn an_endpoint_may_ask_for_more_within_reason() {
        assert_eq!(BACKOFF.delay(1, 0.0, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(BACKOFF.delay(1, 1.0, Some(Duration::from_secs(u64::MAX))), WEBHOOK_RETRY_AFTER_MAX);
    }
}

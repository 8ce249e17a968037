//! A token bucket that is one atomic: the time at which it will be full again.
//!
//! It holds what comes in during one second, and starts full. Taking moves the time on; taking more
//! than there is is refused with the time until there is enough, and takes nothing. Times are
//! nanoseconds of a clock that never goes back.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// What may be taken in a second, see the module.
#[derive(Debug, Default)]
pub struct Bucket(AtomicU64);

/// Why nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// There is enough in so many nanoseconds.
    Wait(u64),
    /// There never is: more was asked for than the bucket holds.
    Never,
}

impl Bucket {
    /// Takes so much, of what comes in at this rate a second.
    pub fn take(&self, amount: u64, per_second: u64, now: u64) -> Result<(), Short> {
        if amount > per_second {
            return Err(Short::Never);
        }
        let cost = nanos(amount, per_second);
        let mut wait = 0;
        let taken = self.0.fetch_update(Relaxed, Relaxed, |full| {
            let full = full.max(now).saturating_add(cost);
            wait = full.saturating_sub(now.saturating_add(SECOND));
            (wait == 0).then_some(full)
        });
        taken.map(|_| ()).map_err(|_| Short::Wait(wait))
    }

    /// Puts back what was taken at this rate.
    pub fn put_back(&self, amount: u64, per_second: u64) {
        let back = |full: u64| Some(full.saturating_sub(nanos(amount, per_second)));
        let _ = self.0.fetch_update(Relaxed, Relaxed, back);
    }

    /// Takes one of so many a second in any case, and says how many nanoseconds later it is due: at
    /// most as long as the bucket takes to fill, a second.
    pub fn queue(&self, per_second: u64, now: u64) -> u64 {
        let cost = nanos(1, per_second);
        let later = |full: u64| full.max(now).saturating_add(cost).min(now.saturating_add(2 * SECOND));
        let full = self.0.fetch_update(Relaxed, Relaxed, |full| Some(later(full))).map_or(now, later);
        full.saturating_sub(now.saturating_add(SECOND))
    }

    /// Whether it is full.
    pub fn is_full(&self, now: u64) -> bool {
        self.0.load(Relaxed) <= now
    }
}

/// How long so much takes to come in, nanoseconds.
fn nanos(amount: u64, per_second: u64) -> u64 {
    let nanos = u128::from(amount) * u128::from(SECOND) / u128::from(per_second.max(1));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_bucket_gives_what_comes_in_during_a_second_and_then_as_it_comes() {
        let bucket = Bucket::default();
        assert_eq!(bucket.take(60, 100, 0), Ok(()));
        assert_eq!(bucket.take(40, 100, 0), Ok(()));
        assert_eq!(bucket.take(1, 100, 0), Err(Short::Wait(SECOND / 100)));
        assert_eq!(bucket.take(50, 100, SECOND / 4), Err(Short::Wait(SECOND / 4)));
        assert_eq!(bucket.take(50, 100, SECOND / 2), Ok(()));
        assert!(!bucket.is_full(SECOND));
        assert!(bucket.is_full(2 * SECOND));
    }

    #[test]
    fn what_it_never_holds_is_not_waited_for() {
        let bucket = Bucket::default();
        assert_eq!(bucket.take(101, 100, 0), Err(Short::Never));
        assert_eq!(bucket.take(100, 100, 0), Ok(()), "a refusal takes nothing");
    }

    #[test]
    fn what_is_put_back_can_be_taken_again() {
        let bucket = Bucket::default();
        assert_eq!(bucket.take(100, 100, 5 * SECOND), Ok(()));
        bucket.put_back(100, 100);
        assert_eq!(bucket.take(100, 100, 5 * SECOND), Ok(()));
    }

    #[test]
    fn those_who_queue_are_due_one_after_the_other_and_at_most_a_second_later() {
        let bucket = Bucket::default();
        let due: Vec<u64> = (0..13).map(|_| bucket.queue(10, 0)).collect();
        assert_eq!(due[..10], [0; 10]);
        assert_eq!(due[10..], [SECOND / 10, SECOND / 5, 3 * SECOND / 10]);
        assert!((0..100).all(|_| bucket.queue(10, 0) <= SECOND));
        assert_eq!(bucket.queue(10, 60 * SECOND), 0);
    }

    proptest! {
        #[test]
        fn no_second_gives_more_than_two_of_them_hold(
            rate in 1u64..5_000,
            takes in prop::collection::vec((0u64..40_000_000, 1u64..200), 1..200),
        ) {
            let (bucket, mut now, mut given) = (Bucket::default(), SECOND, Vec::new());
            for (step, amount) in takes {
                now += step;
                match bucket.take(amount, rate, now) {
                    Ok(()) => given.push((now, amount)),
                    // It is there when it was said to be, and not before.
                    Err(Short::Wait(wait)) => {
                        prop_assert!(wait > 0 && bucket.take(amount, rate, now + wait - 1).is_err());
                        now += wait;
                        prop_assert_eq!(bucket.take(amount, rate, now), Ok(()));
                        given.push((now, amount));
                    }
                    Err(Short::Never) => prop_assert!(amount > rate),
                }
            }
            for (start, _) in &given {
                let within = given.iter().filter(|(at, _)| at >= start && *at < start + SECOND);
                prop_assert!(within.map(|(_, amount)| amount).sum::<u64>() <= 2 * rate + 1);
            }
        }
    }
}

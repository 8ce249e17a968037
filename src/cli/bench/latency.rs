//! Latency histograms, in nanoseconds, of the messages *meant to be sent* inside a window.
//!
//! A message counts by its intended send time and not by its arrival. So one that a stalled server
//! delivers long after the window still counts with its whole delay: that is the correction for
//! coordinated omission.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::error::{Code, Error, Result};

/// Longest delay told apart, nanoseconds: ten minutes. Longer ones count as this.
const DELAY_MAX: u64 = 600_000_000_000;

/// See the module. Shards keep reader threads from contending; each reader uses one.
pub struct Latency {
    from: AtomicU64,
    until: AtomicU64,
    shards: Vec<Mutex<Histogram<u64>>>,
}

impl Latency {
    /// Histograms for `shards` threads; nothing is recorded before a window is set.
    ///
    /// # Errors
    /// Internal, when the histogram's bounds are refused.
    pub fn new(shards: usize) -> Result<Self> {
        let histogram = Histogram::new_with_bounds(1, DELAY_MAX, 3);
        let histogram = histogram
            .map_err(|e| Error::new(Code::Internal, "the latency histogram cannot be made").because(e))?;
        let shards = (0..shards.max(1)).map(|_| Mutex::new(histogram.clone())).collect();
        Ok(Latency { from: AtomicU64::new(u64::MAX), until: AtomicU64::new(u64::MAX), shards })
    }

    /// Messages meant to be sent from now on count.
    pub fn begin(&self, now: u64) {
        self.from.store(now, Ordering::Relaxed);
    }

    /// Messages meant to be sent from now on do not count.
    pub fn end(&self, now: u64) {
        self.until.store(now, Ordering::Relaxed);
    }

    /// Records the delay of each message of `sent`, all received at `now`, and empties it.
    pub fn record(&self, shard: usize, now: u64, sent: &mut Vec<u64>) {
        let (from, until) = (self.from.load(Ordering::Relaxed), self.until.load(Ordering::Relaxed));
        if from != u64::MAX && !sent.is_empty() {
            let shard = &self.shards[shard % self.shards.len()];
            let mut histogram = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for sent in sent.iter().filter(|sent| (from..until).contains(sent)) {
                histogram.saturating_record(now.saturating_sub(*sent).max(1));
            }
        }
        sent.clear();
    }

    /// The figures so far; `None` when nothing was recorded.
    pub fn summary(&self) -> Option<Summary> {
        let (first, others) = self.shards.split_first()?;
        let mut all = first.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for shard in others {
            all.add(&*shard.lock().unwrap_or_else(PoisonError::into_inner)).ok()?;
        }
        let at = |quantile: f64| all.value_at_quantile(quantile) as f64 / 1e3;
        (!all.is_empty()).then(|| Summary {
            samples: all.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: all.max() as f64 / 1e3,
        })
    }
}

/// Quantiles of a histogram, microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Summary {
    /// Messages recorded.
    pub samples: u64,
    /// Half were faster.
    pub p50_us: f64,
    /// One in ten was slower.
    pub p90_us: f64,
    /// One in a hundred was slower.
    pub p99_us: f64,
    /// One in a thousand was slower.
    pub p999_us: f64,
    /// The slowest.
    pub max_us: f64,
}

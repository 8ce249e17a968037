//! What the logs of a namespace retain together: one number, kept by each of them as it grows and
//! shrinks, so that knowing it costs nobody a look at all topics. A log reaches the memory budget
//! through it, so that it costs a topic nothing either.

use super::budget::Budget;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes of records that all logs which share it retain, and the budget they are charged to.
#[derive(Debug)]
pub struct Weight {
    bytes: AtomicU64,
    budget: Arc<Budget>,
}

impl Weight {
    /// Nothing, within this budget.
    pub fn new(budget: Arc<Budget>) -> Arc<Weight> {
        Arc::new(Weight { bytes: AtomicU64::new(0), budget })
    }

    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

/// The part of one log; taken away with it.
#[derive(Debug)]
pub struct Weighed {
    weight: Arc<Weight>,
    bytes: u64,
}

impl Weighed {
    /// Nothing yet, as a part of this.
    pub fn within(weight: Arc<Weight>) -> Weighed {
        Weighed { weight, bytes: 0 }
    }

    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The budget they are charged to.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.weight.budget
    }

    /// So many more.
    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.weight.bytes.fetch_add(bytes, Relaxed);
    }

    /// So many less.
    pub fn remove(&mut self, bytes: u64) {
        self.bytes -= bytes;
        self.weight.bytes.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Weighed {
    fn drop(&mut self) {
        self.remove(self.bytes);
    }
}

#[cfg(all(test, not(bugle_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_logs_retain_is_added_up_and_goes_with_them() {
        let weight = Weight::new(Budget::new(100));
        let (mut one, mut other) = (Weighed::within(weight.clone()), Weighed::within(weight.clone()));
        one.add(10);
        other.add(5);
        one.remove(3);
        assert_eq!((one.bytes(), other.bytes(), weight.bytes()), (7, 5, 12));
        drop(one);
        assert_eq!(weight.bytes(), 5);
    }
}

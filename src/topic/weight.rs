//! What the logs of a namespace retain together: one number, kept by each of them as it grows and
//! shrinks, so that knowing it costs nobody a look at all topics.

use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes of records that all logs which share it retain.
#[derive(Debug)]
pub struct Weight(AtomicU64);

impl Weight {
    /// Nothing.
    pub fn new() -> Arc<Weight> {
        Arc::new(Weight(AtomicU64::new(0)))
    }

    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The part of one log; taken away with it.
#[derive(Debug, Default)]
pub struct Weighed {
    weight: Option<Arc<Weight>>,
    bytes: u64,
}

impl Weighed {
    /// Nothing yet, as a part of this.
    pub fn within(weight: Arc<Weight>) -> Weighed {
        Weighed { weight: Some(weight), bytes: 0 }
    }

    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So many more.
    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        if let Some(weight) = &self.weight {
            weight.0.fetch_add(bytes, Relaxed);
        }
    }

    /// So many less.
    pub fn remove(&mut self, bytes: u64) {
        self.bytes -= bytes;
        if let Some(weight) = &self.weight {
            weight.0.fetch_sub(bytes, Relaxed);
        }
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
        let weight = Weight::new();
        let (mut one, mut other) = (Weighed::within(weight.clone()), Weighed::within(weight.clone()));
        one.add(10);
        other.add(5);
        one.remove(3);
        assert_eq!((one.bytes(), other.bytes(), weight.bytes()), (7, 5, 12));
        drop(one);
        assert_eq!(weight.bytes(), 5);
    }
}

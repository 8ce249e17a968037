//! The memory budget of the process: one number that everything retained or pinned is charged to.
//!
//! A [`Charge`] is given back when it is dropped, so memory that a slow reader still holds stays
//! counted after the log has let it go. Who makes room when the budget is used up is the store's
//! business; who is in its way is told by [`Budget::pressed`].

use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Bytes that may be used, and how many are.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
    /// Part of `used` that is kept only because somebody still reads it.
    pinned: AtomicUsize,
    /// Bytes that were given up for want of room.
    evicted: AtomicU64,
    pressed: AtomicBool,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(limit: usize) -> Arc<Budget> {
        let (used, pinned) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (evicted, pressed) = (AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Budget { limit, used, pinned, evicted, pressed })
    }

    /// Takes so many bytes, or `None` where they would go over the limit.
    pub fn charge(this: &Arc<Budget>, bytes: usize) -> Option<Charge> {
        let take = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= this.limit);
        this.used.fetch_update(Relaxed, Relaxed, take).ok()?;
        Some(Charge { budget: this.clone(), bytes })
    }

    /// Whether so many more bytes would fit.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes) <= self.limit
    }

    /// The most that may be used, bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// What is used, bytes.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// What of it is memory that the logs have let go and that readers still hold, bytes.
    pub fn pinned(&self) -> usize {
        self.pinned.load(Relaxed)
    }

    /// Bytes of messages that were dropped for want of room, before retention wanted it.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    /// So many bytes of messages were dropped for want of room.
    pub fn note_evicted(&self, bytes: u64) {
        self.evicted.fetch_add(bytes, Relaxed);
    }

    /// Says that work was refused although everything that can be dropped was dropped.
    pub fn press(&self) {
        self.pressed.store(true, Relaxed);
    }

    /// Whether readers that do not read are in the way: work was refused, and less than an eighth
    /// of the budget has become free since.
    pub fn pressed(&self) -> bool {
        if self.pressed.load(Relaxed) && self.used() < self.limit / 8 * 7 {
            self.pressed.store(false, Relaxed);
        }
        self.pressed.load(Relaxed)
    }
}

/// A part of the budget, given back on drop.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

/// A part of the budget whose owner may let it go before its last reader does.
#[derive(Debug)]
pub struct Pinnable {
    charge: Charge,
    pinned: AtomicBool,
}

impl Pinnable {
    /// The same part, which nobody has let go.
    pub fn new(charge: Charge) -> Pinnable {
        Pinnable { charge, pinned: AtomicBool::new(false) }
    }

    /// The part.
    pub fn charge(&self) -> &Charge {
        &self.charge
    }

    /// Its owner has let the memory go: whoever holds it now pins it.
    pub fn pin(&self) {
        if !self.pinned.swap(true, Relaxed) {
            self.charge.budget.pinned.fetch_add(self.charge.bytes, Relaxed);
        }
    }
}

impl Drop for Pinnable {
    fn drop(&mut self) {
        if self.pinned.load(Relaxed) {
            self.charge.budget.pinned.fetch_sub(self.charge.bytes, Relaxed);
        }
    }
}

impl Charge {
    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Another charge to the same budget, or `None` where it has no room.
    pub fn further(&self, bytes: usize) -> Option<Charge> {
        Budget::charge(&self.budget, bytes)
    }

    /// Takes over what another charge of the same budget holds.
    pub fn absorb(&mut self, mut other: Charge) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Gives back what is held beyond so many bytes.
    pub fn shrink(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.budget.used.fetch_sub(surplus, Relaxed);
        self.bytes -= surplus;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back_and_the_limit_holds() {
        let budget = Budget::new(100);
        let first = Budget::charge(&budget, 60).unwrap();
        assert!(Budget::charge(&budget, 41).is_none());
        assert!(Budget::charge(&budget, usize::MAX).is_none());
        let second = Budget::charge(&budget, 40).unwrap();
        assert!(!budget.has_room(1));
        drop(first);
        assert_eq!(budget.used(), 40);
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_its_owner_has_let_go_is_pinned_until_it_is_dropped() {
        let budget = Budget::new(100);
        let charge = Pinnable::new(Budget::charge(&budget, 10).unwrap());
        charge.pin();
        charge.pin();
        assert_eq!((budget.used(), budget.pinned()), (10, 10));
        drop(charge);
        assert_eq!((budget.used(), budget.pinned()), (0, 0));
    }

    #[test]
    fn a_charge_can_grow_and_shrink() {
        let budget = Budget::new(100);
        let mut charge = Budget::charge(&budget, 10).unwrap();
        charge.absorb(Budget::charge(&budget, 80).unwrap());
        assert_eq!((charge.bytes(), budget.used()), (90, 90));
        charge.shrink(5);
        assert_eq!((charge.bytes(), budget.used()), (5, 5));
        charge.shrink(7);
        assert_eq!((charge.bytes(), budget.used()), (5, 5));
        drop(charge);
        assert_eq!(budget.used(), 0);
    }
}

//! A timer wheel: who is due at which tick.
//!
//! One ticker turns it for all subscriptions, where a timer each would cost a heap entry and a
//! wake-up. Entries are added, moved and removed in constant time; one that is further ahead than
//! the wheel is large waits in the last slot and is looked at once in between.

use std::collections::HashMap;

/// Slots of the wheel; at ten ticks a second the horizon is six seconds.
const SLOTS: u64 = 64;

/// Values by key, each due at a tick.
pub struct Wheel<V> {
    slots: Vec<HashMap<u64, V>>,
    /// The slot of each key.
    places: HashMap<u64, usize>,
    now: u64,
}

impl<V> Default for Wheel<V> {
    fn default() -> Self {
        Wheel { slots: (0..SLOTS).map(|_| HashMap::new()).collect(), places: HashMap::new(), now: 0 }
    }
}

impl<V> Wheel<V> {
    /// Adds a value that is due in so many ticks, at least one.
    pub fn insert(&mut self, key: u64, ticks: u64, value: V) {
        let place = ((self.now + ticks.clamp(1, SLOTS - 1)) % SLOTS) as usize;
        self.places.insert(key, place);
        self.slots[place].insert(key, value);
    }

    /// Takes a value out before it is due.
    pub fn remove(&mut self, key: u64) -> Option<V> {
        let place = self.places.remove(&key)?;
        let slot = &mut self.slots[place];
        let value = slot.remove(&key);
        if slot.is_empty() {
            slot.shrink_to_fit();
        }
        if self.places.is_empty() {
            self.places.shrink_to_fit();
        }
        value
    }

    /// Turns the wheel by one tick and takes out what is due. Keys stay with their owner, who adds
    /// those that go on again.
    pub fn turn(&mut self) -> Vec<(u64, V)> {
        self.now += 1;
        let place = (self.now % SLOTS) as usize;
        let due: Vec<_> = std::mem::take(&mut self.slots[place]).into_iter().collect();
        for (key, _) in &due {
            self.places.remove(key);
        }
        due
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_value_comes_out_once_at_its_tick(ticks in prop::collection::vec(1u64..200, 0..50)) {
            let mut wheel = Wheel::default();
            for (key, ticks) in ticks.iter().enumerate() {
                wheel.insert(key as u64, *ticks, *ticks);
            }
            let mut seen = Vec::new();
            for now in 1..SLOTS {
                for (_, ticks) in wheel.turn() {
                    prop_assert_eq!(now, ticks.min(SLOTS - 1));
                    seen.push(ticks);
                }
            }
            prop_assert_eq!(seen.len(), ticks.len());
            prop_assert_eq!(wheel.len(), 0);
        }
    }

    #[test]
    fn what_was_removed_is_not_due() {
        let mut wheel = Wheel::default();
        wheel.insert(1, 1, "a");
        wheel.insert(2, 1, "b");
        assert_eq!(wheel.remove(1), Some("a"));
        assert_eq!(wheel.remove(1), None);
        assert_eq!(wheel.turn(), vec![(2, "b")]);
    }
}

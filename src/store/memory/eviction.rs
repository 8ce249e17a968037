//! Makes room when the memory budget is used up: the oldest retained messages of all topics go.
//!
//! Every topic with messages stands here once, by the time of its oldest message as it was when last
//! looked at. That is corrected when the topic's turn comes, so publishing does not touch this list
//! but for a new chunk. A topic that is empty is not listed: a million of them would be looked at
//! for every publish.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::store::unix_nanos;
use crate::topic::{Broadcast, Budget};

/// The topics that have messages, oldest first.
pub struct Eviction {
    budget: Arc<Budget>,
    order: Mutex<Order>,
    tickets: AtomicU64,
}

#[derive(Default)]
struct Order {
    /// By time of the oldest message, unix nanoseconds, then by ticket.
    channels: BTreeMap<(u64, u64), Weak<Broadcast>>,
    /// The time under which each ticket stands above.
    times: HashMap<u64, u64>,
}

/// A topic's place in the order, given up on drop.
pub struct Ticket {
    eviction: Arc<Eviction>,
    number: u64,
}

impl Eviction {
    /// An empty order for this budget.
    pub fn new(budget: Arc<Budget>) -> Arc<Eviction> {
        Arc::new(Eviction { budget, order: Mutex::default(), tickets: AtomicU64::new(0) })
    }

    /// The budget that is kept.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Drops the oldest messages until so many bytes fit; `false` where that is not possible,
    /// because nothing is retained any more and the rest is in use.
    pub fn make_room(&self, bytes: usize) -> bool {
        let begun = unix_nanos();
        while !self.budget.has_room(bytes) {
            let Some((number, channel)) = self.take_oldest(begun) else { return false };
            let Some(channel) = channel.upgrade() else { continue };
            let (dropped, oldest) = channel.with_log(|log| {
                let before = log.bytes();
                log.drop_oldest();
                (before - log.bytes(), log.oldest_time())
            });
            self.budget.note_evicted(dropped);
            // Whoever appends to it after this look lists it again.
            if let Some(time) = oldest {
                self.lock().insert(time, number, &channel);
            }
        }
        true
    }

    /// Takes the topic with the oldest message out, if that is from before `begun`.
    fn take_oldest(&self, begun: u64) -> Option<(u64, Weak<Broadcast>)> {
        let mut order = self.lock();
        let entry = order.channels.first_entry()?;
        let (time, number) = *entry.key();
        if time >= begun {
            return None;
        }
        let channel = entry.remove();
        order.times.remove(&number);
        Some((number, channel))
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// Lists a topic, unless it is listed.
    fn insert(&mut self, time: u64, number: u64, channel: &Arc<Broadcast>) {
        if let Entry::Vacant(entry) = self.times.entry(number) {
            entry.insert(time);
            self.channels.insert((time, number), Arc::downgrade(channel));
        }
    }
}

impl Ticket {
    /// A topic that has no messages yet.
    pub fn new(eviction: &Arc<Eviction>) -> Ticket {
        let number = eviction.tickets.fetch_add(1, Relaxed);
        Ticket { eviction: eviction.clone(), number }
    }

    /// The order it belongs to.
    pub fn eviction(&self) -> &Eviction {
        &self.eviction
    }

    /// Lists the topic, which has a new chunk, unless it is listed.
    pub fn list(&self, channel: &Arc<Broadcast>) {
        self.eviction.lock().insert(unix_nanos(), self.number, channel);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut order = self.eviction.lock();
        if let Some(time) = order.times.remove(&self.number) {
            order.channels.remove(&(time, self.number));
        }
    }
}

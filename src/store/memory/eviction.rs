//! Makes room when the memory budget is used up: the oldest retained messages of all topics go.
//!
//! Every topic that ever had messages stands here once, by the time of its oldest message as it was
//! when last looked at. That is corrected when the topic's turn comes, so publishing does not touch
//! this list but for a topic's first message.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
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
    listed: AtomicBool,
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
            let oldest = channel.with_log(|log| {
                log.drop_oldest();
                log.oldest_time()
            });
            // A topic that is empty now stays listed, behind all that were there when this began.
            let time = oldest.unwrap_or(begun);
            self.lock().insert(time, number, Arc::downgrade(&channel));
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
    fn insert(&mut self, time: u64, number: u64, channel: Weak<Broadcast>) {
        self.times.insert(number, time);
        self.channels.insert((time, number), channel);
    }
}

impl Ticket {
    /// A topic that has no messages yet.
    pub fn new(eviction: &Arc<Eviction>) -> Ticket {
        let number = eviction.tickets.fetch_add(1, Relaxed);
        Ticket { eviction: eviction.clone(), number, listed: AtomicBool::new(false) }
    }

    /// The order it belongs to.
    pub fn eviction(&self) -> &Eviction {
        &self.eviction
    }

    /// Lists the topic, which now has messages, unless it is listed.
    pub fn list(&self, channel: &Arc<Broadcast>) {
        if self.listed.load(Relaxed) || self.listed.swap(true, Relaxed) {
            return;
        }
        self.eviction.lock().insert(unix_nanos(), self.number, Arc::downgrade(channel));
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

//! What goes in and out by topic, with a bounded number of names.
//!
//! The first topics that are opened have counters of their own; all others share those of "other".
//! When a topic with a name is closed its series end, and its name is free for another one; what it
//! has counted stays in the total of all topics, which no series shows: added to one, it would look
//! like traffic of that moment.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::state::Counter;
use crate::topic::{State as ChannelState, TopicName};

/// The counters of a topic, or of all others.
#[derive(Debug, Default)]
pub struct Traffic {
    name: Option<TopicName>,
    published_messages: AtomicU64,
    published_bytes: AtomicU64,
    delivered_messages: AtomicU64,
    delivered_bytes: AtomicU64,
    /// Open subscriptions, as of the last sweep.
    pub subscriptions: Counter,
    /// Bytes of retained messages, as of the last sweep.
    pub retained_bytes: Counter,
    /// Messages that the subscription furthest behind has not been given, as of the last sweep.
    pub lag_messages: Counter,
    /// Age of the first of them, nanoseconds.
    pub lag_nanos: Counter,
    /// Where its counts go when it is closed.
    closed: Option<Arc<Traffic>>,
}

/// What was counted of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Messages accepted.
    pub published_messages: u64,
    /// The same in bytes, as they are kept.
    pub published_bytes: u64,
    /// Messages given to subscribers.
    pub delivered_messages: u64,
    /// The same in bytes.
    pub delivered_bytes: u64,
}

impl std::iter::Sum for Counted {
    fn sum<I: Iterator<Item = Counted>>(all: I) -> Counted {
        all.fold(Counted::default(), |sum, one| Counted {
            published_messages: sum.published_messages + one.published_messages,
            published_bytes: sum.published_bytes + one.published_bytes,
            delivered_messages: sum.delivered_messages + one.delivered_messages,
            delivered_bytes: sum.delivered_bytes + one.delivered_bytes,
        })
    }
}

impl Traffic {
    /// The topic's name; `None` for all others.
    pub fn name(&self) -> Option<&TopicName> {
        self.name.as_ref()
    }

    /// A batch was accepted.
    pub fn published(&self, messages: u64, bytes: u64) {
        self.published_messages.fetch_add(messages, Relaxed);
        self.published_bytes.fetch_add(bytes, Relaxed);
    }

    /// Messages were given to a subscriber.
    pub fn delivered(&self, messages: u64, bytes: u64) {
        self.delivered_messages.fetch_add(messages, Relaxed);
        self.delivered_bytes.fetch_add(bytes, Relaxed);
    }

    /// What was counted.
    pub fn counted(&self) -> Counted {
        Counted {
            published_messages: self.published_messages.load(Relaxed),
            published_bytes: self.published_bytes.load(Relaxed),
            delivered_messages: self.delivered_messages.load(Relaxed),
            delivered_bytes: self.delivered_bytes.load(Relaxed),
        }
    }

    /// How the topic stands.
    pub fn stands(&self, state: ChannelState) {
        self.subscriptions.set(state.readers as u64);
        self.retained_bytes.set(state.bytes);
        self.lag_messages.set(state.lag.messages);
        self.lag_nanos.set(state.lag.nanos);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        let Some(closed) = &self.closed else { return };
        let Counted { published_messages, published_bytes, delivered_messages, delivered_bytes } =
            self.counted();
        closed.published(published_messages, published_bytes);
        closed.delivered(delivered_messages, delivered_bytes);
    }
}

/// All topics' counters.
#[derive(Debug)]
pub struct Topics {
    max: usize,
    named: Mutex<Vec<Weak<Traffic>>>,
    others: Arc<Traffic>,
    /// Of topics that had a name and are closed.
    closed: Arc<Traffic>,
}

impl Topics {
    /// So many topics have a name.
    pub fn new(max: usize) -> Topics {
        Topics { max, named: Mutex::default(), others: Arc::default(), closed: Arc::default() }
    }

    /// The counters of a topic.
    pub fn open(&self, name: &TopicName) -> Arc<Traffic> {
        let mut named = self.named();
        if named.len() >= self.max {
            named.retain(|traffic| traffic.strong_count() > 0);
        }
        // A topic that was deleted may still be read while another one of its name is opened.
        let known = named.iter().filter_map(Weak::upgrade).find(|traffic| traffic.name() == Some(name));
        if let Some(known) = known {
            return known;
        }
        if named.len() >= self.max {
            return self.others.clone();
        }
        let mut traffic = Traffic::default();
        traffic.name = Some(name.clone());
        traffic.closed = Some(self.closed.clone());
        let traffic = Arc::new(traffic);
        named.push(Arc::downgrade(&traffic));
        traffic
    }

    /// The counters without a name.
    pub fn others(&self) -> &Arc<Traffic> {
        &self.others
    }

    /// All counters: those with a name, then the others.
    pub fn all(&self) -> Vec<Arc<Traffic>> {
        let named = self.named();
        named.iter().filter_map(Weak::upgrade).chain([self.others.clone()]).collect()
    }

    /// What was counted of all topics, closed ones included.
    pub fn total(&self) -> Counted {
        self.all().iter().chain([&self.closed]).map(|traffic| traffic.counted()).sum()
    }

    fn named(&self) -> MutexGuard<'_, Vec<Weak<Traffic>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(topic: &str) -> TopicName {
        TopicName::parse("", topic).unwrap()
    }

    #[test]
    fn the_first_topics_have_a_name_and_the_rest_is_other() {
        let topics = Topics::new(2);
        let open: Vec<_> = ["a", "b", "c", "d"].map(|topic| topics.open(&name(topic))).into();
        assert!(open[0].name().is_some() && open[1].name().is_some());
        assert!(open[2].name().is_none() && Arc::ptr_eq(&open[2], &open[3]));
        assert_eq!(topics.all().len(), 3);
        assert!(Arc::ptr_eq(&open[0], &topics.open(&name("a"))));
    }

    #[test]
    fn what_a_closed_topic_counted_is_not_lost_and_its_name_is_free() {
        let topics = Topics::new(1);
        let first = topics.open(&name("a"));
        first.published(5, 50);
        topics.open(&name("b")).published(1, 10);
        assert_eq!(topics.total().published_messages, 6);
        drop(first);
        assert_eq!(topics.total().published_messages, 6);
        assert_eq!(topics.others().counted().published_messages, 1);
        assert_eq!(topics.open(&name("b")).name(), Some(&name("b")));
    }

    #[test]
    fn without_names_all_topics_are_other() {
        let topics = Topics::new(0);
        assert!(topics.open(&name("a")).name().is_none());
    }
}

//! The past of topics that were closed while idle.
//!
//! A topic that comes back goes on in its epoch, so that a subscriber which had read everything is
//! not told of a loss that did not happen. The oldest entries go when there are too many; those
//! topics begin a new epoch, which is always safe.

use std::collections::{HashMap, VecDeque};

use crate::limits::CLOSED_TOPICS_MAX;
use crate::topic::{Namespace, Past, TopicName};

/// Pasts by topic, in the order in which they were closed.
#[derive(Default)]
pub struct Closed {
    pasts: HashMap<TopicName, (u64, Past)>,
    order: VecDeque<(u64, TopicName)>,
    count: u64,
}

impl Closed {
    /// Remembers a topic that is closed now.
    pub fn put(&mut self, name: TopicName, past: Past) {
        self.count += 1;
        self.pasts.insert(name.clone(), (self.count, past));
        self.order.push_back((self.count, name));
        while self.order.len() > CLOSED_TOPICS_MAX {
            let Some((number, name)) = self.order.pop_front() else { break };
            if self.pasts.get(&name).is_some_and(|(newest, _)| *newest == number) {
                self.pasts.remove(&name);
            }
        }
    }

    /// The past of a topic, if it was closed and is remembered.
    pub fn take(&mut self, name: &TopicName) -> Option<Past> {
        self.pasts.remove(name).map(|(_, past)| past)
    }

    /// Forgets the topics of a namespace.
    pub fn forget(&mut self, namespace: &Namespace) {
        self.pasts.retain(|name, _| name.namespace() != namespace);
        self.order.retain(|(_, name)| name.namespace() != namespace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Position;

    #[test]
    fn a_position_is_remembered_until_there_are_too_many() {
        let mut closed = Closed::default();
        let past = |epoch, next| Past { next: Position::new(epoch, next), newest_time: None };
        let name = |n: usize| TopicName::parse("", &n.to_string()).unwrap();
        for n in 0..=CLOSED_TOPICS_MAX {
            closed.put(name(n), past(1, n as u64));
        }
        assert_eq!(closed.take(&name(0)), None);
        assert_eq!(closed.take(&name(1)), Some(past(1, 1)));
        assert_eq!(closed.take(&name(1)), None);
        closed.put(name(2), past(7, 7));
        assert_eq!(closed.take(&name(2)), Some(past(7, 7)));
        closed.forget(&Namespace::default());
        assert_eq!(closed.take(&name(3)), None);
    }
}

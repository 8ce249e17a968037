//! Which traces are recorded: those whose caller said so; of the others a part, such that quiet
//! topics are visible and loud ones bounded.
//!
//! Topics share a table of counters by the hash of their name, so a million of them cost nothing.
//! Two that meet in one share their floor and their cap, which is rare and harmless.

use std::hash::{BuildHasher, RandomState};

use super::limiter::Limiter;
use crate::limits::{TOPIC_TRACES_CAP_DEFAULT, TOPIC_TRACES_FLOOR_DEFAULT, TRACE_RATIO_DEFAULT};
use crate::topic::{TopicName, TraceContext};

/// Counters of the table.
const SLOTS: usize = 1024;

/// How traces are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// What the caller's context says decides, where there is one.
    pub parent_based: bool,
    /// Part of the others that are recorded, 0 to 1.
    pub ratio: f64,
    /// So many a second of each topic are recorded whatever the ratio says.
    pub topic_floor: u64,
    /// At most so many a second of each topic are.
    pub topic_cap: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling {
            parent_based: true,
            ratio: TRACE_RATIO_DEFAULT,
            topic_floor: TOPIC_TRACES_FLOOR_DEFAULT,
            topic_cap: TOPIC_TRACES_CAP_DEFAULT,
        }
    }
}

/// Decides by [`Sampling`].
pub struct Sampler {
    sampling: Sampling,
    hasher: RandomState,
    topics: Box<[Limiter]>,
}

impl Sampler {
    pub fn new(sampling: Sampling) -> Sampler {
        let topics = (0..SLOTS).map(|_| Limiter::new(sampling.topic_cap)).collect();
        Sampler { sampling, hasher: RandomState::new(), topics }
    }

    /// Whether to record work on a topic that came with a context, sampled or not, at this time,
    /// unix nanoseconds.
    pub fn decide(
        &self,
        topic: Option<&TopicName>,
        context: Option<TraceContext>,
        is_sampled: bool,
        time: u64,
    ) -> bool {
        if self.sampling.parent_based && context.is_some() {
            return is_sampled;
        }
        let slot = &self.topics[self.hasher.hash_one(topic) as usize % SLOTS];
        let is_quiet = slot.count(time) < self.sampling.topic_floor;
        (is_quiet || rand::random::<f64>() < self.sampling.ratio) && slot.admit(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn decided(sampling: Sampling, count: usize) -> usize {
        let (sampler, topic) = (Sampler::new(sampling), TopicName::parse("", "t").unwrap());
        (0..count).filter(|_| sampler.decide(Some(&topic), None, false, SECOND)).count()
    }

    #[test]
    fn the_caller_decides_where_it_said_anything() {
        let sampling = Sampling { ratio: 1.0, ..Sampling::default() };
        let topic = TopicName::parse("", "t").unwrap();
        let context = TraceContext::sampled(1, 1);
        let sampler = Sampler::new(sampling);
        assert!(!sampler.decide(Some(&topic), context, false, SECOND));
        assert!(sampler.decide(Some(&topic), context, true, SECOND));
        let alone = Sampler::new(Sampling { parent_based: false, ratio: 0.0, topic_floor: 0, ..sampling });
        assert!(!alone.decide(Some(&topic), context, true, SECOND));
    }

    #[test]
    fn a_quiet_topic_is_seen_and_a_loud_one_bounded() {
        let none = Sampling { ratio: 0.0, topic_floor: 2, topic_cap: 5, ..Sampling::default() };
        assert_eq!(decided(none, 1000), 2);
        assert_eq!(decided(Sampling { ratio: 1.0, ..none }, 1000), 5);
        assert_eq!(decided(Sampling { ratio: 0.0, topic_floor: 0, ..none }, 1000), 0);
        let part = decided(Sampling { ratio: 0.1, topic_floor: 0, topic_cap: 100_000, ..none }, 100_000);
        assert!((8_000..12_000).contains(&part), "{part}");
    }
}

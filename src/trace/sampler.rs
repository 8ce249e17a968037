//! Which traces are recorded: those whose caller said so; of the others a part, such that quiet
//! topics are visible and loud ones bounded.
//!
//! Topics share a table of counters by the hash of their name, so a million of them cost nothing. Two
//! that meet in one share their floor and their cap: of a thousand topics about fifteen do, of a
//! hundred thousand most.

use std::hash::{BuildHasher, RandomState};

use super::limiter::Limiter;
use crate::limits::{
    SAMPLER_SLOTS, TOPIC_TRACES_CAP_DEFAULT, TOPIC_TRACES_FLOOR_DEFAULT, TRACE_RATIO_DEFAULT,
};
use crate::topic::{TopicName, TraceContext};

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
        Sampler { sampling, hasher: RandomState::new(), topics: Box::default() }
    }

    /// The same, with room for counting topics: half a MiB that is wanted only where spans are
    /// exported.
    pub fn with_topics(self) -> Sampler {
        let topics = (0..SAMPLER_SLOTS).map(|_| Limiter::default()).collect();
        Sampler { topics, ..self }
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
        let hash = self.hasher.hash_one(topic) as usize;
        let Some(slot) = self.topics.get(hash % self.topics.len().max(1)) else { return false };
        let is_quiet = slot.count(time) < self.sampling.topic_floor;
        // By the id of the trace, so that all who see it decide alike.
        let dice = context.map_or_else(rand::random, |context| context.trace_id as u64);
        let is_chosen =
            (dice >> 1) as f64 / (1u64 << 63) as f64 <= self.sampling.ratio && self.sampling.ratio > 0.0;
        (is_quiet || is_chosen) && slot.admit(time, self.sampling.topic_cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn decided(sampling: Sampling, count: usize) -> usize {
        let (sampler, topic) = (Sampler::new(sampling).with_topics(), TopicName::parse("", "t").unwrap());
        (0..count).filter(|_| sampler.decide(Some(&topic), None, false, SECOND)).count()
    }

    #[test]
    fn the_caller_decides_where_it_said_anything() {
        let sampling = Sampling { ratio: 1.0, ..Sampling::default() };
        let topic = TopicName::parse("", "t").unwrap();
        let context = TraceContext::sampled(1, 1);
        let sampler = Sampler::new(sampling).with_topics();
        assert!(!sampler.decide(Some(&topic), context, false, SECOND));
        assert!(sampler.decide(Some(&topic), context, true, SECOND));
        let alone = Sampling { parent_based: false, ratio: 0.0, topic_floor: 0, ..sampling };
        let alone = Sampler::new(alone).with_topics();
        assert!(!alone.decide(Some(&topic), context, true, SECOND));
    }

    #[test]
    fn whoever_sees_a_trace_decides_alike() {
        let half = Sampling { parent_based: false, ratio: 0.5, topic_floor: 0, topic_cap: 10_000 };
        let samplers = [Sampler::new(half).with_topics(), Sampler::new(half).with_topics()];
        let topic = TopicName::parse("", "t").unwrap();
        let decide =
            |sampler: &Sampler, id| sampler.decide(Some(&topic), TraceContext::sampled(id, 1), true, SECOND);
        let ids: Vec<u128> = (0..1000).map(|_| rand::random()).collect();
        assert!(ids.iter().all(|id| decide(&samplers[0], *id) == decide(&samplers[1], *id)));
        let chosen = ids.iter().filter(|id| decide(&samplers[0], **id)).count();
        assert!((400..600).contains(&chosen), "{chosen}");
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

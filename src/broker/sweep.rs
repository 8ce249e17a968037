//! The broker's two tasks: one wakes readers, one counts ticks and sweeps.
//!
//! The first is the thread of the fan-out scheduler. The second turns the heartbeat wheel, and
//! looks after topics a part at a time, so that a million of them cost no pause: what is too old is
//! dropped, what is idle is closed.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::Poll;

use tokio::time::MissedTickBehavior;

use super::Broker;
use super::registry::Topic;
use crate::error::Code;
use crate::limits::TICK;
use crate::store::{Log, unix_nanos};
use crate::topic::{Broadcast, Fanout, Lag, Progress, State, TopicName, Who};
use crate::trace::{Operation, Span, Value};

/// Topics looked after in one tick.
const TOPICS: usize = 4096;
/// Ticks from one line about cut subscriptions to the next, at least: ten seconds. It is the clients
/// that cause them.
const QUIET: u64 = 100;
/// Ticks from the end of a sweep over all topics to the next one: a second.
const PAUSE: u64 = 10;

/// Wakes readers as long as the broker lives.
pub async fn wake_readers(fanout: Arc<Fanout<Broadcast>>) {
    poll_fn(|cx| {
        if fanout.poll_work(cx).is_ready() {
            // There is more to do, after other tasks have had their turn.
            cx.waker().wake_by_ref();
        }
        Poll::<()>::Pending
    })
    .await;
}

/// Counts ticks as long as the broker lives.
pub async fn tick(broker: Weak<Broker>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut resume_at, mut others) = (None, 0, Others::default());
    let (mut cut, mut last_cut, mut tell_at) = (0, None, 0);
    loop {
        interval.tick().await;
        let Some(broker) = broker.upgrade() else { return };
        let stalled = broker.shared.fanout.tick(broker.shared.budget.pressed());
        trace(&broker, &stalled);
        measure(&broker);
        let now = broker.shared.fanout.now();
        cut += stalled.len();
        last_cut = stalled.last().cloned().or(last_cut);
        if now >= tell_at
            && let Some(last) = last_cut.take()
        {
            tell(std::mem::take(&mut cut), last.who());
            tell_at = now + QUIET;
        }
        if now >= resume_at {
            last = sweep(&broker, last.as_ref(), now, &mut others);
            if last.is_none() {
                resume_at = now + PAUSE;
                broker.metrics.state().others().stands(std::mem::take(&mut others.0));
            }
        }
    }
}

/// Looks after the topics behind the last one; the last one of these, or `None` after the end.
fn sweep(broker: &Broker, last: Option<&TopicName>, now: u64, others: &mut Others) -> Option<TopicName> {
    let topics = broker.registry.after(last, TOPICS);
    let time = unix_nanos();
    for topic in &topics {
        topic.log.tail().with_log(|log| log.trim(time));
        others.stands(topic, time);
    }
    let idle_ticks = broker.options.idle_close_after.as_millis() / TICK.as_millis();
    broker.registry.close_idle(&topics, now, u64::try_from(idle_ticks).unwrap_or(u64::MAX));
    if topics.len() < TOPICS { None } else { topics.last().map(|topic| topic.name.clone()) }
}

/// How the topics without counters of their own stand, together.
#[derive(Default)]
struct Others(State);

impl Others {
    /// A topic stands so: it is told to its own counters, or added to these.
    fn stands(&mut self, topic: &Topic, time: u64) {
        let state = topic.log.tail().state(time);
        if topic.traffic.name().is_some() {
            return topic.traffic.stands(state);
        }
        let (State { readers, bytes, lag }, all) = (state, &mut self.0);
        all.readers += readers;
        all.bytes += bytes;
        all.lag = Lag { messages: all.lag.messages.max(lag.messages), nanos: all.lag.nanos.max(lag.nanos) };
    }
}

/// Sets what is measured of the broker as a whole.
fn measure(broker: &Broker) {
    let (state, budget) = (broker.metrics.state(), &broker.shared.budget);
    state.memory_used.set(budget.used() as u64);
    state.memory_pinned.set(budget.pinned() as u64);
    state.evicted_bytes.set(budget.evicted());
    state.open_topics.set(broker.topics() as u64);
    state.namespaces.set(broker.registry.namespace_count() as u64);
}

/// Counts and traces subscriptions that were cut.
fn trace(broker: &Broker, cut: &[Arc<Progress>]) {
    broker.metrics.state().stalls.add(cut.len() as u64);
    for progress in cut {
        let (who, now) = (progress.who(), unix_nanos());
        let Some(context) = broker.recorder.event(Operation::Stall, now) else { continue };
        let span = Span::new(Operation::Stall, who.topic.clone(), context, now, now)
            .with("bugle.subscription.id", Value::Id(who.id))
            .with_peer(who.peer)
            .failed(Code::ResourceExhausted, "the subscription made no progress and was cut");
        broker.recorder.record(span);
    }
}

/// Says in the log that so many subscriptions were cut, and which was the last.
fn tell(cut: usize, last: &Who) {
    tracing::warn!(
        subscriptions = cut,
        last = %last.id,
        topic = last.topic.as_ref().map(tracing::field::display),
        peer = last.peer.map(tracing::field::display),
        "cut subscriptions that made no progress for delivery.stall_timeout, or for two seconds while \
         memory was short"
    );
}

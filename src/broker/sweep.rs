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
use crate::limits::TICK;
use crate::store::{Log, unix_nanos};
use crate::topic::{Broadcast, Fanout, TopicName};

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
    let (mut last, mut resume_at) = (None, 0);
    let (mut cut, mut tell_at) = (0, 0);
    loop {
        interval.tick().await;
        let Some(broker) = broker.upgrade() else { return };
        cut += broker.shared.fanout.tick(broker.shared.budget.pressed());
        let now = broker.shared.fanout.now();
        if cut > 0 && now >= tell_at {
            tracing::warn!(subscriptions = cut, "cut subscriptions that made no progress");
            (cut, tell_at) = (0, now + QUIET);
        }
        if now >= resume_at {
            last = sweep(&broker, last.as_ref(), now);
            if last.is_none() {
                resume_at = now + PAUSE;
            }
        }
    }
}

/// Looks after the topics behind the last one; the last one of these, or `None` after the end.
fn sweep(broker: &Broker, last: Option<&TopicName>, now: u64) -> Option<TopicName> {
    let topics = broker.registry.after(last, TOPICS);
    let time = unix_nanos();
    for topic in &topics {
        topic.log.tail().with_log(|log| log.trim(time));
    }
    let idle_ticks = broker.options.idle_close_after.as_millis() / TICK.as_millis();
    broker.registry.close_idle(&topics, now, u64::try_from(idle_ticks).unwrap_or(u64::MAX));
    if topics.len() < TOPICS { None } else { topics.last().map(|topic| topic.name.clone()) }
}

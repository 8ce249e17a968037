//! Subscriptions of our own, to see a probe arrive: each is read by a task of its own, which notes
//! the time, and all of them end with the value.

use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::client::monitor::Probe;
use crate::client::{Backoff, Client, Event, Subscription};
use crate::error::Result;
use crate::topic::Position;

/// Probes that are remembered until it is known which one is ours: others may trace as well.
const HEARD_MAX: usize = 10_000;
/// After the answer, this long for what the server has written and we have not yet read.
const SETTLE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Listeners {
    ids: Vec<Option<Uuid>>,
    heard: Vec<Heard>,
    arriving: mpsc::Receiver<Heard>,
    _tasks: JoinSet<()>,
}

struct Heard {
    listener: usize,
    position: Position,
    at: Instant,
}

/// One of our own subscriptions, and when it had the probe: nanoseconds since acceptance.
pub(super) struct Own {
    pub(super) id: Option<Uuid>,
    pub(super) received: Option<i64>,
}

impl Listeners {
    /// Opens the subscriptions; whatever is published after this reaches them.
    pub(super) async fn open(client: &Client, topic: &str, count: usize) -> Result<Self> {
        let (sender, arriving) = mpsc::channel(count.max(1) * 16);
        let (mut ids, mut tasks) = (Vec::with_capacity(count), JoinSet::new());
        for listener in 0..count {
            let mut subscription = client.subscribe(topic).reconnect(Backoff::never()).open().await?;
            ids.push(match subscription.next().await.transpose()? {
                Some(Event::Opened { subscription_id, .. }) => subscription_id,
                _ => None,
            });
            tasks.spawn(listen(listener, subscription, sender.clone()));
        }
        Ok(Listeners { ids, heard: Vec::new(), arriving, _tasks: tasks })
    }

    /// Awaits the call, and takes note of what arrives in the meantime.
    pub(super) async fn during<T>(&mut self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        loop {
            tokio::select! {
                biased;
                answer = &mut call => return answer,
                Some(heard) = self.arriving.recv() => self.note(heard),
            }
        }
    }

    /// Waits, for a moment, until those have the probe that the server has written it to.
    pub(super) async fn settle(&mut self, probe: &Probe) {
        let written = |id: &Option<Uuid>| {
            id.is_some() && probe.deliveries.iter().any(|it| it.id == *id && it.written.is_some())
        };
        let awaited = self.ids.iter().filter(|id| written(id)).count();
        let all = async {
            while self.ours(probe).count() < awaited {
                let Some(heard) = self.arriving.recv().await else { return };
                self.note(heard);
            }
        };
        // That one of them has not come is what the report tells.
        let _ = tokio::time::timeout(SETTLE, all).await;
    }

    /// When each of them had the probe; `since_accepted` says what a time of ours is.
    pub(super) fn arrivals(&self, probe: &Probe, since_accepted: impl Fn(Instant) -> i64) -> Vec<Own> {
        let own = |(listener, id): (usize, &Option<Uuid>)| {
            let heard = self.ours(probe).find(|heard| heard.listener == listener);
            Own { id: *id, received: heard.map(|heard| since_accepted(heard.at)) }
        };
        self.ids.iter().enumerate().map(own).collect()
    }

    fn ours(&self, probe: &Probe) -> impl Iterator<Item = &Heard> {
        let position = probe.position;
        self.heard.iter().filter(move |heard| Some(heard.position) == position)
    }

    fn note(&mut self, heard: Heard) {
        if self.heard.len() < HEARD_MAX {
            self.heard.push(heard);
        }
    }
}

/// Reads a subscription to its end and tells of the probes in it.
async fn listen(listener: usize, mut subscription: Subscription, heard: mpsc::Sender<Heard>) {
    while let Some(Ok(delivery)) = subscription.next_message().await {
        let at = Instant::now();
        let is_probe = delivery.attributes().get(Probe::ATTRIBUTE).is_some_and(|value| value == "true");
        if is_probe && heard.send(Heard { listener, position: delivery.position, at }).await.is_err() {
            return;
        }
    }
}

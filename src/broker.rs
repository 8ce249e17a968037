//! The broker: the open topics, and the only door the APIs have to them.
//!
//! It finds or opens a topic, lets the store order what is published, and makes subscriptions. It
//! owns the tasks that wake readers and sweep topics, and ends them when it is dropped, so another
//! program can embed it: see `examples/embed.rs`.

mod admin;
mod closed;
mod registry;
mod subscription;
mod sweep;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use admin::{SubscriptionInfo, TopicChange, TopicInfo};
pub use subscription::{Delivery, Subscribe, Subscription};

use crate::error::{Code, Error, Result};
use crate::limits::{
    BATCH_BYTES_DEFAULT, HEARTBEAT_DEFAULT, IDLE_CLOSE_DEFAULT, MEMORY_BUDGET_BYTES_MIN,
    STALL_TIMEOUT_DEFAULT,
};
use crate::metrics::Metrics;
use crate::quota::{Account, Quotas};
use crate::store::{Log, MemoryStore, Receipt, Refusal, Shared};
use crate::topic::{Batch, Broadcast, Budget, Charge, End, Fanout, Namespace, Retention, TopicName};
use crate::trace::Recorder;
use registry::{Registry, Topic};

/// How a broker behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Memory that retained messages, topics, subscriptions and requests may use, bytes.
    pub memory_budget: usize,
    /// Topics are made on first use.
    pub auto_create: bool,
    /// Namespaces that exist beside the default one.
    pub namespaces: Vec<Namespace>,
    /// What a topic keeps when it has no settings of its own.
    pub retention: Retention,
    /// Topics made on first use are closed when they were empty and unused for so long.
    pub idle_close_after: Duration,
    /// A live subscription hears something this often, unless it asks for another interval.
    pub heartbeat_interval: Duration,
    /// A subscriber with data pending that makes no progress for so long is cut.
    pub stall_timeout: Duration,
    /// Upper bound of one response, bytes, unless the subscriber asks for less.
    pub max_batch_bytes: usize,
    /// What namespaces and principals may use. Topics and subscriptions are counted here; what is
    /// published is for the caller to ask about, before it costs anything.
    pub quotas: Arc<Quotas>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            memory_budget: 64 * MEMORY_BUDGET_BYTES_MIN as usize,
            auto_create: true,
            namespaces: Vec::new(),
            retention: Retention::default(),
            idle_close_after: IDLE_CLOSE_DEFAULT,
            heartbeat_interval: HEARTBEAT_DEFAULT,
            stall_timeout: STALL_TIMEOUT_DEFAULT,
            max_batch_bytes: BATCH_BYTES_DEFAULT,
            quotas: Arc::default(),
        }
    }
}

/// The open topics.
pub struct Broker {
    options: Options,
    shared: Shared,
    registry: Registry,
    metrics: Arc<Metrics>,
    recorder: Arc<Recorder>,
    subscriptions: Arc<AtomicUsize>,
    draining: CancellationToken,
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Broker {
    /// Starts a broker on the current tokio runtime, of whose work nothing is told.
    pub fn start(options: Options) -> Arc<Broker> {
        let recorder = Recorder::off();
        Broker::observed(options, Metrics::unread(&recorder), recorder)
    }

    /// Starts a broker on the current tokio runtime.
    pub fn observed(options: Options, metrics: Arc<Metrics>, recorder: Arc<Recorder>) -> Arc<Broker> {
        let shared = Shared { budget: Budget::new(options.memory_budget), fanout: Fanout::new() };
        let registry = Registry::new(MemoryStore::new(shared.clone()), &options, metrics.state().clone());
        metrics.state().count_quotas(options.quotas.clone());
        metrics.state().memory_budget.set(options.memory_budget as u64);
        let broker = Arc::new(Broker {
            options,
            shared,
            registry,
            metrics,
            recorder,
            subscriptions: Arc::default(),
            draining: CancellationToken::new(),
            tasks: std::sync::Mutex::default(),
        });
        let tasks = vec![
            tokio::spawn(sweep::wake_readers(broker.shared.fanout.clone())),
            tokio::spawn(sweep::tick(Arc::downgrade(&broker))),
        ];
        broker.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(tasks);
        broker
    }

    /// Publishes a batch to a topic, which is opened if that is allowed.
    pub async fn publish(&self, name: &TopicName, batch: &Batch) -> Result<Receipt> {
        self.publish_by(None, name, batch).await
    }

    /// The same for a principal, which a topic that is opened counts for.
    pub async fn publish_by(
        &self,
        by: Option<&Arc<Account>>,
        name: &TopicName,
        batch: &Batch,
    ) -> Result<Receipt> {
        loop {
            let topic = self.open(name, by).await?;
            match self.publish_to(&topic, batch).await {
                Ok(receipt) => return Ok(receipt),
                Err(Refusal::Error(error)) => return Err(error),
                // Closed or deleted while we held it: what there is now decides.
                Err(Refusal::Ended(End::Draining(_))) => return Err(draining()),
                Err(Refusal::Ended(_)) => {}
            }
        }
    }

    /// Publishes to a topic that is at hand; `Refusal::Ended` says to look it up again.
    async fn publish_to(&self, topic: &Topic, batch: &Batch) -> Result<Receipt, Refusal> {
        topic.note_used(self.shared.fanout.now());
        let receipt = topic.log.append(batch).await?;
        topic.traffic.published(batch.len() as u64, receipt.bytes);
        Ok(receipt)
    }

    /// Subscribes to a topic, which is opened if that is allowed.
    pub async fn subscribe(&self, name: &TopicName, request: Subscribe) -> Result<Subscription> {
        let mut request = request;
        loop {
            let topic = self.open(name, request.by.as_ref()).await?;
            topic.note_used(self.shared.fanout.now());
            match Subscription::open(self, topic, &mut request)? {
                Ok(subscription) => return Ok(subscription),
                Err(End::Draining(_)) => return Err(draining()),
                Err(_) => {}
            }
        }
    }

    /// Ends all work in an orderly way: new work is refused, and every subscription is given what
    /// its topic has, told that the server is going away within `grace`, and ended.
    pub fn drain(&self, grace: Duration) {
        self.draining.cancel();
        self.metrics.state().drain();
        for topic in self.registry.drain() {
            Broadcast::end(topic.log.tail(), End::Draining(grace));
        }
    }

    /// Completes when the broker drains; what is to end with it waits for this.
    pub fn drained(&self) -> impl Future<Output = ()> + Send + use<> {
        self.draining.clone().cancelled_owned()
    }

    /// Refuses, once the broker drains.
    pub fn check_open(&self) -> Result<()> {
        if self.draining.is_cancelled() { Err(draining()) } else { Ok(()) }
    }

    /// Number of open subscriptions.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Relaxed)
    }

    /// Number of open topics.
    pub fn topics(&self) -> usize {
        self.registry.topics()
    }

    /// Number of namespaces.
    pub fn namespaces(&self) -> usize {
        self.registry.namespace_count()
    }

    /// Charges the memory budget for something that is no message; the oldest messages go for it.
    /// `None` where they are not enough.
    pub fn charge(&self, bytes: usize) -> Option<Charge> {
        self.registry.charge(bytes)
    }

    /// The memory budget.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.shared.budget
    }

    /// What is counted of its work.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What is traced of its work.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// How this broker behaves.
    pub fn options(&self) -> &Options {
        &self.options
    }

    async fn open(&self, name: &TopicName, by: Option<&Arc<Account>>) -> Result<Arc<Topic>> {
        match self.registry.find(name)? {
            Some(topic) => Ok(topic),
            None if self.options.auto_create => {
                Ok(self.registry.open(name, self.options.retention, false, by).await?.0)
            }
            None => Err(topic_not_found(name)),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        tasks.iter().for_each(JoinHandle::abort);
        self.shared.fanout.clear();
    }
}

fn topic_not_found(name: &TopicName) -> Error {
    let message = format!(
        "topic {:?} does not exist in namespace {:?}; create it first",
        name.topic(),
        name.namespace()
    );
    Error::new(Code::NotFound, message).reason("TOPIC_NOT_FOUND")
}

fn draining() -> Error {
    Error::new(Code::Unavailable, "the server is going away; retry, or use another one")
        .reason("DRAINING")
        .retry_after(Duration::from_secs(1))
}

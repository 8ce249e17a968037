//! The counters and gauges of a server as plain atomics, added to where the work is done.
//!
//! Gauges that would cost a look at everything (lag, memory by topic) are set by the broker's sweep,
//! about once a second, so that reading the metrics costs the bus nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use super::traffic::{Counted, Topics, Traffic};
use super::webhooks::AllPushes;
use crate::error::Code;
use crate::quota::Quotas;
use crate::topic::{Reason, TopicName};

/// A number that is counted up, or set.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// One less.
    pub fn decrement(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// So many.
    pub fn set(&self, count: u64) {
        self.0.store(count, Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counts the open calls when somebody asks.
type CountStreams = Box<dyn Fn(&State) -> u64 + Send + Sync>;

/// All counters and gauges.
pub struct State {
    topics: Topics,
    discontinuities: [Counter; Reason::ALL.len()],
    skipped: [Counter; Reason::ALL.len()],
    refusals: [Counter; Code::ALL.len()],
    /// Subscriptions cut because they made no progress.
    pub stalls: Counter,
    /// Subscriptions that were opened.
    pub subscriptions_opened: Counter,
    /// Bytes of messages that were dropped for want of memory before retention wanted it.
    pub evicted_bytes: Counter,
    /// Memory that may be used, bytes.
    pub memory_budget: Counter,
    /// Memory that is used, bytes.
    pub memory_used: Counter,
    /// Memory that slow readers keep after the logs have let it go, bytes.
    pub memory_pinned: Counter,
    /// Open connections.
    pub connections: Counter,
    /// Connections that were accepted.
    pub connections_accepted: Counter,
    /// When the certificate of the listener expires, unix seconds; 0 without TLS.
    pub tls_certificate_expiry: Counter,
    /// Connections that were refused: there were too many.
    pub refused_connections: Counter,
    /// Connections that were refused: there were too many from their address.
    pub refused_address: Counter,
    /// Connections that were refused: too many came from their address in a second.
    pub refused_rate: Counter,
    /// Open topics.
    pub open_topics: Counter,
    /// Namespaces.
    pub namespaces: Counter,
    /// What is counted of webhooks.
    pub webhooks: AllPushes,
    streams: OnceLock<CountStreams>,
    quotas: OnceLock<Arc<Quotas>>,
    draining: AtomicBool,
    started: SystemTime,
}

impl State {
    /// Nothing was counted; so many topics are counted one by one.
    pub fn new(topics: usize) -> State {
        State {
            topics: Topics::new(topics),
            discontinuities: Default::default(),
            skipped: Default::default(),
            refusals: Default::default(),
            stalls: Counter::default(),
            subscriptions_opened: Counter::default(),
            evicted_bytes: Counter::default(),
            memory_budget: Counter::default(),
            memory_used: Counter::default(),
            memory_pinned: Counter::default(),
            connections: Counter::default(),
            connections_accepted: Counter::default(),
            tls_certificate_expiry: Counter::default(),
            refused_connections: Counter::default(),
            refused_address: Counter::default(),
            refused_rate: Counter::default(),
            streams: OnceLock::new(),
            quotas: OnceLock::new(),
            open_topics: Counter::default(),
            namespaces: Counter::default(),
            webhooks: AllPushes::default(),
            draining: AtomicBool::new(false),
            started: SystemTime::now(),
        }
    }

    /// The counters of a topic that is opened: its own while there is room for names, otherwise
    /// those of all others.
    pub fn topic(&self, name: &TopicName) -> Arc<Traffic> {
        self.topics.open(name)
    }

    /// What was counted of all topics since the start.
    pub fn total(&self) -> Counted {
        self.topics.total()
    }

    /// The counters of all topics without a name of their own.
    pub fn others(&self) -> &Arc<Traffic> {
        self.topics.others()
    }

    /// The counters of each topic that has a name, and those of the others.
    pub fn topics(&self) -> Vec<Arc<Traffic>> {
        self.topics.all()
    }

    /// A subscription was told of missing messages; how many, where that is known.
    pub fn discontinuity(&self, reason: Reason, messages: Option<u64>) {
        self.discontinuities[reason as usize].increment();
        self.skipped[reason as usize].add(messages.unwrap_or(0));
    }

    /// Discontinuities, and messages in them, by reason.
    pub fn discontinuities(&self) -> impl Iterator<Item = (Reason, u64, u64)> + '_ {
        let counted = |reason: Reason| {
            let place = reason as usize;
            (reason, self.discontinuities[place].get(), self.skipped[place].get())
        };
        Reason::ALL.into_iter().map(counted)
    }

    /// A call or a batch was refused.
    pub fn refused(&self, code: Code) {
        self.refusals[code as usize].increment();
    }

    /// Refusals by code.
    pub fn refusals(&self) -> impl Iterator<Item = (Code, u64)> + '_ {
        Code::ALL.into_iter().map(|code| (code, self.refusals[code as usize].get()))
    }

    /// How the open calls are counted; the first word counts.
    pub fn count_streams(&self, count: impl Fn(&State) -> u64 + Send + Sync + 'static) {
        let _ = self.streams.set(Box::new(count));
    }

    /// Open calls; 0 where nobody serves any.
    pub fn streams(&self) -> u64 {
        self.streams.get().map_or(0, |count| count(self))
    }

    /// Whose refusals are counted; the first word counts.
    pub fn count_quotas(&self, quotas: Arc<Quotas>) {
        let _ = self.quotas.set(quotas);
    }

    /// The quotas whose refusals are counted.
    pub fn quotas(&self) -> Option<&Quotas> {
        self.quotas.get().map(|quotas| &**quotas)
    }

    /// The server has begun to drain.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Whether the server drains.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// When the server was started, nanoseconds since the Unix epoch.
    pub fn started_unix_nanos(&self) -> u64 {
        let since = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

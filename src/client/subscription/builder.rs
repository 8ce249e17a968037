//! Where a subscription begins, and its options.

use std::time::{Duration, SystemTime};

use super::Subscription;
use super::resume::Resume;
use crate::client::backoff::Backoff;
use crate::client::connection::Client;
use crate::error::{Error, Result};
use crate::limits::{HEARTBEAT_DEFAULT, HEARTBEAT_MAX, HEARTBEAT_MIN};
use crate::proto::v1 as wire;
use crate::topic::{Position, TopicName};

/// Where a subscription begins. After a reconnect it never begins again: it resumes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Start {
    /// Only what is published from now on.
    #[default]
    Latest,
    /// Everything that is retained.
    Earliest,
    /// The message behind this position: resume.
    After(Position),
    /// The first message accepted at or after this time.
    Time(SystemTime),
    /// The newest `n` messages.
    Last(u64),
}

/// Builds a [`Subscription`]; see [`Client::subscribe`].
#[derive(Debug, Clone)]
#[must_use = "a subscription begins with `open`"]
pub struct SubscribeBuilder {
    client: Client,
    namespace: String,
    topic: String,
    start: Start,
    batch_bytes_max: u32,
    heartbeat_interval: Duration,
    backoff: Backoff,
}

impl SubscribeBuilder {
    pub(in crate::client) fn new(client: Client, topic: String) -> Self {
        SubscribeBuilder {
            namespace: client.namespace().to_owned(),
            client,
            topic,
            start: Start::Latest,
            batch_bytes_max: 0,
            heartbeat_interval: HEARTBEAT_DEFAULT,
            backoff: Backoff::default(),
        }
    }

    /// The topic's namespace (default: the client's).
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Where to begin (default: [`Start::Latest`]).
    pub fn from(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Upper bound of one response, bytes; 0 (the default) leaves it to the server.
    pub fn max_batch_bytes(mut self, bytes: u32) -> Self {
        self.batch_bytes_max = bytes;
        self
    }

    /// The server says something at least this often (default 15 s, 100 ms to 10 min). Three
    /// intervals of silence, and the subscription reconnects.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// When to try again after the connection is lost (default: for ever, 100 ms to 10 s apart).
    pub fn reconnect(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Opens the subscription and waits until the server has confirmed it: whatever is published
    /// after this returns is delivered. Opening is tried once; reconnecting begins after it.
    pub async fn open(self) -> Result<Subscription> {
        let name = TopicName::parse(&self.namespace, &self.topic)?;
        if !(HEARTBEAT_MIN..=HEARTBEAT_MAX).contains(&self.heartbeat_interval) {
            let wrong = format!("has to be from {HEARTBEAT_MIN:?} to {HEARTBEAT_MAX:?}");
            return Err(Error::field("heartbeat_interval", wrong));
        }
        let request = wire::SubscribeRequest {
            namespace: name.namespace().as_str().to_owned(),
            topic: name.topic().to_owned(),
            start: None,
            max_batch_bytes: self.batch_bytes_max,
            heartbeat_interval: prost_types::Duration::try_from(self.heartbeat_interval).ok(),
        };
        let resume = Resume::new(self.start, self.backoff);
        Subscription::open(self.client, request, 3 * self.heartbeat_interval, resume).await
    }
}

//! Administering namespaces and topics: create, describe, change, list, delete.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use uuid::Uuid;

use super::registry::Topic;
use super::{Broker, topic_not_found};
use crate::error::{Code, Error, Result};
use crate::limits::{PAGE_SIZE_MAX, TICK};
use crate::metrics::Counted;
use crate::quota::Account;
use crate::store::{Log, unix_nanos};
use crate::topic::{Broadcast, End, Lag, Namespace, Progress, Retention, State, TopicName, Who};

/// Limits of a topic to set; `None` means the server's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicChange {
    /// Bytes to keep.
    pub bytes: Option<u64>,
    /// Messages to keep.
    pub messages: Option<u64>,
    /// Age to keep.
    pub age: Option<Duration>,
}

/// What there is to know of an open topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: TopicName,
    /// What it keeps.
    pub retention: Retention,
    /// Its current history.
    pub epoch: u64,
    /// Oldest retained message; `next` where nothing is retained.
    pub first: u64,
    /// The next message.
    pub next: u64,
    /// Bytes of retained messages.
    pub bytes: u64,
    /// Open subscriptions.
    pub subscriptions: usize,
    /// How far the subscription furthest behind is.
    pub lag: Lag,
    /// What has gone in and out; `None` where it is not counted for this topic alone.
    pub traffic: Option<Counted>,
}

/// What there is to know of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionInfo {
    /// Its id.
    pub id: Uuid,
    /// Where its client is.
    pub peer: Option<SocketAddr>,
    /// It was cut, and is ended as soon as it reads; then it is not behind any more.
    pub is_cut: bool,
    /// The first message it has not been given.
    pub next: u64,
    /// How many messages it has not been given.
    pub lag_messages: u64,
    /// Since it last took anything; zero while it waits for more.
    pub silent_for: Duration,
    /// When it was opened, unix nanoseconds.
    pub opened: u64,
}

impl Broker {
    /// Makes a namespace.
    pub fn create_namespace(&self, namespace: &Namespace) -> Result<()> {
        if self.registry.create_namespace(namespace.clone())? {
            return Ok(());
        }
        let message = format!("namespace {namespace:?} exists already");
        Err(Error::new(Code::AlreadyExists, message).reason("NAMESPACE_EXISTS"))
    }

    /// Deletes a namespace with its topics; their subscriptions end with `NotFound`.
    pub fn delete_namespace(&self, namespace: &Namespace) -> Result<()> {
        if namespace.as_str() == Namespace::DEFAULT {
            let message = "the default namespace always exists; delete its topics instead";
            return Err(Error::new(Code::FailedPrecondition, message).reason("DEFAULT_NAMESPACE"));
        }
        for topic in self.registry.remove_namespace(namespace)? {
            Broadcast::end(topic.log.tail(), End::Deleted);
        }
        Ok(())
    }

    /// Drops what all topics of a namespace retain; their subscriptions go on, and those that had not
    /// read all of it are told.
    pub fn flush_namespace(&self, namespace: &Namespace) -> Result<()> {
        let mut after = String::new();
        loop {
            let topics = self.registry.list(namespace, "", &after, PAGE_SIZE_MAX)?;
            topics.iter().for_each(|topic| topic.log.tail().with_log(|log| log.clear()));
            match topics.last() {
                Some(last) if topics.len() == PAGE_SIZE_MAX => after = last.name.topic().to_owned(),
                _ => return Ok(()),
            }
        }
    }

    /// Whether there is a namespace of this name.
    pub fn has_namespace(&self, namespace: &Namespace) -> bool {
        self.registry.list(namespace, "", "", 0).is_ok()
    }

    /// Up to `most` namespaces behind a name, each with its number of open topics.
    pub fn list_namespaces(&self, after: &str, most: usize) -> Vec<(Namespace, usize)> {
        self.registry.namespaces(after, most)
    }

    /// Makes a topic with settings of its own, which then stays open while idle, and counts for whoever
    /// this is.
    pub async fn create_topic(
        &self,
        name: &TopicName,
        change: TopicChange,
        by: Option<&Arc<Account>>,
    ) -> Result<TopicInfo> {
        let exists = || {
            let message = format!("topic {:?} exists already; update it instead", name.topic());
            Error::new(Code::AlreadyExists, message).reason("TOPIC_EXISTS")
        };
        if self.registry.find(name)?.is_some() {
            return Err(exists());
        }
        match self.registry.open(name, self.retention(change), true, by).await? {
            (topic, true) => Ok(info(&topic)),
            // Opened by somebody else in between, and not with these settings.
            (_, false) => Err(exists()),
        }
    }

    /// Describes an open topic.
    pub fn describe_topic(&self, name: &TopicName) -> Result<TopicInfo> {
        self.found(name).map(|topic| info(&topic))
    }

    /// Changes what a topic keeps, at once; it stays open while idle from now on.
    pub fn update_topic(&self, name: &TopicName, change: TopicChange) -> Result<TopicInfo> {
        let topic = self.found(name)?;
        topic.kept.store(true, Relaxed);
        let retention = self.retention(change);
        topic.log.tail().with_log(|log| log.retain(retention, unix_nanos()));
        Ok(info(&topic))
    }

    /// Deletes a topic and its messages; its subscriptions end with `NotFound`.
    pub fn delete_topic(&self, name: &TopicName) -> Result<()> {
        let topic = self.registry.remove(name)?.ok_or_else(|| topic_not_found(name))?;
        Broadcast::end(topic.log.tail(), End::Deleted);
        Ok(())
    }

    /// Up to `most` topics of a namespace whose names begin with `prefix` and come behind `after`.
    pub fn list_topics(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: &str,
        most: usize,
    ) -> Result<Vec<TopicInfo>> {
        let topics = self.registry.list(namespace, prefix, after, most)?;
        Ok(topics.iter().map(|topic| info(topic)).collect())
    }

    /// Up to `most` subscriptions of a topic, those furthest behind first; and how many there are.
    pub fn list_subscriptions(
        &self,
        name: &TopicName,
        most: usize,
    ) -> Result<(Vec<SubscriptionInfo>, usize)> {
        let topic = self.found(name)?;
        let (mut readers, total, next) = topic.log.tail().list(most);
        let now = self.shared.fanout.now();
        readers.sort_by_key(|(cursor, progress)| (cursor.unwrap_or(u64::MAX), progress.who().opened));
        let info = |(cursor, progress): (Option<u64>, Arc<Progress>)| {
            let Who { id, peer, opened, .. } = progress.who();
            let ticks = u32::try_from(progress.silent_ticks(now)).unwrap_or(u32::MAX);
            SubscriptionInfo {
                id: *id,
                peer: *peer,
                is_cut: cursor.is_none(),
                next: cursor.unwrap_or(next),
                lag_messages: cursor.map_or(0, |cursor| next.saturating_sub(cursor)),
                silent_for: TICK * ticks,
                opened: *opened,
            }
        };
        Ok((readers.into_iter().map(info).collect(), total))
    }

    /// Number of a topic's subscriptions; 0 where it is not open.
    pub fn readers(&self, name: &TopicName) -> usize {
        self.found(name).map_or(0, |topic| topic.log.tail().readers())
    }

    fn found(&self, name: &TopicName) -> Result<Arc<Topic>> {
        self.registry.find(name)?.ok_or_else(|| topic_not_found(name))
    }

    fn retention(&self, change: TopicChange) -> Retention {
        let default = self.options.retention;
        Retention {
            bytes: change.bytes.unwrap_or(default.bytes),
            messages: change.messages.unwrap_or(default.messages),
            age: change.age.unwrap_or(default.age),
        }
    }
}

fn info(topic: &Topic) -> TopicInfo {
    let (channel, now) = (topic.log.tail(), unix_nanos());
    let State { readers, bytes, lag } = channel.state(now);
    channel.with_log(|log| TopicInfo {
        name: topic.name.clone(),
        retention: log.retention(),
        epoch: log.epoch,
        first: log.first(now),
        next: log.next(),
        bytes,
        subscriptions: readers,
        lag,
        traffic: topic.traffic.name().map(|_| topic.traffic.counted()),
    })
}

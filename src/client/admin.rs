//! Namespaces and topics: list, create, change, delete. Listings fetch all their pages.

use std::time::Duration;

use super::connection::Client;
use super::traffic::{Traffic, traffic};
use crate::error::{Error, Result};
use crate::limits::PAGE_SIZE_MAX;
use crate::proto::v1 as wire;

/// The control plane; see [`Client::admin`]. Topics are those of the client's namespace.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceInfo {
    /// Its name.
    pub name: String,
    /// How many topics it has.
    pub topics: u64,
}

/// How much of a topic is kept. 0 (or no age) means the server's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Bytes.
    pub max_bytes: u64,
    /// Messages.
    pub max_messages: u64,
    /// Age.
    pub max_age: Option<Duration>,
}

/// What an acknowledged publish promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The server's default.
    #[default]
    Default,
    /// Gone with the process.
    Memory,
    /// Synced to disk.
    Disk,
    /// In the cluster's store.
    Replicated,
}

/// What can be chosen for a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicSettings {
    /// How much is kept.
    pub retention: Retention,
    /// What an acknowledgement promises.
    pub durability: Durability,
}

/// A topic: its settings and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What was chosen for it.
    pub settings: TopicSettings,
    /// Its present history.
    pub epoch: u64,
    /// The oldest message that is kept; `next_sequence` when there is none.
    pub first_sequence: u64,
    /// The sequence the next message will have.
    pub next_sequence: u64,
    /// Bytes kept.
    pub retained_bytes: u64,
    /// Subscriptions now.
    pub subscriptions: u32,
    /// Messages the subscription furthest behind has not been given, a second ago or less.
    pub lag_messages: u64,
    /// The age of the first of them; `None` when there is none.
    pub lag: Option<Duration>,
    /// What has gone in and out; `None` where the server does not count this topic by itself.
    pub traffic: Option<Traffic>,
}

/// The topics of a listing that was not to grow beyond a number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicListing {
    /// The first of them, by name.
    pub topics: Vec<TopicInfo>,
    /// Whether there are more.
    pub more: bool,
}

impl Admin {
    pub(super) fn new(client: Client) -> Self {
        Admin { client }
    }

    /// Creates a namespace. Errors: ALREADY_EXISTS.
    pub async fn create_namespace(&self, name: &str) -> Result<NamespaceInfo> {
        let namespace = wire::Namespace { namespace: name.to_owned(), topics: 0 };
        let request = wire::CreateNamespaceRequest { namespace: Some(namespace) };
        let response = self.client.administration().create_namespace(request).await;
        Ok(namespace_info(response.map_err(|status| self.client.error(status))?.into_inner()))
    }

    /// Deletes a namespace with its topics; their subscriptions end with NOT_FOUND.
    pub async fn delete_namespace(&self, name: &str) -> Result<()> {
        let request = wire::DeleteNamespaceRequest { namespace: name.to_owned() };
        let response = self.client.administration().delete_namespace(request).await;
        response.map(|_| ()).map_err(|status| self.client.error(status))
    }

    /// All namespaces.
    pub async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = wire::ListNamespacesRequest { page_size: PAGE_SIZE_MAX as u32, page_token };
            let mut stub = self.client.administration();
            let page = self.client.answer(Duration::ZERO, stub.list_namespaces(request)).await?;
            all.extend(page.namespaces.into_iter().map(namespace_info));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Creates a topic. Errors: ALREADY_EXISTS; NOT_FOUND for the namespace.
    pub async fn create_topic(&self, topic: &str, settings: TopicSettings) -> Result<TopicInfo> {
        let request = wire::CreateTopicRequest { topic: Some(self.wire_topic(topic, settings)) };
        let response = self.client.administration().create_topic(request).await;
        Ok(topic_info(response.map_err(|status| self.client.error(status))?.into_inner()))
    }

    /// A topic's settings and state. Errors: NOT_FOUND.
    pub async fn get_topic(&self, topic: &str) -> Result<TopicInfo> {
        let (namespace, topic) = (self.client.namespace().to_owned(), topic.to_owned());
        let response =
            self.client.administration().get_topic(wire::GetTopicRequest { namespace, topic }).await;
        Ok(topic_info(response.map_err(|status| self.client.error(status))?.into_inner()))
    }

    /// Replaces a topic's settings, all of them. Errors: NOT_FOUND.
    pub async fn update_topic(&self, topic: &str, settings: TopicSettings) -> Result<TopicInfo> {
        let request = wire::UpdateTopicRequest { topic: Some(self.wire_topic(topic, settings)) };
        let response = self.client.administration().update_topic(request).await;
        Ok(topic_info(response.map_err(|status| self.client.error(status))?.into_inner()))
    }

    /// Deletes a topic and what it keeps; its subscriptions end with NOT_FOUND.
    pub async fn delete_topic(&self, topic: &str) -> Result<()> {
        let (namespace, topic) = (self.client.namespace().to_owned(), topic.to_owned());
        let response =
            self.client.administration().delete_topic(wire::DeleteTopicRequest { namespace, topic }).await;
        response.map(|_| ()).map_err(|status| self.client.error(status))
    }

    /// All topics whose name begins with `prefix`.
    pub async fn list_topics(&self, prefix: &str) -> Result<Vec<TopicInfo>> {
        Ok(self.first_topics(prefix, usize::MAX).await?.topics)
    }

    /// The first `count` topics whose name begins with `prefix`, and whether there are more.
    pub async fn first_topics(&self, prefix: &str, count: usize) -> Result<TopicListing> {
        let (mut topics, mut page_token) = (Vec::new(), String::new());
        loop {
            let page_size = PAGE_SIZE_MAX.min(count.saturating_sub(topics.len())).max(1) as u32;
            let (namespace, prefix) = (self.client.namespace().to_owned(), prefix.to_owned());
            let request = wire::ListTopicsRequest { namespace, prefix, page_size, page_token };
            let mut stub = self.client.administration();
            let page = self.client.answer(Duration::ZERO, stub.list_topics(request)).await?;
            topics.extend(page.topics.into_iter().map(topic_info));
            page_token = page.next_page_token;
            if page_token.is_empty() || topics.len() >= count {
                let more = !page_token.is_empty() || topics.len() > count;
                topics.truncate(count);
                return Ok(TopicListing { topics, more });
            }
        }
    }

    fn wire_topic(&self, topic: &str, settings: TopicSettings) -> wire::Topic {
        let retention = settings.retention;
        let durability = match settings.durability {
            Durability::Default => wire::topic::Durability::Unspecified,
            Durability::Memory => wire::topic::Durability::Memory,
            Durability::Disk => wire::topic::Durability::Disk,
            Durability::Replicated => wire::topic::Durability::Replicated,
        };
        wire::Topic {
            namespace: self.client.namespace().to_owned(),
            topic: topic.to_owned(),
            retention: Some(wire::Retention {
                max_bytes: retention.max_bytes,
                max_messages: retention.max_messages,
                max_age: retention.max_age.and_then(|age| prost_types::Duration::try_from(age).ok()),
            }),
            durability: durability as i32,
            ..wire::Topic::default()
        }
    }
}

fn namespace_info(wire: wire::Namespace) -> NamespaceInfo {
    let wire::Namespace { namespace, topics } = wire;
    NamespaceInfo { name: namespace, topics }
}

fn topic_info(wire: wire::Topic) -> TopicInfo {
    let durability = match wire.durability() {
        wire::topic::Durability::Unspecified => Durability::Default,
        wire::topic::Durability::Memory => Durability::Memory,
        wire::topic::Durability::Disk => Durability::Disk,
        wire::topic::Durability::Replicated => Durability::Replicated,
    };
    let wire::Topic {
        namespace,
        topic: name,
        retention,
        durability: _,
        epoch,
        first_sequence,
        next_sequence,
        retained_bytes,
        subscriptions,
        lag_messages,
        lag,
        traffic: counted,
    } = wire;
    let wire::Retention { max_bytes, max_messages, max_age } = retention.unwrap_or_default();
    let max_age = max_age.and_then(|age| Duration::try_from(age).ok());
    TopicInfo {
        namespace,
        name,
        settings: TopicSettings { retention: Retention { max_bytes, max_messages, max_age }, durability },
        epoch,
        first_sequence,
        next_sequence,
        retained_bytes,
        subscriptions,
        lag_messages,
        lag: lag.and_then(|lag| Duration::try_from(lag).ok()).filter(|lag| !lag.is_zero()),
        traffic: counted.map(traffic),
    }
}

/// How a durability is written.
impl std::fmt::Display for Durability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Durability::Default => "default",
            Durability::Memory => "memory",
            Durability::Disk => "disk",
            Durability::Replicated => "replicated",
        })
    }
}

/// Reads what `Display` writes.
impl std::str::FromStr for Durability {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "default" => Durability::Default,
            "memory" => Durability::Memory,
            "disk" => Durability::Disk,
            "replicated" => Durability::Replicated,
            _ => return Err(Error::field("durability", "has to be default, memory, disk or replicated")),
        })
    }
}

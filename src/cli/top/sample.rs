//! What `bugle top` asks the server for, and when it was answered.

use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};

use crate::client::monitor::{ServerInfo, SubscriptionStates};
use crate::client::{Client, NamespaceInfo, TopicInfo, TopicListing};
use crate::error::{Code, Result};
use crate::limits::PAGE_SIZE_MAX;

/// The most topics that are fetched: what people can look through, in memory twice.
pub(super) const TOPICS_MAX: usize = 10_000;
/// Namespaces whose topics are asked for at once.
const NAMESPACES_AT_ONCE: usize = 8;

/// Where the figures come from.
pub(super) struct Source {
    client: Client,
    all_namespaces: bool,
}

/// The topics at one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Topics {
    pub(super) listed: Vec<Listed>,
    /// Whether there are more than are listed.
    pub(super) more: bool,
}

/// A topic, and when it was like that.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) at: Instant,
    pub(super) info: TopicInfo,
}

/// The full name of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub(super) namespace: String,
    pub(super) topic: String,
}

impl Source {
    /// The topics of the client's namespace, or of all.
    pub(super) fn new(client: Client, all_namespaces: bool) -> Self {
        Source { client, all_namespaces }
    }

    /// Which server it is.
    pub(super) fn uri(&self) -> &str {
        self.client.uri()
    }

    /// Whose topics are listed; `None` for those of all namespaces.
    pub(super) fn namespace(&self) -> Option<&str> {
        (!self.all_namespaces).then(|| self.client.namespace())
    }

    /// The server as a whole.
    pub(super) async fn server(&self) -> Result<ServerInfo> {
        self.client.monitor().get_server().await
    }

    /// The topics whose name begins with `prefix`, [`TOPICS_MAX`] at most.
    pub(super) async fn topics(&self, prefix: &str) -> Result<Topics> {
        if !self.all_namespaces {
            return Ok(Topics::default().and(list(&self.client, prefix).await?));
        }
        let namespaces = self.client.admin().list_namespaces().await?;
        let filled = namespaces.into_iter().filter(|namespace| namespace.topics > 0);
        let mut lists = stream::iter(filled)
            .map(|namespace| self.of_namespace(namespace, prefix))
            .buffered(NAMESPACES_AT_ONCE);
        let mut topics = Topics::default();
        while let Some(list) = lists.try_next().await? {
            topics = topics.and(list);
            if topics.more {
                break;
            }
        }
        Ok(topics)
    }

    async fn of_namespace(&self, namespace: NamespaceInfo, prefix: &str) -> Result<(Instant, TopicListing)> {
        match list(&self.client.in_namespace(&namespace.name)?, prefix).await {
            // It was deleted a moment ago.
            Err(error) if error.code() == Code::NotFound => Ok((Instant::now(), TopicListing::default())),
            outcome => outcome,
        }
    }

    /// The subscriptions of a topic that are furthest behind.
    pub(super) async fn subscriptions(&self, name: &Name) -> Result<SubscriptionStates> {
        let client = self.client.in_namespace(&name.namespace)?;
        client.monitor().list_subscriptions(&name.topic, PAGE_SIZE_MAX as u32).await
    }
}

async fn list(client: &Client, prefix: &str) -> Result<(Instant, TopicListing)> {
    let began = Instant::now();
    let listing = client.admin().first_topics(prefix, TOPICS_MAX).await?;
    // The pages came one after the other; the middle is nearest to all of them.
    Ok((began + began.elapsed() / 2, listing))
}

impl Topics {
    /// With those of one listing more, as far as there is room.
    fn and(mut self, (at, listing): (Instant, TopicListing)) -> Self {
        let TopicListing { topics, more } = listing;
        self.more |= more || self.listed.len() + topics.len() > TOPICS_MAX;
        self.listed.extend(topics.into_iter().map(|info| Listed { at, info }));
        self.listed.truncate(TOPICS_MAX);
        self
    }
}

impl Name {
    /// The name of this topic.
    pub(super) fn of(info: &TopicInfo) -> Self {
        Name { namespace: info.namespace.clone(), topic: info.name.clone() }
    }
}

/// `namespace/topic`.
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.topic)
    }
}

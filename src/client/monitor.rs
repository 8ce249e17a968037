//! Looking into a server while it runs: its figures, the subscriptions of a topic, a probe that
//! tells when it was where, and the server's logs.
//!
//! Each call waits for its answer as long as a connection may take and then gives up, so that
//! whoever looks on is told that the server is gone. `bugle top`, `trace` and `log` stand on it.

mod probe;
mod server;
mod subscriptions;

use std::time::Duration;

pub use probe::{Probe, ProbeDelivery};
pub use server::ServerInfo;
pub use subscriptions::{SubscriptionState, SubscriptionStates};

use super::connection::Client;
use crate::error::Result;
use crate::proto::v1 as wire;
use crate::topic::TopicName;

/// See the module, and [`Client::monitor`]. Topics are those of the client's namespace.
#[derive(Debug, Clone)]
pub struct Monitor {
    client: Client,
}

impl Monitor {
    pub(super) fn new(client: Client) -> Self {
        Monitor { client }
    }

    /// The server as a whole: what it is, what it holds, what has gone through it.
    pub async fn get_server(&self) -> Result<ServerInfo> {
        let mut stub = self.client.monitoring();
        let call = stub.get_server(wire::GetServerRequest {});
        Ok(server::server_info(self.client.answer(Duration::ZERO, call).await?))
    }

    /// The `count` subscriptions of a topic that are furthest behind; the server may give fewer.
    /// Errors: NOT_FOUND.
    pub async fn list_subscriptions(&self, topic: &str, count: u32) -> Result<SubscriptionStates> {
        let (namespace, topic) = self.names(topic)?;
        let mut stub = self.client.monitoring();
        let request = wire::ListSubscriptionsRequest { namespace, topic, page_size: count };
        let answer = self.client.answer(Duration::ZERO, stub.list_subscriptions(request)).await?;
        Ok(subscriptions::states(answer))
    }

    /// Publishes a probe, which every subscriber of the topic is given as a message with the
    /// attribute [`Probe::ATTRIBUTE`], and tells when it was where. The answer comes when all have
    /// it, or after `wait`, which is at most 60 s.
    pub async fn trace_topic(&self, topic: &str, wait: Duration) -> Result<Probe> {
        let (namespace, topic) = self.names(topic)?;
        let request = wire::TraceTopicRequest {
            namespace,
            topic,
            wait: prost_types::Duration::try_from(wait).ok(),
            payload: bytes::Bytes::new(),
        };
        let mut stub = self.client.monitoring();
        Ok(probe::probe(self.client.answer(wait, stub.trace_topic(request)).await?))
    }

    /// Which log lines the server writes: a level, or levels by module. Errors:
    /// FAILED_PRECONDITION where the logs are those of a program that embeds the server.
    pub async fn log_filter(&self) -> Result<String> {
        let mut stub = self.client.monitoring();
        let call = stub.get_logging(wire::GetLoggingRequest {});
        Ok(filter(self.client.answer(Duration::ZERO, call).await?))
    }

    /// Changes that while the server runs, such as to `info,bugle::broker=debug`, and tells what is
    /// in effect. Errors: INVALID_ARGUMENT for what is no filter, and as [`Monitor::log_filter`].
    pub async fn set_log_filter(&self, wanted: &str) -> Result<String> {
        let logging = Some(wire::Logging { filter: wanted.to_owned() });
        let mut stub = self.client.monitoring();
        let call = stub.update_logging(wire::UpdateLoggingRequest { logging });
        Ok(filter(self.client.answer(Duration::ZERO, call).await?))
    }

    /// The namespace and the topic, checked.
    fn names(&self, topic: &str) -> Result<(String, String)> {
        let name = TopicName::parse(self.client.namespace(), topic)?;
        Ok((name.namespace().as_str().to_owned(), name.topic().to_owned()))
    }
}

fn filter(wire: wire::Logging) -> String {
    let wire::Logging { filter } = wire;
    filter
}

//! A server with its clients: what the tests of the promises publish and subscribe with.
//!
//! It takes port 0 and a connection of its own. [`Feed`](crate::feed::Feed) is the other half: it
//! checks each subscription's history while it reads it.

use std::net::SocketAddr;
use std::sync::Arc;

use bugle::broker::Broker;
use bugle::config::{Config, Size};
use bugle::proto::v1::admin_client::AdminClient;
use bugle::proto::v1::bus_client::BusClient;
use bugle::proto::v1::start_position::Start;
use bugle::proto::v1::{
    CreateTopicRequest, Message, PublishRequest, PublishResponse, Retention, StartPosition, SubscribeRequest,
    Topic, UpdateTopicRequest,
};
use bytes::Bytes;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

use crate::feed::{Feed, Heard};
use crate::support::{Running, config, soon};

/// Everything that is retained.
pub const EARLIEST: Option<Start> = Some(Start::Earliest(true));
/// Only what comes from now on.
pub const LATEST: Option<Start> = Some(Start::Latest(true));

/// A server in this process and a connection to it.
pub struct Bus {
    pub server: Running,
    pub broker: Arc<Broker>,
    pub channel: Channel,
}

impl Bus {
    /// With the default configuration and 64 MiB of memory.
    pub async fn start() -> Bus {
        Bus::with(|_| ()).await
    }

    /// With a configuration that is changed first.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Bus {
        let mut config = config();
        config.memory_budget = Size(64 << 20);
        change(&mut config);
        let server = Running::start(config).await;
        let (broker, channel) = (server.broker.clone(), server.channel().await);
        Bus { server, broker, channel }
    }

    pub fn client(&self) -> BusClient<Channel> {
        BusClient::new(self.channel.clone())
    }

    pub fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel.clone())
    }

    /// Publishes one batch; it has to be taken.
    pub async fn publish<P: Into<Bytes>>(
        &self,
        topic: &str,
        payloads: impl IntoIterator<Item = P>,
    ) -> PublishResponse {
        soon(self.client().publish(batch(topic, payloads))).await.unwrap().into_inner()
    }

    /// Subscribes; it has to be opened.
    pub async fn subscribe(&self, topic: &str, start: Option<Start>) -> Feed {
        Feed::open(&self.channel, request(topic, start)).await.unwrap()
    }

    /// Waits until the server has counted at least so many ticks of a tenth of a second, by the
    /// heartbeats of a subscription: the clock that stall timeouts and sweeps go by.
    pub async fn ticks(&self, count: usize) {
        let heartbeat_interval = prost_types::Duration { seconds: 0, nanos: 100_000_000 };
        let request =
            SubscribeRequest { heartbeat_interval: Some(heartbeat_interval), ..request("the clock", LATEST) };
        let mut feed = Feed::open(&self.channel, request).await.unwrap();
        let mut heard = 0;
        while heard < count {
            heard += usize::from(matches!(feed.hear().await.unwrap(), Heard::Heartbeat(_)));
        }
    }

    /// Sets what a topic keeps, which is made if it is not there.
    pub async fn retain(&self, topic: &str, retention: Retention) -> Topic {
        let topic = Topic { topic: topic.into(), retention: Some(retention), ..Default::default() };
        let create = CreateTopicRequest { topic: Some(topic.clone()) };
        match self.admin().create_topic(create).await {
            Ok(made) => made.into_inner(),
            Err(_) => {
                let update = UpdateTopicRequest { topic: Some(topic) };
                soon(self.admin().update_topic(update)).await.unwrap().into_inner()
            }
        }
    }
}

/// A connection that takes little before it has to be read, for subscribers that do not.
pub async fn narrow(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let endpoint = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    soon(endpoint.connect()).await.unwrap()
}

/// A message with this payload and nothing else.
pub fn message(payload: impl Into<Bytes>) -> Message {
    Message { payload: payload.into(), ..Default::default() }
}

/// A publish of messages with these payloads.
pub fn batch<P: Into<Bytes>>(topic: &str, payloads: impl IntoIterator<Item = P>) -> PublishRequest {
    let messages = payloads.into_iter().map(message).collect();
    PublishRequest { namespace: String::new(), topic: topic.into(), messages }
}

/// A subscribe to a topic.
pub fn request(topic: &str, start: Option<Start>) -> SubscribeRequest {
    let start = start.map(|start| StartPosition { start: Some(start) });
    SubscribeRequest { topic: topic.into(), start, ..Default::default() }
}

/// Numbers as payloads.
pub fn numbers(range: std::ops::Range<u64>) -> impl Iterator<Item = Bytes> {
    range.map(|number| Bytes::copy_from_slice(&number.to_be_bytes()))
}

/// The number of a payload.
pub fn number(message: &Message) -> u64 {
    u64::from_be_bytes(message.payload[..].try_into().unwrap())
}

/// The reason in the details of a refusal.
pub fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// The field that a refusal names, and what it says of it.
pub fn violation(status: &Status) -> (String, String) {
    let details = status.get_error_details();
    let Some(bad) = details.bad_request() else { panic!("no BadRequest in {status:?}") };
    let violation = &bad.field_violations[0];
    (violation.field.clone(), violation.description.clone())
}

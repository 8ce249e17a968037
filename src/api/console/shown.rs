//! What the JSON of the console says: what Admin and Monitor say, with times and lengths of time as
//! people read them. Fields that are not known are left out.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::api::http::time;
use crate::proto::v1;

/// The server as a whole.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    version: String,
    start_time: String,
    time: String,
    draining: bool,
    memory_budget_bytes: u64,
    memory_used_bytes: u64,
    memory_pinned_bytes: u64,
    resident_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_seconds: Option<f64>,
    connections: u64,
    streams: u64,
    subscriptions: u64,
    topics: u64,
    namespaces: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<Traffic>,
    discontinuities: u64,
    stalls: u64,
    refusals: u64,
    spans_dropped: u64,
}

/// What has gone in and out.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    published_messages: u64,
    published_bytes: u64,
    delivered_messages: u64,
    delivered_bytes: u64,
}

/// A page of namespaces.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Namespaces {
    namespaces: Vec<Namespace>,
    #[serde(skip_serializing_if = "String::is_empty")]
    next_page_token: String,
}

/// A namespace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    namespace: String,
    topics: u64,
}

/// A page of topics.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    topics: Vec<Topic>,
    #[serde(skip_serializing_if = "String::is_empty")]
    next_page_token: String,
}

/// A topic.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    namespace: String,
    topic: String,
    retention: Retention,
    epoch: u64,
    first_sequence: u64,
    next_sequence: u64,
    retained_bytes: u64,
    subscriptions: u32,
    lag_messages: u64,
    lag_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<Traffic>,
}

/// How much of a topic is kept.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    max_bytes: u64,
    max_messages: u64,
    max_age_seconds: f64,
}

/// The subscriptions of a topic that are furthest behind.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscriptions {
    subscriptions: Vec<Subscription>,
    total: u64,
}

/// A subscription.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    subscription_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    peer: String,
    next_sequence: u64,
    lag_messages: u64,
    silent_for_seconds: f64,
    open_time: String,
    cut: bool,
}

/// A page of webhooks.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhooks {
    webhooks: Vec<Webhook>,
    #[serde(skip_serializing_if = "String::is_empty")]
    next_page_token: String,
}

/// A webhook, as far as an operator looks after it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    namespace: String,
    name: String,
    topic: String,
    url: String,
    health: String,
    lag_messages: u64,
    failures: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success_time: Option<String>,
    delivered_messages: u64,
    dropped_messages: u64,
    missed_messages: u64,
}

/// See [`Webhooks`].
pub fn webhooks(listed: v1::ListWebhooksResponse) -> Webhooks {
    let v1::ListWebhooksResponse { webhooks, next_page_token } = listed;
    Webhooks { webhooks: webhooks.into_iter().map(webhook).collect(), next_page_token }
}

fn webhook(webhook: v1::Webhook) -> Webhook {
    let health = webhook.health().as_str_name().trim_start_matches("HEALTH_").to_ascii_lowercase();
    let last_success = webhook.last_success_unix_nano;
    Webhook {
        health,
        namespace: webhook.namespace,
        name: webhook.name,
        topic: webhook.topic,
        url: webhook.url,
        lag_messages: webhook.lag_messages,
        failures: webhook.failures,
        last_error: webhook.last_error,
        last_success_time: (last_success > 0).then(|| time(last_success)),
        delivered_messages: webhook.delivered_messages,
        dropped_messages: webhook.dropped_messages,
        missed_messages: webhook.missed_messages,
    }
}

/// See [`Server`].
pub fn server(server: v1::Server) -> Server {
    Server {
        version: server.version,
        start_time: time(server.start_time_unix_nano),
        time: time(server.time_unix_nano),
        draining: server.draining,
        memory_budget_bytes: server.memory_budget_bytes,
        memory_used_bytes: server.memory_used_bytes,
        memory_pinned_bytes: server.memory_pinned_bytes,
        resident_bytes: server.resident_bytes,
        cpu_seconds: server.cpu_time.map(seconds),
        connections: server.connections,
        streams: server.streams,
        subscriptions: server.subscriptions,
        topics: server.topics,
        namespaces: server.namespaces,
        traffic: server.traffic.map(traffic),
        discontinuities: server.discontinuities,
        stalls: server.stalls,
        refusals: server.refusals,
        spans_dropped: server.spans_dropped,
    }
}

/// See [`Namespaces`].
pub fn namespaces(listed: v1::ListNamespacesResponse) -> Namespaces {
    let v1::ListNamespacesResponse { namespaces, next_page_token } = listed;
    let namespace = |v1::Namespace { namespace, topics }| Namespace { namespace, topics };
    Namespaces { namespaces: namespaces.into_iter().map(namespace).collect(), next_page_token }
}

/// See [`Topics`].
pub fn topics(listed: v1::ListTopicsResponse) -> Topics {
    let v1::ListTopicsResponse { topics, next_page_token } = listed;
    Topics { topics: topics.into_iter().map(topic).collect(), next_page_token }
}

/// See [`Topic`].
pub fn topic(topic: v1::Topic) -> Topic {
    let v1::Retention { max_bytes, max_messages, max_age } = topic.retention.unwrap_or_default();
    let max_age_seconds = max_age.map_or(0.0, seconds);
    Topic {
        namespace: topic.namespace,
        topic: topic.topic,
        retention: Retention { max_bytes, max_messages, max_age_seconds },
        epoch: topic.epoch,
        first_sequence: topic.first_sequence,
        next_sequence: topic.next_sequence,
        retained_bytes: topic.retained_bytes,
        subscriptions: topic.subscriptions,
        lag_messages: topic.lag_messages,
        lag_seconds: topic.lag.map_or(0.0, seconds),
        traffic: topic.traffic.map(traffic),
    }
}

/// See [`Subscriptions`].
pub fn subscriptions(listed: v1::ListSubscriptionsResponse) -> Subscriptions {
    let v1::ListSubscriptionsResponse { subscriptions, total } = listed;
    Subscriptions { subscriptions: subscriptions.into_iter().map(subscription).collect(), total }
}

fn subscription(state: v1::SubscriptionState) -> Subscription {
    Subscription {
        subscription_id: id(&state.subscription_id),
        peer: state.peer,
        next_sequence: state.next_sequence,
        lag_messages: state.lag_messages,
        silent_for_seconds: state.silent_for.map_or(0.0, seconds),
        open_time: time(state.open_time_unix_nano),
        cut: state.cut,
    }
}

fn traffic(traffic: v1::Traffic) -> Traffic {
    let v1::Traffic { published_messages, published_bytes, delivered_messages, delivered_bytes } = traffic;
    Traffic { published_messages, published_bytes, delivered_messages, delivered_bytes }
}

fn id(bytes: &Bytes) -> String {
    Uuid::from_slice(bytes).map(|id| id.to_string()).unwrap_or_default()
}

fn seconds(duration: prost_types::Duration) -> f64 {
    duration.seconds as f64 + f64::from(duration.nanos) / 1e9
}

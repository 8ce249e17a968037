//! Promise 8: every field of a request has a limit, and what is over it is refused with a canonical
//! code, the field, and what it has to be. Nothing that was acked is lost by any of it.

use std::collections::BTreeMap;

use bugle::limits::{
    ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTE_VALUE_BYTES_MAX, ATTRIBUTES_MAX, BATCH_MESSAGES_MAX,
    CONTENT_TYPE_BYTES_MAX, KEY_BYTES_MAX, MESSAGE_BYTES_MAX, NAMESPACE_BYTES_MAX, TOPIC_BYTES_MAX,
    TRACEPARENT_BYTES_MAX, TRACESTATE_BYTES_MAX,
};
use bugle::proto::v1::start_position::Start;
use bugle::proto::v1::{
    CreateNamespaceRequest, CreateTopicRequest, DeleteNamespaceRequest, DeleteTopicRequest, GetTopicRequest,
    ListTopicsRequest, Message, Namespace, Position, PublishRequest, Retention, StartPosition,
    SubscribeRequest, Topic, UpdateTopicRequest,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::bus::{Bus, EARLIEST, LATEST, batch, number, numbers, reason, request, violation};
use crate::feed::Feed;
use crate::support::soon;

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// The status is INVALID_ARGUMENT, names the field, and says this of it, in the message too.
fn invalid(status: &Status, field: &str, says: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let (named, description) = violation(status);
    assert_eq!(named, field);
    assert!(description.contains(says), "{description:?} does not say {says:?}");
    assert_eq!(status.message(), format!("{field}: {description}"));
}

async fn refused(bus: &Bus, message: Message, field: &str, says: &str) {
    let request = PublishRequest { messages: vec![message], ..batch("t", [""; 0]) };
    let status = soon(bus.client().publish(request)).await.unwrap_err();
    invalid(&status, &format!("messages[0].{field}"), says);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_refused_by_every_method_that_takes_one() {
    let bus = Bus::start().await;
    let topics = [("", "given"), (" ", "visible"), ("a ", "visible"), ("a\nb", "control"), ("\0", "control")];
    let long = text(TOPIC_BYTES_MAX + 1);
    let (mut client, mut admin) = (bus.client(), bus.admin());
    for (wrong, says) in topics.into_iter().chain([(long.as_str(), "at most 512")]) {
        let name = || wrong.to_owned();
        let topic = Topic { topic: name(), ..Default::default() };
        let get = GetTopicRequest { topic: name(), ..Default::default() };
        let delete = DeleteTopicRequest { topic: name(), ..Default::default() };
        invalid(&client.publish(batch(wrong, ["x"])).await.unwrap_err(), "topic", says);
        invalid(&Feed::open(&bus.channel, request(wrong, LATEST)).await.err().unwrap(), "topic", says);
        invalid(&admin.get_topic(get).await.unwrap_err(), "topic", says);
        invalid(&admin.delete_topic(delete).await.unwrap_err(), "topic", says);
        let create = CreateTopicRequest { topic: Some(topic.clone()) };
        invalid(&admin.create_topic(create).await.unwrap_err(), "topic.topic", says);
        let update = UpdateTopicRequest { topic: Some(topic) };
        invalid(&admin.update_topic(update).await.unwrap_err(), "topic.topic", says);
    }
    let longest = text(TOPIC_BYTES_MAX);
    bus.publish(&longest, ["x"]).await;
    assert_eq!(bus.subscribe(&longest, EARLIEST).await.take_all().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_namespaces_are_refused_by_every_method_that_takes_one() {
    let bus = Bus::start().await;
    let long = text(NAMESPACE_BYTES_MAX + 1);
    let (mut client, mut admin) = (bus.client(), bus.admin());
    for (wrong, says) in [(" ", "visible"), ("a\tb", "control"), (long.as_str(), "at most 128")] {
        let name = || wrong.to_owned();
        let publish = PublishRequest { namespace: name(), ..batch("t", ["x"]) };
        invalid(&client.publish(publish).await.unwrap_err(), "namespace", says);
        let subscribe = SubscribeRequest { namespace: name(), ..request("t", LATEST) };
        invalid(&Feed::open(&bus.channel, subscribe).await.err().unwrap(), "namespace", says);
        let list = ListTopicsRequest { namespace: name(), ..Default::default() };
        invalid(&admin.list_topics(list).await.unwrap_err(), "namespace", says);
        let delete = DeleteNamespaceRequest { namespace: name() };
        invalid(&admin.delete_namespace(delete).await.unwrap_err(), "namespace", says);
        let create = CreateNamespaceRequest { namespace: Some(Namespace { namespace: name(), topics: 0 }) };
        invalid(&admin.create_namespace(create).await.unwrap_err(), "namespace.namespace", says);
    }
    let status = admin.create_namespace(CreateNamespaceRequest { namespace: None }).await.unwrap_err();
    invalid(&status, "namespace", "has to be given");
    let empty = CreateNamespaceRequest { namespace: Some(Namespace::default()) };
    invalid(&admin.create_namespace(empty).await.unwrap_err(), "namespace.namespace", "has to be given");
    let status = admin.delete_namespace(DeleteNamespaceRequest::default()).await.unwrap_err();
    invalid(&status, "namespace", "has to be given");
    let status = admin.create_topic(CreateTopicRequest { topic: None }).await.unwrap_err();
    invalid(&status, "topic", "has to be given");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_message_has_its_limit() {
    let bus = Bus::start().await;
    for bytes in [1, 15, 17, 36] {
        let message = Message { id: text(bytes).into(), ..Default::default() };
        refused(&bus, message, "id", "16").await;
    }
    let fits = Message {
        key: text(KEY_BYTES_MAX),
        content_type: text(CONTENT_TYPE_BYTES_MAX),
        traceparent: text(TRACEPARENT_BYTES_MAX),
        tracestate: text(TRACESTATE_BYTES_MAX),
        attributes: (0..ATTRIBUTES_MAX)
            .map(|n| {
                (format!("{n:0width$}", width = ATTRIBUTE_NAME_BYTES_MAX), text(ATTRIBUTE_VALUE_BYTES_MAX))
            })
            .collect(),
        ..Default::default()
    };
    let request = PublishRequest { messages: vec![fits], ..batch("t", [""; 0]) };
    bus.client().publish(request).await.unwrap();
    let message = Message { key: text(KEY_BYTES_MAX + 1), ..Default::default() };
    refused(&bus, message, "key", "at most 1024").await;
    let message = Message { content_type: text(CONTENT_TYPE_BYTES_MAX + 1), ..Default::default() };
    refused(&bus, message, "content_type", "at most 512").await;
    let message = Message { traceparent: text(TRACEPARENT_BYTES_MAX + 1), ..Default::default() };
    refused(&bus, message, "traceparent", "at most 128").await;
    let message = Message { tracestate: text(TRACESTATE_BYTES_MAX + 1), ..Default::default() };
    refused(&bus, message, "tracestate", "at most 512").await;
    let with = |attributes| Message { attributes, ..Default::default() };
    let one = |name: &str, value: String| with(BTreeMap::from([(name.to_owned(), value)]));
    refused(&bus, one("", text(1)), "attributes", "have to be given").await;
    refused(&bus, one("a\u{1}", text(1)), "attributes", "control").await;
    let many = (0..=ATTRIBUTES_MAX).map(|n| (n.to_string(), String::new())).collect();
    refused(&bus, with(many), "attributes", "at most 64").await;
    let value = text(ATTRIBUTE_VALUE_BYTES_MAX + 1);
    refused(&bus, one("a", value), "attributes[a].value", "at most 4096").await;
    let field = format!("attributes[{}].name", text(40));
    refused(&bus, one(&text(ATTRIBUTE_NAME_BYTES_MAX + 1), text(1)), &field, "at most 128").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_at_least_one_message_and_not_too_many() {
    let bus = Bus::start().await;
    let status = bus.client().publish(batch("t", [""; 0])).await.unwrap_err();
    invalid(&status, "messages", "at least one");
    let status = bus.client().publish(batch("t", vec![""; BATCH_MESSAGES_MAX + 1])).await.unwrap_err();
    invalid(&status, "messages", "at most 10000");
    let receipt = bus.publish("t", vec![""; BATCH_MESSAGES_MAX]).await;
    assert_eq!(receipt.last_sequence, BATCH_MESSAGES_MAX as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_is_told_how_large_it_may_be() {
    let bus = Bus::start().await;
    bus.publish("t", [vec![1; MESSAGE_BYTES_MAX - 100]]).await;
    let request = batch("t", [vec![1; MESSAGE_BYTES_MAX]]);
    let large = bus.client().publish(request.clone()).await.unwrap_err();
    let streamed = tokio_stream::iter([batch("t", ["x"]), request]);
    let mut answers = bus.client().publish_stream(streamed).await.unwrap().into_inner();
    assert_eq!(soon(answers.message()).await.unwrap().unwrap().last_sequence, 2);
    let streamed = soon(answers.message()).await.unwrap_err();
    for status in [large, streamed] {
        invalid(&status, "request", "at most 1048576");
        assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");
        let info = status.get_error_details().error_info().unwrap().clone();
        assert_eq!(info.metadata["limit_bytes"], "1048576");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_be_is_refused() {
    let bus = Bus::start().await;
    let epoch = bus.publish("t", numbers(0..10)).await.epoch;
    let at = |epoch, sequence| Some(Start::After(Position { epoch, sequence }));
    for (start, field, says) in [
        (None, "start", "latest, earliest, after, time_unix_nano and last"),
        (Some(Start::Latest(false)), "start.latest", "true"),
        (Some(Start::Earliest(false)), "start.earliest", "true"),
        (at(0, 5), "start.after.epoch", "epoch of a delivered position"),
        (at(epoch, 11), "start.after", "in the future"),
        (at(epoch, u64::MAX), "start.after", "in the future"),
    ] {
        let subscribe = SubscribeRequest { start: Some(StartPosition { start }), ..request("t", None) };
        invalid(&Feed::open(&bus.channel, subscribe).await.err().unwrap(), field, says);
    }
    assert_eq!(bus.broker.subscriptions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retention_that_cannot_be_is_refused() {
    let bus = Bus::start().await;
    for max_age in [
        prost_types::Duration { seconds: -1, nanos: 0 },
        prost_types::Duration { seconds: 0, nanos: -1 },
        prost_types::Duration { seconds: i64::MIN, nanos: i32::MIN },
    ] {
        let retention = Some(Retention { max_age: Some(max_age), ..Default::default() });
        let topic = Topic { topic: "t".into(), retention, ..Default::default() };
        let request = CreateTopicRequest { topic: Some(topic) };
        let status = bus.admin().create_topic(request).await.unwrap_err();
        invalid(&status, "topic.retention.max_age", "zero or more");
    }
    let max_age = Some(prost_types::Duration { seconds: i64::MAX, nanos: 999_999_999 });
    let largest = Retention { max_bytes: u64::MAX, max_messages: u64::MAX, max_age };
    bus.retain("t", largest).await;
    bus.publish("t", numbers(0..3)).await;
    assert_eq!(bus.subscribe("t", EARLIEST).await.take_all().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acked_is_lost_between_refusals() {
    let bus = Bus::start().await;
    let mut live = bus.subscribe("t", LATEST).await;
    for n in 0..100 {
        let receipt = bus.publish("t", numbers(n..n + 1)).await;
        assert_eq!(receipt.first_sequence, n + 1);
        let mut wrong = batch("t", ["fine", "wrong"]);
        match n % 4 {
            0 => wrong.messages[1].id = "short".into(),
            1 => wrong.messages[1].key = text(KEY_BYTES_MAX + 1),
            2 => wrong.messages.clear(),
            _ => wrong.messages[1].payload = text(MESSAGE_BYTES_MAX).into(),
        }
        bus.client().publish(wrong).await.unwrap_err();
        let future = Position { epoch: receipt.epoch, sequence: n + 100 };
        let future = request("t", Some(Start::After(future)));
        assert!(Feed::open(&bus.channel, future).await.is_err());
    }
    for mut feed in [bus.subscribe("t", EARLIEST).await] {
        assert!(feed.take_all().await.iter().map(number).eq(0..100));
    }
    assert!(live.take(100).await.iter().map(number).eq(0..100));
}

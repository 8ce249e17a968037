//! Admin: namespaces and topics, made, listed, changed and deleted.

use std::time::Duration;

use bugle::proto::v1::topic::Durability;
use bugle::proto::v1::{
    CreateNamespaceRequest, CreateTopicRequest, DeleteNamespaceRequest, DeleteTopicRequest, GetTopicRequest,
    ListNamespacesRequest, ListTopicsRequest, Namespace, PublishRequest, Retention, SubscribeRequest, Topic,
    UpdateTopicRequest,
};
use bugle::topic;
use tonic::{Code, Status};

use crate::bus::{Bus, EARLIEST, LATEST, batch, numbers, reason, request, violation};
use crate::feed::Feed;
use crate::support::soon;

fn create(name: &str) -> CreateTopicRequest {
    CreateTopicRequest { topic: Some(Topic { topic: name.into(), ..Default::default() }) }
}

fn get(name: &str) -> GetTopicRequest {
    GetTopicRequest { topic: name.into(), ..Default::default() }
}

fn space(name: &str) -> CreateNamespaceRequest {
    CreateNamespaceRequest { namespace: Some(Namespace { namespace: name.into(), topics: 0 }) }
}

async fn spaces(bus: &Bus) -> Vec<(String, u64)> {
    let found = bus.admin().list_namespaces(ListNamespacesRequest::default()).await.unwrap().into_inner();
    assert_eq!(found.next_page_token, "");
    found.namespaces.into_iter().map(|found| (found.namespace, found.topics)).collect()
}

fn refused(status: &Status, code: Code, why: &str) {
    assert_eq!((status.code(), reason(status).as_str()), (code, why), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_by_whoever_uses_it_first() {
    let bus = Bus::start().await;
    refused(&bus.admin().get_topic(get("t")).await.unwrap_err(), Code::NotFound, "TOPIC_NOT_FOUND");
    let mut feed = bus.subscribe("t", LATEST).await;
    let receipt = bus.publish("u", numbers(0..5)).await;
    bus.publish("t", numbers(0..1)).await;
    feed.take(1).await;
    let topic = bus.admin().get_topic(get("t")).await.unwrap().into_inner();
    assert_eq!((topic.namespace.as_str(), topic.topic.as_str(), topic.subscriptions), ("default", "t", 1));
    let topic = bus.admin().get_topic(get("u")).await.unwrap().into_inner();
    assert_eq!((topic.epoch, topic.first_sequence, topic.next_sequence), (receipt.epoch, 1, 6));
    assert!(topic.retained_bytes > 5 * 8 && topic.retained_bytes < 1000);
    assert_eq!(topic.durability(), Durability::Memory);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_can_be_left_to_be_created() {
    let bus = Bus::with(|config| config.topics.auto_create = false).await;
    let status = bus.client().publish(batch("t", numbers(0..1))).await.unwrap_err();
    refused(&status, Code::NotFound, "TOPIC_NOT_FOUND");
    assert!(status.message().contains("create it first"));
    let status = Feed::open(&bus.channel, request("t", LATEST)).await.err().unwrap();
    refused(&status, Code::NotFound, "TOPIC_NOT_FOUND");
    bus.admin().create_topic(create("t")).await.unwrap();
    assert_eq!(bus.publish("t", numbers(0..1)).await.last_sequence, 1);
    assert_eq!(bus.subscribe("t", EARLIEST).await.take(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_namespace_is_not_found_whoever_asks() {
    let bus = Bus::start().await;
    let namespace = || "nowhere".to_owned();
    let publish = PublishRequest { namespace: namespace(), ..batch("t", numbers(0..1)) };
    let subscribe = SubscribeRequest { namespace: namespace(), ..request("t", LATEST) };
    let topic = Topic { namespace: namespace(), topic: "t".into(), ..Default::default() };
    let (mut bus_client, mut admin) = (bus.client(), bus.admin());
    for status in [
        bus_client.publish(publish).await.unwrap_err(),
        Feed::open(&bus.channel, subscribe).await.err().unwrap(),
        admin.create_topic(CreateTopicRequest { topic: Some(topic.clone()) }).await.unwrap_err(),
        admin.update_topic(UpdateTopicRequest { topic: Some(topic) }).await.unwrap_err(),
        admin.get_topic(GetTopicRequest { namespace: namespace(), ..get("t") }).await.unwrap_err(),
        admin
            .delete_topic(DeleteTopicRequest { namespace: namespace(), topic: "t".into() })
            .await
            .unwrap_err(),
        admin
            .list_topics(ListTopicsRequest { namespace: namespace(), ..Default::default() })
            .await
            .unwrap_err(),
        admin.delete_namespace(DeleteNamespaceRequest { namespace: namespace() }).await.unwrap_err(),
    ] {
        refused(&status, Code::NotFound, "NAMESPACE_NOT_FOUND");
        assert!(status.message().contains("nowhere") && status.message().contains("create it first"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_made_used_listed_and_deleted_with_all_that_is_in_it() {
    let listed = "configured".to_owned();
    let bus =
        Bus::with(|config| config.namespaces = vec![topic::Namespace::parse("configured").unwrap()]).await;
    let mut admin = bus.admin();
    admin.create_namespace(space("made")).await.unwrap();
    let status = admin.create_namespace(space("made")).await.unwrap_err();
    refused(&status, Code::AlreadyExists, "NAMESPACE_EXISTS");
    let publish = PublishRequest { namespace: "made".into(), ..batch("t", numbers(0..3)) };
    let old = bus.client().publish(publish.clone()).await.unwrap().into_inner();
    bus.publish("t", numbers(0..1)).await;
    let expected = [(listed, 0), ("default".to_owned(), 1), ("made".to_owned(), 1)];
    assert_eq!(spaces(&bus).await, expected);
    let subscribe = SubscribeRequest { namespace: "made".into(), ..request("t", EARLIEST) };
    let mut feed = Feed::open(&bus.channel, subscribe.clone()).await.unwrap();
    assert_eq!(feed.take_all().await.len(), 3);
    let mut other = bus.subscribe("t", EARLIEST).await;
    assert_eq!(other.take_all().await.len(), 1);

    admin.delete_namespace(DeleteNamespaceRequest { namespace: "made".into() }).await.unwrap();
    let (said, status) = feed.end().await;
    assert!(said.is_empty());
    assert_eq!(status.code(), Code::NotFound);
    let status = bus.client().publish(publish.clone()).await.unwrap_err();
    refused(&status, Code::NotFound, "NAMESPACE_NOT_FOUND");
    assert_eq!(spaces(&bus).await.len(), 2);
    bus.publish("t", numbers(1..2)).await;
    assert_eq!(other.take(1).await.len(), 1);

    admin.create_namespace(space("made")).await.unwrap();
    let new = bus.client().publish(publish).await.unwrap().into_inner();
    assert!(new.epoch > old.epoch && new.first_sequence == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_namespace_can_neither_be_made_nor_deleted() {
    let bus = Bus::start().await;
    let status = bus.admin().create_namespace(space("default")).await.unwrap_err();
    refused(&status, Code::AlreadyExists, "NAMESPACE_EXISTS");
    let request = DeleteNamespaceRequest { namespace: "default".into() };
    let status = bus.admin().delete_namespace(request).await.unwrap_err();
    refused(&status, Code::FailedPrecondition, "DEFAULT_NAMESPACE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_topic_ends_its_subscriptions_and_begins_anew() {
    let bus = Bus::start().await;
    let old = bus.publish("t", numbers(0..3)).await;
    let mut feed = bus.subscribe("t", EARLIEST).await;
    feed.take_all().await;
    let delete = DeleteTopicRequest { topic: "t".into(), ..Default::default() };
    bus.admin().delete_topic(delete.clone()).await.unwrap();
    let (_, status) = feed.end().await;
    refused(&status, Code::NotFound, "TOPIC_NOT_FOUND");
    refused(&bus.admin().delete_topic(delete).await.unwrap_err(), Code::NotFound, "TOPIC_NOT_FOUND");
    let new = bus.publish("t", numbers(0..1)).await;
    assert!(new.epoch > old.epoch && new.first_sequence == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_created_once_even_by_many_at_the_same_time() {
    let bus = Bus::start().await;
    for round in 0..20 {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let mut admin = bus.admin();
                tokio::spawn(async move { admin.create_topic(create(&format!("t{round}"))).await })
            })
            .collect();
        let mut made = 0;
        for task in tasks {
            match soon(task).await.unwrap() {
                Ok(_) => made += 1,
                Err(status) => refused(&status, Code::AlreadyExists, "TOPIC_EXISTS"),
            }
        }
        assert_eq!(made, 1);
    }
    bus.publish("used", numbers(0..1)).await;
    let status = bus.admin().create_topic(create("used")).await.unwrap_err();
    refused(&status, Code::AlreadyExists, "TOPIC_EXISTS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durability_this_server_does_not_have_is_refused() {
    let bus = Bus::start().await;
    for durability in [Durability::Disk, Durability::Replicated] {
        let topic = Topic { topic: "t".into(), durability: durability as i32, ..Default::default() };
        let status = bus.admin().create_topic(CreateTopicRequest { topic: Some(topic) }).await.unwrap_err();
        refused(&status, Code::FailedPrecondition, "DURABILITY_NOT_OFFERED");
        assert!(status.message().contains("DURABILITY_MEMORY"));
    }
    let topic = Topic { topic: "t".into(), durability: 99, ..Default::default() };
    let status = bus.admin().create_topic(CreateTopicRequest { topic: Some(topic) }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(violation(&status).0, "topic.durability");
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_come_in_pages_in_order_and_by_prefix() {
    let bus = Bus::start().await;
    for n in 0..250 {
        bus.publish(&format!("a{n:03}"), ["x"]).await;
    }
    bus.publish("b", ["x"]).await;
    for (prefix, page_size, expected) in [("", 100, 251), ("a", 0, 250), ("a1", 7, 100), ("c", 5, 0)] {
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let request =
                ListTopicsRequest { namespace: String::new(), prefix: prefix.into(), page_size, page_token };
            let page = bus.admin().list_topics(request).await.unwrap().into_inner();
            assert!(page.topics.len() <= if page_size == 0 { 100 } else { page_size as usize });
            names.extend(page.topics.into_iter().map(|topic| topic.topic));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(names.len(), expected, "{prefix:?}");
        assert!(names.is_sorted() && names.iter().all(|name| name.starts_with(prefix)));
        names.dedup();
        assert_eq!(names.len(), expected, "an entry came twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_kept_and_zero_means_the_default() {
    let bus = Bus::start().await;
    let age = prost_types::Duration { seconds: 7, nanos: 500_000_000 };
    let all = Retention { max_bytes: 1 << 20, max_messages: 10, max_age: Some(age) };
    assert_eq!(bus.retain("t", all).await.retention, Some(all));
    assert_eq!(bus.admin().get_topic(get("t")).await.unwrap().into_inner().retention, Some(all));
    let default = bus.retain("t", Retention::default()).await.retention.unwrap();
    assert_eq!((default.max_bytes, default.max_messages), (64 << 20, 1_000_000));
    assert_eq!(Duration::try_from(default.max_age.unwrap()), Ok(Duration::from_secs(3600)));
}

//! The client against the real server: what a program that uses it can rely on.

use std::net::SocketAddr;
use std::time::Duration;

use bugle::client::{
    Backoff, Client, Event, Message, OUTCOME_UNKNOWN, Reason, Retention, Start, Subscription, TopicSettings,
};
use bugle::config::Config;
use bugle::error::Code;
use bugle::topic::Position;

use crate::support::{Running, config, soon};

async fn client(address: SocketAddr) -> Client {
    Client::connect(format!("http://{address}")).await.unwrap()
}

async fn pair() -> (Running, Client) {
    let server = Running::start(config()).await;
    let client = client(server.address).await;
    (server, client)
}

fn quick() -> Backoff {
    Backoff { initial: Duration::from_millis(5), max: Duration::from_millis(50), attempts_max: None }
}

async fn payloads(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut payloads = Vec::new();
    while payloads.len() < count {
        let message = soon(subscription.next_message()).await.unwrap().unwrap();
        payloads.push(String::from_utf8(message.payload().to_vec()).unwrap());
    }
    payloads
}

#[tokio::test]
async fn a_message_comes_out_as_it_went_in() {
    let (_server, client) = pair().await;
    let id = uuid::Uuid::now_v7();
    let message = Message::new("hello")
        .with_key("customer-7")
        .with_attribute("region", "eu")
        .with_attribute("kind", "test")
        .with_id(id)
        .with_content_type("text/plain")
        .with_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=1");
    let mut subscription = client.subscribe("orders").open().await.unwrap();
    let receipt = client.publish("orders", message.clone()).await.unwrap();
    let delivery = soon(subscription.next_message()).await.unwrap().unwrap();
    assert_eq!(delivery.position, receipt.position());
    assert_eq!(subscription.position(), Some(receipt.position()));
    assert_eq!(delivery.id(), Some(id));
    assert_eq!(delivery.payload(), message.payload());
    assert_eq!(delivery.key(), "customer-7");
    assert_eq!(delivery.attributes(), message.attributes());
    assert_eq!(delivery.content_type(), "text/plain");
    assert_eq!(delivery.traceparent(), message.traceparent());
    assert_eq!(delivery.tracestate(), "vendor=1");
    let age = delivery.publish_time().elapsed().unwrap_or_default();
    assert!(age < Duration::from_secs(60), "{age:?}");
}

#[tokio::test]
async fn every_start_begins_where_it_says() {
    let (_server, client) = pair().await;
    let messages = ["a", "b", "c", "d"].map(Message::new);
    let receipts = client.publish_batch("orders", messages).await.unwrap();
    let before = std::time::SystemTime::now() - Duration::from_secs(60);
    for (start, expected) in [
        (Start::Earliest, &["a", "b", "c", "d"][..]),
        (Start::After(receipts[1].position()), &["c", "d"]),
        (Start::Last(1), &["d"]),
        (Start::Time(before), &["a", "b", "c", "d"]),
    ] {
        let mut subscription = client.subscribe("orders").from(start).open().await.unwrap();
        assert_eq!(payloads(&mut subscription, expected.len()).await, expected, "{start:?}");
        let caught_up = soon(subscription.next()).await.unwrap().unwrap();
        assert!(
            matches!(caught_up, Event::CaughtUp { newest: Some(newest) } if newest == receipts[3].position())
        );
    }
    let mut latest = client.subscribe("orders").open().await.unwrap();
    client.publish("orders", "e").await.unwrap();
    assert_eq!(payloads(&mut latest, 1).await, ["e"]);
}

#[tokio::test]
async fn a_publisher_keeps_the_order_of_each_topic_and_names_each_place() {
    let (_server, client) = pair().await;
    let publisher = client.publisher().max_in_flight_bytes(64 * 1024).build().unwrap();
    let mut receipts = Vec::new();
    for number in 0..5_000_u64 {
        let topic = if number % 2 == 0 { "even" } else { "odd" };
        receipts.push(publisher.publish(topic, number.to_string()).await.unwrap());
    }
    for (number, receipt) in receipts.into_iter().enumerate() {
        assert_eq!(soon(receipt).await.unwrap().sequence, number as u64 / 2 + 1);
    }
    publisher.close().await.unwrap();
    let mut even = client.subscribe("even").from(Start::Earliest).open().await.unwrap();
    let expected: Vec<_> = (0..5_000).step_by(2).map(|number| number.to_string()).collect();
    assert_eq!(payloads(&mut even, 2_500).await, expected);
}

#[tokio::test]
async fn a_refused_batch_fails_its_receipts_and_no_others() {
    let (_server, client) = pair().await;
    let publisher = client.publisher().build().unwrap();
    let good = publisher.publish("orders", "good").await.unwrap();
    let attributes = (0..100).fold(Message::new("bad"), |it, n| it.with_attribute(n.to_string(), "x"));
    let bad = publisher.publish("other", attributes).await.unwrap();
    let error = soon(bad).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(!error.violations().is_empty(), "{error:?}");
    assert!(soon(good).await.is_ok());
    assert_eq!(publisher.publish("", "x").await.unwrap_err().violations()[0].field, "topic");
    let after = publisher.publish("orders", "after").await.unwrap();
    assert_eq!(soon(after).await.unwrap().sequence, 2);
}

#[tokio::test]
async fn a_subscription_outlives_its_server_and_tells_of_the_new_history() {
    let (mut server, client) = pair().await;
    let address = server.address;
    let mut subscription = client.subscribe("orders").reconnect(quick()).open().await.unwrap();
    client.publish("orders", "before").await.unwrap();
    assert_eq!(payloads(&mut subscription, 1).await, ["before"]);
    let old = subscription.position().unwrap();
    server.stop();
    let mut told = Vec::new();
    while !matches!(told.last(), Some(Event::Reconnecting { .. })) {
        told.push(soon(subscription.next()).await.unwrap().unwrap());
    }
    assert!(told.iter().any(|event| matches!(event, Event::Draining { .. })), "{told:?}");
    server.ended().await;

    let _server = Running::start(Config { listen: address, ..config() }).await;
    client.publish("orders", "after").await.unwrap();
    loop {
        match soon(subscription.next()).await.unwrap().unwrap() {
            Event::Discontinuity { reason, last_delivered, next } => {
                assert_eq!((reason, last_delivered), (Reason::Reset, Some(old)));
                assert!(next > old);
                break;
            }
            Event::Message(message) => panic!("{message:?} came before the gap was told"),
            _ => {}
        }
    }
    assert_eq!(payloads(&mut subscription, 1).await, ["after"]);
}

#[tokio::test]
async fn a_publisher_outlives_its_server() {
    // An idle publish stream lasts until the server cuts it.
    let grace = Config { drain_grace: Duration::from_millis(100), ..config() };
    let mut server = Running::start(grace).await;
    let address = server.address;
    let client = client(address).await;
    let publisher = client.publisher().reconnect(quick()).build().unwrap();
    soon(publisher.publish("orders", "before").await.unwrap()).await.unwrap();
    server.stop();
    server.ended().await;
    let waiting = publisher.publish("orders", "while it was away").await.unwrap();
    let _server = Running::start(Config { listen: address, ..config() }).await;
    // Whether it was handed to the dying connection or not, the publisher says so.
    if let Err(error) = soon(waiting).await {
        assert_eq!(error.reason_code(), Some(OUTCOME_UNKNOWN), "{error:?}");
    }
    soon(publisher.publish("orders", "after").await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn heartbeats_are_told_and_carry_the_newest_position() {
    let (_server, client) = pair().await;
    let receipt = client.publish("orders", "a").await.unwrap();
    let builder = client.subscribe("orders").heartbeat_interval(Duration::from_millis(100));
    let mut subscription = builder.open().await.unwrap();
    loop {
        if let Event::Heartbeat { newest, .. } = soon(subscription.next()).await.unwrap().unwrap() {
            assert_eq!(newest, Some(receipt.position()));
            break;
        }
    }
}

#[tokio::test]
async fn what_can_never_succeed_ends_a_subscription() {
    let (_server, client) = pair().await;
    let elsewhere = client.in_namespace("nowhere").unwrap();
    assert_eq!(elsewhere.subscribe("orders").open().await.unwrap_err().code(), Code::NotFound);
    client.publish("orders", "a").await.unwrap();
    let mut subscription = client.subscribe("orders").from(Start::Earliest).open().await.unwrap();
    assert_eq!(payloads(&mut subscription, 1).await, ["a"]);
    client.admin().delete_topic("orders").await.unwrap();
    let error = loop {
        if let Err(error) = soon(subscription.next()).await.unwrap() {
            break error;
        }
    };
    assert_eq!(error.code(), Code::NotFound);
    assert!(subscription.next().await.is_none());
}

#[tokio::test]
async fn a_start_that_expired_is_told_with_the_gap() {
    let (_server, client) = pair().await;
    let retention = Retention { max_messages: 10, ..Retention::default() };
    let settings = TopicSettings { retention, ..TopicSettings::default() };
    client.admin().create_topic("orders", settings).await.unwrap();
    let messages = (0..1_000).map(|number| Message::new(number.to_string()));
    let receipts = client.publish_batch("orders", messages).await.unwrap();
    let first = Position::new(receipts[0].epoch, 1);
    let builder = client.subscribe("orders").from(Start::After(first));
    let mut subscription = builder.open().await.unwrap();
    let mut gap = None;
    let delivery = loop {
        match soon(subscription.next()).await.unwrap().unwrap() {
            Event::Discontinuity { reason, next, .. } => gap = Some((reason, next)),
            Event::Message(delivery) => break delivery,
            _ => {}
        }
    };
    assert_eq!(gap, Some((Reason::Expired, delivery.position)));
}

#[tokio::test]
async fn listings_fetch_all_their_pages() {
    let (_server, client) = pair().await;
    let publisher = client.publisher().build().unwrap();
    for number in 0..1_500 {
        publisher.publish(&format!("topic-{number:04}"), "x").await.unwrap();
    }
    publisher.close().await.unwrap();
    let topics = client.admin().list_topics("topic-").await.unwrap();
    assert_eq!(topics.len(), 1_500);
    assert!(topics.is_sorted_by(|a, b| a.name < b.name));
    client.admin().create_namespace("staging").await.unwrap();
    let namespaces = client.admin().list_namespaces().await.unwrap();
    assert_eq!(namespaces.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["default", "staging"]);
}

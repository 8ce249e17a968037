//! What a topic keeps, changed while it runs, and what becomes of topics that keep nothing.

use std::time::Duration;

use bugle::proto::v1::discontinuity::Reason;
use bugle::proto::v1::start_position::Start;
use bugle::proto::v1::{GetTopicRequest, Position, Retention, Topic};

use crate::bus::{Bus, EARLIEST, LATEST, numbers};
use crate::support::soon;

const SHORT: Duration = Duration::from_millis(1);

async fn described(bus: &Bus) -> Topic {
    let request = GetTopicRequest { topic: "t".into(), ..Default::default() };
    bus.admin().get_topic(request).await.unwrap().into_inner()
}

fn age(age: Duration) -> Retention {
    Retention { max_age: Some(prost_types::Duration::try_from(age).unwrap()), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_kept_by_their_number() {
    let bus = Bus::start().await;
    for n in 0..1000 {
        bus.publish("t", numbers(n..n + 1)).await;
    }
    let topic = bus.retain("t", Retention { max_messages: 100, ..Default::default() }).await;
    assert_eq!((topic.first_sequence, topic.next_sequence), (901, 1001));
    assert_eq!(bus.subscribe("t", EARLIEST).await.take_all().await.len(), 100);
    bus.publish("t", numbers(1000..1030)).await;
    assert_eq!(described(&bus).await.first_sequence, 931);
    bus.retain("t", Retention { max_messages: 1000, ..Default::default() }).await;
    bus.publish("t", numbers(1030..2000)).await;
    let kept = bus.subscribe("t", EARLIEST).await.take_all().await;
    assert_eq!(kept.len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_kept_by_their_bytes() {
    let bus = Bus::start().await;
    for _ in 0..100 {
        bus.publish("t", (0..10).map(|_| vec![5; 1000])).await;
    }
    let before = described(&bus).await.retained_bytes;
    assert!(before > 1_000_000);
    bus.retain("t", Retention { max_bytes: 400_000, ..Default::default() }).await;
    for _ in 0..100 {
        bus.publish("t", (0..10).map(|_| vec![5; 1000])).await;
        assert!(described(&bus).await.retained_bytes <= 400_000);
    }
    let topic = described(&bus).await;
    let kept = bus.subscribe("t", EARLIEST).await.take_all().await;
    assert_eq!(kept[0].sequence, topic.first_sequence);
    assert!(kept.len() * 1000 > 300_000, "much less is kept than may be: {}", kept.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_kept_by_their_age() {
    let bus = Bus::start().await;
    let epoch = bus.publish("t", numbers(0..100)).await.epoch;
    let used = bus.broker.budget().used();
    let mut feed = bus.subscribe("t", LATEST).await;
    bus.retain("t", age(SHORT)).await;
    tokio::time::sleep(SHORT).await;
    assert_eq!(described(&bus).await.first_sequence, 101);
    bus.ticks(12).await;
    assert_eq!(described(&bus).await.retained_bytes, 0);
    drop(feed.take_all().await);
    drop(feed);
    assert!(bus.broker.budget().used() < used);
    let start = Some(Start::After(Position { epoch, sequence: 50 }));
    assert_eq!(bus.subscribe("t", start).await.gap().await.0.reason(), Reason::Expired);
    bus.retain("t", age(Duration::from_secs(60))).await;
    bus.publish("t", numbers(0..1)).await;
    let kept = bus.subscribe("t", EARLIEST).await.take_all().await;
    assert_eq!((kept.len(), kept[0].sequence), (1, 101));
}

/// Waits until only the clock and so many other topics are open.
async fn open(bus: &Bus, topics: usize) {
    let closed = async {
        bus.ticks(1).await;
        while bus.broker.topics() > topics {
            bus.ticks(1).await;
        }
    };
    soon(closed).await;
}

async fn forgetful() -> Bus {
    Bus::with(|config| {
        config.retention.age = SHORT;
        config.topics.idle_close_after = Duration::from_millis(100);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_empty_and_unused_are_closed_and_come_back_without_a_false_loss() {
    let bus = forgetful().await;
    let old = bus.publish("t", numbers(0..10)).await;
    for n in 0..50 {
        bus.publish(&format!("other {n}"), numbers(0..1)).await;
    }
    open(&bus, 1).await;
    let position = Position { epoch: old.epoch, sequence: 10 };
    let mut feed = bus.subscribe("t", Some(Start::After(position))).await;
    assert_eq!(feed.take_all().await.len(), 0);
    let new = bus.publish("t", numbers(10..11)).await;
    assert_eq!((new.epoch, new.first_sequence), (old.epoch, 11));
    assert_eq!(feed.take(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_closed_still_tells_what_is_missing() {
    let bus = forgetful().await;
    let old = bus.publish("t", numbers(0..10)).await;
    open(&bus, 1).await;
    for (sequence, missing) in [(3, true), (9, true), (10, false)] {
        let position = Position { epoch: old.epoch, sequence };
        let mut feed = bus.subscribe("t", Some(Start::After(position))).await;
        if missing {
            assert_eq!(feed.gap().await.0.reason(), Reason::Expired);
        }
        assert_eq!(feed.take_all().await.len(), 0);
    }
    let mut feed = bus.subscribe("t", Some(Start::TimeUnixNano(1))).await;
    assert_eq!(feed.gap().await.0.reason(), Reason::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_a_reader_or_settings_of_its_own_stays_open() {
    let bus = forgetful().await;
    let _feed = bus.subscribe("read", LATEST).await;
    bus.retain("created", Retention::default()).await;
    bus.publish("unused", numbers(0..1)).await;
    open(&bus, 3).await;
    bus.ticks(15).await;
    assert_eq!(bus.broker.topics(), 3);
}

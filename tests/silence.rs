//! Promise 5: a subscription is never silent, and says one thing at a time.

use std::time::Duration;

use bugle::config::Size;
use bugle::proto::v1::SubscribeRequest;
use bugle::proto::v1::bus_client::BusClient;
use prost::Message as _;
use tonic::Code;

use crate::bus::{Bus, EARLIEST, LATEST, numbers, request, violation};
use crate::feed::{Feed, Heard};
use crate::support::soon;

fn interval(millis: u64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration::try_from(Duration::from_millis(millis)).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_opens_delivers_catches_up_and_then_beats() {
    let bus = Bus::start().await;
    let receipt = bus.publish("t", numbers(0..3)).await;
    let request = SubscribeRequest { heartbeat_interval: interval(100), ..request("t", EARLIEST) };
    let mut feed = Feed::open(&bus.channel, request).await.unwrap();
    assert_eq!((feed.opened.epoch, feed.opened.next_sequence), (receipt.epoch, 1));
    assert!(matches!(feed.hear().await.unwrap(), Heard::Messages(messages) if messages.len() == 3));
    assert!(matches!(feed.hear().await.unwrap(), Heard::CaughtUp(newest) if newest.sequence == 3));
    let mut time = 0;
    for _ in 0..3 {
        let Heard::Heartbeat(heartbeat) = feed.hear().await.unwrap() else { panic!("not a heartbeat") };
        assert_eq!(heartbeat.newest.unwrap().sequence, 3);
        assert!(heartbeat.server_time_unix_nano > time);
        time = heartbeat.server_time_unix_nano;
    }
    bus.publish("t", numbers(3..4)).await;
    assert_eq!(feed.take(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_topic_is_caught_up_at_once() {
    let bus = Bus::start().await;
    let mut feed = bus.subscribe("t", EARLIEST).await;
    assert!(matches!(feed.hear().await.unwrap(), Heard::CaughtUp(newest) if newest.sequence == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_subscriptions_differ() {
    let bus = Bus::start().await;
    let first = bus.subscribe("t", LATEST).await;
    let second = bus.subscribe("t", LATEST).await;
    assert_ne!(first.opened.subscription_id, second.opened.subscription_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_come_at_the_interval_of_the_server_where_none_is_asked_for() {
    let bus = Bus::with(|config| config.delivery.heartbeat_interval = Duration::from_millis(100)).await;
    let mut feed = bus.subscribe("t", LATEST).await;
    feed.take_all().await;
    assert!(matches!(feed.hear().await.unwrap(), Heard::Heartbeat(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_interval_out_of_bounds_is_refused_with_the_bounds() {
    let bus = Bus::start().await;
    for wrong in [
        interval(99),
        interval(600_001),
        Some(prost_types::Duration { seconds: -1, nanos: 0 }),
        Some(prost_types::Duration { seconds: i64::MAX, nanos: i32::MAX }),
        Some(prost_types::Duration::default()),
    ] {
        let request = SubscribeRequest { heartbeat_interval: wrong, ..request("t", LATEST) };
        let status = Feed::open(&bus.channel, request).await.err().unwrap();
        assert_eq!(status.code(), Code::InvalidArgument, "{wrong:?}");
        let (field, description) = violation(&status);
        assert_eq!(field, "heartbeat_interval");
        assert!(description.contains("600s"), "{description}");
    }
    for right in [interval(100), interval(600_000)] {
        let request = SubscribeRequest { heartbeat_interval: right, ..request("t", LATEST) };
        Feed::open(&bus.channel, request).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_response_is_larger_than_asked_for_unless_one_message_is() {
    let bus = Bus::with(|config| config.delivery.max_batch_bytes = Size(4096)).await;
    for n in 0..200 {
        bus.publish("t", numbers(n..n + 1)).await;
    }
    bus.publish("t", (0..300).map(|_| vec![7; 100])).await;
    bus.publish("t", [vec![8; 10_000]]).await;
    bus.publish("t", numbers(0..20)).await;
    for (asked, most) in [(0, 4096), (1, 1), (100, 100), (1000, 1000), (u32::MAX, 1 << 20)] {
        let request = SubscribeRequest { max_batch_bytes: asked, ..request("t", EARLIEST) };
        let mut stream = BusClient::new(bus.channel.clone()).subscribe(request).await.unwrap().into_inner();
        let mut next = 1;
        while next <= 521 {
            let response = soon(stream.message()).await.unwrap().unwrap();
            let count = response.messages.len();
            assert!(response.encoded_len() <= most || count <= 1, "{count} messages for {asked}");
            for message in response.messages {
                assert_eq!(message.sequence, next);
                next += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_tells_those_who_wait() {
    let bus = Bus::start().await;
    let mut feed = bus.subscribe("t", LATEST).await;
    feed.take_all().await;
    let request = bugle::proto::v1::DeleteTopicRequest { topic: "t".into(), ..Default::default() };
    bus.admin().delete_topic(request).await.unwrap();
    let (_, status) = feed.end().await;
    assert_eq!(status.code(), Code::NotFound);
}

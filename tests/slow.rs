//! Promise 6: a subscriber that does not read costs bounded memory, hurts nobody, and is cut with
//! its position; promise 2 where retention overtakes it.

use std::time::Duration;

use bugle::proto::v1::discontinuity::Reason;
use bugle::proto::v1::start_position::Start;
use bugle::proto::v1::{Position, Retention, SubscribeRequest};
use tonic::Code;
use tonic_types::StatusExt;

use crate::bus::{Bus, EARLIEST, LATEST, narrow, reason, request};
use crate::feed::{Feed, Heard};
use crate::support::soon;

/// Publishes so many KiB in messages of one.
async fn publish_kib(bus: &Bus, topic: &str, kib: usize) {
    for _ in 0..kib / 64 {
        bus.publish(topic, (0..64).map(|_| vec![7; 1024])).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_read_is_cut_with_its_position_and_can_resume() {
    let bus = Bus::with(|config| config.delivery.stall_timeout = Duration::from_millis(300)).await;
    let mut reading = bus.subscribe("t", LATEST).await;
    let mut stalled = Feed::open(&narrow(bus.server.address).await, request("t", LATEST)).await.unwrap();
    publish_kib(&bus, "t", 4096).await;
    assert_eq!(reading.take(4096).await.len(), 4096);
    bus.ticks(14).await;
    let (said, status) = stalled.end().await;
    assert!(stalled.count > 0 && stalled.count < 4096, "{}", stalled.count);
    assert!(said.iter().all(|heard| matches!(heard, Heard::Messages(_) | Heard::CaughtUp(_))));
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), "SLOW_SUBSCRIBER");
    let info = status.get_error_details().error_info().unwrap().metadata.clone();
    let position =
        Position { epoch: info["epoch"].parse().unwrap(), sequence: info["sequence"].parse().unwrap() };
    assert_eq!(position, stalled.position());
    let mut resumed = bus.subscribe("t", Some(Start::After(position))).await;
    let rest = resumed.take_all().await.len() as u64;
    assert_eq!(stalled.count + rest, 4096);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_reads_slowly_is_not_cut() {
    let bus = Bus::with(|config| config.delivery.stall_timeout = Duration::from_secs(1)).await;
    publish_kib(&bus, "t", 1024).await;
    let slow = SubscribeRequest { max_batch_bytes: 32 << 10, ..request("t", EARLIEST) };
    let mut feed = Feed::open(&narrow(bus.server.address).await, slow).await.unwrap();
    let mut taken = 0;
    for _ in 0..20 {
        bus.ticks(1).await;
        taken += feed.take(1).await.len();
    }
    assert!(taken < 1024, "it was not slow");
    assert_eq!(taken + feed.take_all().await.len(), 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_for_news_is_not_cut() {
    let bus = Bus::with(|config| config.delivery.stall_timeout = Duration::from_millis(200)).await;
    let mut feed = bus.subscribe("t", LATEST).await;
    bus.ticks(20).await;
    publish_kib(&bus, "t", 64).await;
    assert_eq!(feed.take(64).await.len(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_retention_overtook_is_told_the_gap_and_goes_on_behind_it() {
    let bus = Bus::start().await;
    bus.retain("t", Retention { max_messages: 500, ..Default::default() }).await;
    let mut feed = Feed::open(&narrow(bus.server.address).await, request("t", LATEST)).await.unwrap();
    publish_kib(&bus, "t", 4096).await;
    let (gap, before) = feed.gap().await;
    assert_eq!(gap.reason(), Reason::Slow);
    let next = gap.next.unwrap().sequence;
    assert_eq!(gap.last_delivered.unwrap().sequence, before.len() as u64);
    assert!(next <= 4096 - 500 + 1, "more than what retention lets go is missing");
    let after = feed.take(4096 - next as usize + 1).await;
    assert_eq!(after.last().unwrap().sequence, 4096);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_stream_does_not_block_the_others_of_its_connection() {
    let bus = Bus::start().await;
    let _stalled = bus.subscribe("loud", LATEST).await;
    publish_kib(&bus, "loud", 8192).await;
    let mut feed = bus.subscribe("quiet", LATEST).await;
    publish_kib(&bus, "quiet", 256).await;
    assert_eq!(feed.take(256).await.len(), 256);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_that_never_read_beside_a_hundred_that_do() {
    const KIB: usize = 2048;
    let bus = Bus::start().await;
    let mut stalled = Vec::new();
    let mut readers = Vec::new();
    for _ in 0..100 {
        let channel = narrow(bus.server.address).await;
        stalled.push(Feed::open(&channel, request("t", LATEST)).await.unwrap());
        let mut feed = bus.subscribe("t", LATEST).await;
        readers.push(tokio::spawn(async move {
            let taken = feed.take(KIB).await.len();
            (taken, feed.next)
        }));
    }
    let publisher = async {
        for _ in 0..KIB / 64 {
            bus.publish("t", (0..64).map(|_| vec![7; 1024])).await;
            assert!(bus.broker.budget().used() <= bus.broker.budget().limit());
        }
    };
    soon(publisher).await;
    for reader in readers {
        assert_eq!(soon(reader).await.unwrap(), (KIB, KIB as u64 + 1));
    }
    assert_eq!(bus.broker.subscriptions(), 200);
    drop(stalled);
}

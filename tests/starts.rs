//! Every start a subscriber can ask for, and what is announced as missing there.

use std::time::{SystemTime, UNIX_EPOCH};

use bugle::proto::v1::discontinuity::Reason;
use bugle::proto::v1::start_position::Start;
use bugle::proto::v1::{Message, Position, Retention};

use crate::bus::{Bus, EARLIEST, LATEST, number, numbers};
use crate::feed::Heard;

fn all(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(number).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// A topic that published 0..100, one batch each, and keeps the newest ten.
async fn ten_of_a_hundred(bus: &Bus) -> u64 {
    bus.retain("t", Retention { max_messages: 10, ..Default::default() }).await;
    let mut epoch = 0;
    for n in 0..100 {
        epoch = bus.publish("t", numbers(n..n + 1)).await.epoch;
    }
    epoch
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_is_what_is_published_from_now_on_and_the_default() {
    let bus = Bus::start().await;
    bus.publish("t", numbers(0..5)).await;
    let mut feeds = [bus.subscribe("t", LATEST).await, bus.subscribe("t", None).await];
    bus.publish("t", numbers(5..8)).await;
    for feed in &mut feeds {
        assert_eq!(feed.opened.next_sequence, 6);
        assert_eq!(all(&feed.take(3).await), [5, 6, 7]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn earliest_is_everything_that_is_retained() {
    let bus = Bus::start().await;
    bus.publish("t", numbers(0..5)).await;
    let mut feed = bus.subscribe("t", EARLIEST).await;
    assert_eq!(feed.opened.next_sequence, 1);
    assert_eq!(all(&feed.take_all().await), [0, 1, 2, 3, 4]);
    ten_of_a_hundred(&bus).await;
    let mut feed = bus.subscribe("t", EARLIEST).await;
    assert_eq!(all(&feed.take_all().await), Vec::from_iter(90..100));
}

#[tokio::test(flavor = "multi_thread")]
async fn last_is_the_newest_so_many_or_all_there_are() {
    let bus = Bus::start().await;
    bus.publish("t", numbers(0..5)).await;
    for (count, expected) in [(0, vec![]), (2, vec![3, 4]), (5, vec![0, 1, 2, 3, 4])] {
        let mut feed = bus.subscribe("t", Some(Start::Last(count))).await;
        assert_eq!(all(&feed.take_all().await), expected);
    }
    let mut feed = bus.subscribe("t", Some(Start::Last(u64::MAX))).await;
    assert_eq!(feed.take_all().await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_is_the_first_message_accepted_at_or_after_it() {
    let bus = Bus::start().await;
    for n in 0..20 {
        bus.publish("t", numbers(n..n + 1)).await;
    }
    let messages = bus.subscribe("t", EARLIEST).await.take_all().await;
    for message in &messages {
        let time = message.publish_time_unix_nano;
        let mut feed = bus.subscribe("t", Some(Start::TimeUnixNano(time))).await;
        let first = feed.take_all().await.remove(0);
        assert_eq!(first.publish_time_unix_nano, time);
        assert!(first.sequence <= message.sequence);
    }
    let mut feed = bus.subscribe("t", Some(Start::TimeUnixNano(0))).await;
    assert_eq!(feed.take_all().await.len(), 20);
    let mut feed = bus.subscribe("t", Some(Start::TimeUnixNano(u64::MAX))).await;
    assert_eq!(feed.take_all().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_whose_messages_are_gone_is_told() {
    let bus = Bus::start().await;
    let before = now();
    ten_of_a_hundred(&bus).await;
    let mut feed = bus.subscribe("t", Some(Start::TimeUnixNano(before))).await;
    let (gap, _) = feed.gap().await;
    assert_eq!(gap.reason(), Reason::Expired);
    assert_eq!(all(&feed.take_all().await), Vec::from_iter(90..100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_behind_any_position_is_exact() {
    let bus = Bus::start().await;
    let mut epoch = 0;
    for n in 0..30 {
        epoch = bus.publish("t", numbers(n * 2..n * 2 + 2)).await.epoch;
    }
    for sequence in 0..=60 {
        let mut feed = bus.subscribe("t", Some(Start::After(Position { epoch, sequence }))).await;
        assert_eq!(feed.opened.next_sequence, sequence + 1);
        assert_eq!(all(&feed.take_all().await), Vec::from_iter(sequence..60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_cut_again_and_again_misses_nothing() {
    const COUNT: u64 = 2000;
    let bus = Bus::start().await;
    let mut client = bus.client();
    let publisher = tokio::spawn(async move {
        for n in 0..COUNT / 10 {
            client.publish(crate::bus::batch("t", numbers(n * 10..n * 10 + 10))).await.unwrap();
        }
    });
    let mut start = EARLIEST;
    let mut next = 0;
    while next < COUNT {
        let mut feed = bus.subscribe("t", start).await;
        for message in feed.take(17.min(COUNT - next) as usize).await {
            assert_eq!(number(&message), next);
            next += 1;
        }
        start = Some(Start::After(feed.position()));
    }
    publisher.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_no_longer_retained_is_told_expired_from_where_to_where() {
    let bus = Bus::start().await;
    let epoch = ten_of_a_hundred(&bus).await;
    for sequence in [0, 1, 50, 89] {
        let mut feed = bus.subscribe("t", Some(Start::After(Position { epoch, sequence }))).await;
        let (gap, before) = feed.gap().await;
        assert!(before.is_empty());
        assert_eq!(gap.reason(), Reason::Expired);
        assert_eq!(gap.next, Some(Position { epoch, sequence: 91 }));
        assert_eq!(all(&feed.take_all().await), Vec::from_iter(90..100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_announced_where_nothing_is_missing() {
    let bus = Bus::start().await;
    let epoch = ten_of_a_hundred(&bus).await;
    for sequence in [90, 95, 100] {
        let mut feed = bus.subscribe("t", Some(Start::After(Position { epoch, sequence }))).await;
        assert_eq!(all(&feed.take_all().await), Vec::from_iter(sequence..100));
    }
    for start in [LATEST, EARLIEST, Some(Start::Last(50)), Some(Start::TimeUnixNano(now()))] {
        let mut feed = bus.subscribe("t", start).await;
        feed.take_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_a_topic_that_was_made_anew_is_told_reset_never_other_messages() {
    let bus = Bus::start().await;
    let mut old = Vec::new();
    for round in 0..3 {
        let epoch = bus.publish("t", numbers(round * 10..round * 10 + 10)).await.epoch;
        assert!(old.last().is_none_or(|before| *before < epoch) && epoch < 1 << 53);
        for before in &old {
            for sequence in [0, 5, 10, 1000] {
                let position = Position { epoch: *before, sequence };
                let mut feed = bus.subscribe("t", Some(Start::After(position))).await;
                let (gap, before) = feed.gap().await;
                assert!(before.is_empty());
                assert_eq!(gap.reason(), Reason::Reset);
                assert_eq!(gap.last_delivered, Some(position));
                assert_eq!(gap.next, Some(Position { epoch, sequence: 1 }));
                assert_eq!(all(&feed.take_all().await), Vec::from_iter(round * 10..round * 10 + 10));
            }
        }
        old.push(epoch);
        let request = bugle::proto::v1::DeleteTopicRequest { topic: "t".into(), ..Default::default() };
        bus.admin().delete_topic(request).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_an_epoch_that_never_was_is_told_reset() {
    let bus = Bus::start().await;
    let epoch = bus.publish("t", numbers(0..3)).await.epoch;
    let position = Position { epoch: epoch + 1_000_000, sequence: 2 };
    let mut feed = bus.subscribe("t", Some(Start::After(position))).await;
    match feed.hear().await.unwrap() {
        Heard::Gap(gap) => assert_eq!(gap.reason(), Reason::Reset),
        other => panic!("{other:?}"),
    }
    assert_eq!(all(&feed.take_all().await), [0, 1, 2]);
}

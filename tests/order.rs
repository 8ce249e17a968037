//! Promise 1: within an epoch, every subscription sees the one order of the topic, and sequences
//! follow each other.

use std::collections::HashMap;

use bugle::proto::v1::{Message, PublishRequest};
use bytes::Bytes;
use tokio_stream::wrappers::ReceiverStream;

use crate::bus::{Bus, EARLIEST, LATEST, batch, number, numbers};
use crate::support::soon;

fn seen(messages: &[Message]) -> Vec<(u64, Bytes)> {
    messages.iter().map(|message| (message.sequence, message.payload.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_subscribers_see_the_same_order_whoever_publishes() {
    const PUBLISHERS: u64 = 8;
    const BATCHES: u64 = 40;
    let bus = Bus::start().await;
    let mut feeds = Vec::new();
    for _ in 0..3 {
        feeds.push(bus.subscribe("t", LATEST).await);
    }
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let mut client = bus.client();
            tokio::spawn(async move {
                let mut acked = Vec::new();
                for number in 0..BATCHES {
                    let payloads = (0..3).map(|part| format!("{publisher}-{}", number * 3 + part));
                    let response = client.publish(batch("t", payloads)).await.unwrap().into_inner();
                    acked.push((response.first_sequence, response.last_sequence, number));
                }
                (publisher, acked)
            })
        })
        .collect();
    let total = (PUBLISHERS * BATCHES * 3) as usize;
    let mut first = None;
    for feed in &mut feeds {
        let seen = seen(&feed.take(total).await);
        assert_eq!(seen.len(), total);
        assert_eq!(first.get_or_insert(seen.clone()), &seen);
    }
    let late = seen(&bus.subscribe("t", EARLIEST).await.take_all().await);
    assert_eq!(first.as_ref(), Some(&late));
    let by_sequence: HashMap<u64, Bytes> = late.into_iter().collect();
    for publisher in publishers {
        let (publisher, acked) = publisher.await.unwrap();
        for (first, last, number) in acked {
            assert_eq!(last - first, 2);
            for (part, sequence) in (first..=last).enumerate() {
                let expected = format!("{publisher}-{}", number * 3 + part as u64);
                assert_eq!(by_sequence[&sequence], expected.as_bytes());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_one_stream_keep_their_order() {
    const COUNT: u64 = 1000;
    let bus = Bus::start().await;
    let mut feed = bus.subscribe("t", LATEST).await;
    let mut streams = Vec::new();
    for stream in 0..4 {
        let (requests, receiver) = tokio::sync::mpsc::channel(64);
        let mut client = bus.client();
        let answers = soon(client.publish_stream(ReceiverStream::new(receiver))).await.unwrap().into_inner();
        streams.push(tokio::spawn(async move {
            let writer = tokio::spawn(async move {
                for n in 0..COUNT {
                    let request: PublishRequest =
                        batch("t", numbers(stream << 32 | n..(stream << 32 | n) + 1));
                    requests.send(request).await.unwrap();
                }
            });
            let mut answers = answers;
            while soon(answers.message()).await.unwrap().is_some() {}
            writer.await.unwrap();
        }));
    }
    let mut next = [0; 4];
    for message in feed.take(4 * COUNT as usize).await {
        let (stream, n) = ((number(&message) >> 32) as usize, number(&message) & 0xffff_ffff);
        assert_eq!(n, next[stream]);
        next[stream] += 1;
    }
    assert_eq!(next, [COUNT; 4]);
    for stream in streams {
        soon(stream).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_begin_with_one_and_times_never_go_back() {
    let bus = Bus::start().await;
    for n in 0..50 {
        let response = bus.publish("t", numbers(n..n + 2)).await;
        assert_eq!((response.first_sequence, response.last_sequence), (2 * n + 1, 2 * n + 2));
    }
    let messages = bus.subscribe("t", EARLIEST).await.take_all().await;
    assert!(messages.is_sorted_by_key(|message| message.publish_time_unix_nano));
    assert_eq!(messages[0].sequence, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_means_that_whoever_looks_now_sees_the_message() {
    let bus = Bus::start().await;
    for n in 0..50 {
        let receipt = bus.publish("t", numbers(n..n + 1)).await;
        let messages = bus.subscribe("t", EARLIEST).await.take_all().await;
        let last = messages.last().unwrap();
        assert_eq!((last.sequence, number(last)), (receipt.last_sequence, n));
    }
}

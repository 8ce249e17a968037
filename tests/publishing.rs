//! Publish and PublishStream: what comes out is what went in, whole batches or nothing.

use std::collections::BTreeMap;

use bugle::proto::v1::{Message, PublishRequest};
use bytes::Bytes;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::bus::{Bus, EARLIEST, LATEST, batch, message, numbers, violation};
use crate::support::soon;

fn publish(messages: Vec<Message>) -> PublishRequest {
    PublishRequest { namespace: "default".into(), topic: "t".into(), messages }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_comes_out_as_it_went_in_and_the_servers_fields_are_the_servers() {
    let bus = Bus::start().await;
    let attributes = BTreeMap::from([
        ("tenant".to_owned(), "größe".to_owned()),
        ("empty".to_owned(), String::new()),
        ("long".to_owned(), "v".repeat(4096)),
    ]);
    let sent = Message {
        sequence: 77,
        publish_time_unix_nano: 5,
        id: Bytes::from_static(b"0123456789abcdef"),
        key: "k".repeat(1024),
        attributes,
        payload: Bytes::from_iter(0..=255),
        content_type: "application/cloudevents+json; charset=utf-8".into(),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        tracestate: "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7".into(),
        publisher: "somebody else".into(),
    };
    soon(bus.client().publish(publish(vec![sent.clone()]))).await.unwrap();
    let got = bus.subscribe("t", EARLIEST).await.take_all().await.remove(0);
    assert!(got.publish_time_unix_nano > 1_700_000_000_000_000_000);
    let expected = Message {
        sequence: 1,
        publish_time_unix_nano: got.publish_time_unix_nano,
        publisher: String::new(),
        ..sent
    };
    assert_eq!(got, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_message_is_a_message() {
    let bus = Bus::start().await;
    bus.publish("t", [""]).await;
    let got = bus.subscribe("t", EARLIEST).await.take_all().await.remove(0);
    assert_eq!((got.sequence, got.payload.len(), got.id.len()), (1, 0, 16));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_an_id_get_a_uuid_of_version_seven() {
    let bus = Bus::start().await;
    bus.publish("t", numbers(0..100)).await;
    let mut ids: Vec<uuid::Uuid> = Vec::new();
    for message in bus.subscribe("t", EARLIEST).await.take_all().await {
        ids.push(uuid::Uuid::from_slice(&message.id).unwrap());
    }
    assert!(ids.iter().all(|id| id.get_version_num() == 7));
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_taken_whole_or_not_at_all() {
    let bus = Bus::start().await;
    let mut feed = bus.subscribe("t", LATEST).await;
    let mut messages: Vec<Message> = (0..50).map(|_| message("x")).collect();
    messages[49].id = Bytes::from_static(b"short");
    let status = bus.client().publish(publish(messages)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(violation(&status).0, "messages[49].id");
    let receipt = bus.publish("t", numbers(0..3)).await;
    assert_eq!((receipt.first_sequence, receipt.last_sequence), (1, 3));
    assert_eq!(feed.take(3).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_concurrent_publishers_do_not_mix() {
    let bus = Bus::start().await;
    let mut tasks = Vec::new();
    for publisher in 0..6u64 {
        let mut client = bus.client();
        tasks.push(tokio::spawn(async move {
            for _ in 0..30 {
                let numbers = numbers(publisher * 100..publisher * 100 + 100);
                client.publish(batch("t", numbers)).await.unwrap();
            }
        }));
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
    let messages = bus.subscribe("t", EARLIEST).await.take_all().await;
    assert_eq!(messages.len(), 6 * 30 * 100);
    for run in messages.chunks(100) {
        let first = crate::bus::number(&run[0]);
        assert!(first.is_multiple_of(100));
        assert!((first..).zip(run).all(|(expected, message)| expected == crate::bus::number(message)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_pipelined_requests_are_answered_in_order_and_refusals_end_nothing() {
    const COUNT: u64 = 2000;
    let bus = Bus::start().await;
    let (requests, receiver) = tokio::sync::mpsc::channel(COUNT as usize);
    for n in 0..COUNT {
        let mut request = batch(&format!("t{}", n % 3), numbers(n..n + 1));
        match n % 500 {
            100 => request.messages.clear(),
            200 => request.topic = " ".into(),
            300 => request.namespace = "unknown".into(),
            _ => {}
        }
        requests.try_send(request).unwrap();
    }
    drop(requests);
    let stream = bus.client().publish_stream(ReceiverStream::new(receiver)).await.unwrap();
    let mut stream = stream.into_inner();
    let mut last = [0; 3];
    for n in 0..COUNT {
        let answer = soon(stream.message()).await.unwrap().unwrap();
        let refused = match n % 500 {
            100 => Some((Code::InvalidArgument, "messages")),
            200 => Some((Code::InvalidArgument, "topic")),
            300 => Some((Code::NotFound, "namespace")),
            _ => None,
        };
        match refused {
            Some((code, word)) => {
                let status = answer.status.unwrap();
                assert_eq!(status.code, code as i32);
                assert!(status.message.contains(word) && !status.details.is_empty(), "{status:?}");
                assert_eq!((answer.epoch, answer.first_sequence, answer.last_sequence), (0, 0, 0));
            }
            None => {
                assert_eq!(answer.status, None);
                let last = &mut last[(n % 3) as usize];
                *last += 1;
                assert_eq!((answer.first_sequence, answer.last_sequence), (*last, *last));
            }
        }
    }
    assert!(soon(stream.message()).await.unwrap().is_none());
    for (topic, last) in last.into_iter().enumerate() {
        let messages = bus.subscribe(&format!("t{topic}"), EARLIEST).await.take_all().await;
        assert_eq!(messages.len() as u64, last);
        assert!(messages.is_sorted_by_key(crate::bus::number));
    }
}

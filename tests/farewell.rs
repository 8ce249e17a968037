//! Promise 9: at the end everybody is told, what was acked is delivered first, and nobody who has
//! nothing to wait for is waited for.

use std::time::Duration;

use bugle::proto::v1::PublishRequest;
use tonic::Code;

use crate::bus::{Bus, EARLIEST, LATEST, batch, numbers, reason};
use crate::feed::Heard;
use crate::support::{PATIENCE, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_hear_that_the_server_is_going_away_and_end() {
    let mut bus = Bus::with(|config| config.drain_grace = PATIENCE).await;
    let mut feeds = Vec::new();
    for n in 0..1000 {
        let channel = if n % 100 == 0 { bus.server.channel().await } else { bus.channel.clone() };
        bus.channel = channel;
        let mut feed = bus.subscribe(&format!("t{}", n % 7), LATEST).await;
        feed.take_all().await;
        feeds.push(feed);
    }
    assert_eq!(bus.broker.subscriptions(), 1000);
    let Bus { mut server, broker, channel } = bus;
    drop(channel);
    server.stop();
    for mut feed in feeds {
        let (said, status) = feed.end().await;
        assert!(matches!(said[..], [Heard::Draining]), "{said:?}");
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(reason(&status), "DRAINING");
    }
    assert_eq!(server.ended().await.cut, 0);
    assert_eq!(broker.subscriptions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acked_is_delivered_before_the_end() {
    let mut bus = Bus::with(|config| config.drain_grace = PATIENCE).await;
    let mut feed = bus.subscribe("t", EARLIEST).await;
    for n in 0..100 {
        bus.publish("t", (0..10).map(|_| vec![n; 2000])).await;
    }
    bus.server.stop();
    let (said, status) = feed.end().await;
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(feed.count, 1000);
    assert!(matches!(said.last(), Some(Heard::Draining)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grace_is_told() {
    let mut bus = Bus::with(|config| config.drain_grace = Duration::from_secs(17)).await;
    let mut stream = bus.client().subscribe(crate::bus::request("t", LATEST)).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().unwrap().opened.is_some());
    bus.server.stop();
    loop {
        let response = soon(stream.message()).await.unwrap().unwrap();
        if let Some(draining) = response.draining {
            assert_eq!(draining.grace.unwrap().seconds, 17);
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_publish_stream_is_ended_too() {
    let mut bus = Bus::with(|config| config.drain_grace = PATIENCE).await;
    let (requests, receiver) = tokio::sync::mpsc::channel::<PublishRequest>(4);
    requests.send(batch("t", numbers(0..1))).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = bus.client().publish_stream(stream).await.unwrap().into_inner();
    assert_eq!(soon(answers.message()).await.unwrap().unwrap().last_sequence, 1);
    bus.server.stop();
    let status = soon(answers.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(bus.server.ended().await.cut, 0);
    drop(requests);
}

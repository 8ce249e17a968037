//! Promise 7: memory stays under the budget whatever clients do. Over it the oldest retained
//! messages go, and those who needed them are told.

use std::time::Duration;

use bugle::config::Size;
use bugle::proto::v1::discontinuity::Reason;
use bugle::proto::v1::start_position::Start;
use bugle::proto::v1::{Position, PublishRequest};
use bytes::Bytes;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_types::StatusExt;

use crate::bus::{Bus, EARLIEST, batch, narrow, reason, request};
use crate::feed::Feed;
use crate::support::{PATIENCE, soon};

const MIB: u64 = 1 << 20;

async fn small() -> Bus {
    Bus::with(|config| config.memory_budget = Size(4 * MIB)).await
}

fn assert_within(bus: &Bus) {
    let budget = bus.broker.budget();
    assert!(budget.used() <= budget.limit(), "{} of {}", budget.used(), budget.limit());
    assert_eq!(budget.limit() as u64, 4 * MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_messages_of_all_topics_go_and_the_newest_stay() {
    let bus = small().await;
    let old = bus.publish("old", (0..100).map(|_| vec![1; 1024])).await;
    for _ in 0..16 * MIB / (64 << 10) {
        bus.publish("new", (0..64).map(|_| vec![2; 1024])).await;
        assert_within(&bus);
    }
    let start = Start::After(Position { epoch: old.epoch, sequence: 10 });
    let (gap, _) = bus.subscribe("old", Some(start)).await.gap().await;
    assert_eq!(gap.reason(), Reason::Expired);
    let kept = bus.subscribe("new", EARLIEST).await.take_all().await;
    assert_eq!(kept.last().unwrap().sequence, 16 * 1024);
    assert!(kept.len() > 1024, "much less than the budget is kept: {}", kept.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_publishers_of_many_topics_stay_within_the_budget() {
    let bus = small().await;
    let mut tasks = Vec::new();
    for publisher in 0..8 {
        let mut client = bus.client();
        tasks.push(tokio::spawn(async move {
            for n in 0..40 {
                let request = batch(&format!("t{publisher}.{}", n % 5), [vec![3; 100_000]]);
                client.publish(request).await.unwrap();
            }
        }));
    }
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_within(&bus);
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Publishes until it is taken; refusals say that memory is short and when to come back.
async fn publish_again(bus: &Bus, request: PublishRequest) -> usize {
    let mut refused = 0;
    loop {
        assert_within(bus);
        let Err(status) = soon(bus.client().publish(request.clone())).await else { return refused };
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(reason(&status), "MEMORY_BUDGET");
        assert!(status.get_error_details().retry_info().is_some());
        refused += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_go_on_when_stalled_readers_hold_all_memory() {
    let bus = small().await;
    let mut stalled = Vec::new();
    let mut refused = 0;
    for n in 0..300 {
        refused += publish_again(&bus, batch("t", (0..64).map(|_| vec![4; 1024]))).await;
        // Each holds a piece of another time, and so another part of the memory.
        if n % 4 == 3 && n < 200 {
            let channel = narrow(bus.server.address).await;
            let opened = Feed::open(&channel, request("t", Some(Start::Last(64)))).await;
            stalled.extend(opened.ok().map(|feed| (channel, feed)));
        }
    }
    assert!(refused > 0, "the readers never held all memory, so nothing was tested");
    let last = bus.publish("t", ["last"]).await.last_sequence;
    assert_eq!(last, 300 * 64 + 1);
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_requests_are_counted_refused_and_given_back() {
    let bus = small().await;
    bus.publish("t", ["acked"]).await;
    let before = bus.broker.budget().used();
    let stream = tokio::net::TcpStream::connect(bus.server.address).await.unwrap();
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut half = vec![0];
    half.extend((MIB as u32).to_be_bytes());
    half.resize(400_000, 9);
    let half = Bytes::from(half);
    let mut open = Vec::new();
    for _ in 0..20 {
        let request = http::Request::post(format!("http://{}/bugle.v1.Bus/Publish", bus.server.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        send = soon(send.ready()).await.unwrap();
        let (response, mut body) = send.send_request(request.body(()).unwrap(), false).unwrap();
        body.send_data(half.clone(), false).unwrap();
        open.push((Box::pin(response), body));
    }
    let responses = open.iter_mut().map(|(response, _)| response);
    let (refused, _, _) = soon(futures::future::select_all(responses)).await;
    let status = tonic::Status::from_header_map(refused.unwrap().headers()).unwrap();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "MEMORY_BUDGET"));
    assert_within(&bus);
    drop(open);
    driver.abort();
    let freed = async {
        while bus.broker.budget().used() > before + 1024 {
            assert_within(&bus);
            tokio::task::yield_now().await;
        }
    };
    soon(freed).await;
    assert_eq!(bus.publish("t", ["again"]).await.last_sequence, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_alone_cannot_fill_the_memory() {
    let bus = small().await;
    let (requests, receiver) = tokio::sync::mpsc::channel(64);
    let sender = tokio::spawn(async move {
        for n in 0..6000 {
            if requests.send(batch(&format!("topic {n}"), ["x"])).await.is_err() {
                return;
            }
        }
    });
    let mut answers = bus.client().publish_stream(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    let mut refused = 0;
    while let Some(answer) = soon(answers.message()).await.unwrap() {
        assert_within(&bus);
        if let Some(status) = answer.status {
            assert_eq!(status.code, Code::ResourceExhausted as i32);
            refused += 1;
        }
    }
    sender.await.unwrap();
    assert!(refused > 0);
    assert_eq!(bus.broker.topics() + refused, 6000);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_alone_cannot_fill_the_memory() {
    let bus = small().await;
    let mut feeds = Vec::new();
    let status = loop {
        assert_within(&bus);
        match Feed::open(&bus.channel, request("t", EARLIEST)).await {
            Ok(feed) => feeds.push(feed),
            Err(status) => break status,
        }
        assert!(feeds.len() < 2000);
    };
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "MEMORY_BUDGET"));
    drop(feeds);
    let freed = async {
        while bus.broker.subscriptions() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.unwrap();
    bus.subscribe("t", EARLIEST).await;
}

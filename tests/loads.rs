//! Many of everything: what grows with use has to shrink again, and what is small has to stay so.

use std::net::SocketAddr;

use bugle::proto::v1::GetTopicRequest;
use bugle::proto::v1::admin_client::AdminClient;
use bugle::proto::v1::bus_client::BusClient;
use bytes::Bytes;
use tokio_stream::StreamExt;
use tonic::transport::Channel;

use crate::bus::{Bus, EARLIEST, LATEST, batch, number, numbers, request};
use crate::support::{Process, channel, soon};

/// Subscribes and leaves so often, in four tasks, some before anything was said.
async fn come_and_go(channel: &Channel, cycles: usize) {
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let mut client = BusClient::new(channel.clone());
            tokio::spawn(async move {
                for n in 0..cycles / 4 {
                    let start = if n % 2 == 0 { EARLIEST } else { LATEST };
                    let request = request(&format!("t{}", (n + task) % 8), start);
                    let mut stream = client.subscribe(request).await.unwrap().into_inner();
                    if n % 3 > 0 {
                        assert!(stream.message().await.unwrap().is_some());
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_that_come_and_go_leave_nothing_behind() {
    let bus = Bus::start().await;
    for topic in 0..8 {
        bus.publish(&format!("t{topic}"), numbers(0..10)).await;
    }
    let before = bus.broker.budget().used();
    come_and_go(&bus.channel, 10_000).await;
    let left = async {
        while bus.broker.subscriptions() > 0 || bus.broker.budget().used() != before {
            tokio::task::yield_now().await;
        }
    };
    soon(left).await;
    let mut admin = bus.admin();
    for topic in 0..8 {
        let request = GetTopicRequest { topic: format!("t{topic}"), ..Default::default() };
        assert_eq!(admin.get_topic(request).await.unwrap().into_inner().subscriptions, 0);
    }
}

/// Resident memory of a process, KiB.
fn resident_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn settled(address: SocketAddr) {
    let mut admin = AdminClient::new(channel(address).await);
    for topic in 0..8 {
        let request = GetTopicRequest { topic: format!("t{topic}"), ..Default::default() };
        while soon(admin.get_topic(request.clone())).await.unwrap().into_inner().subscriptions > 0 {}
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn those_that_come_and_go_do_not_make_the_process_grow() {
    let (process, address) = Process::serve(&[]);
    let channel = channel(address).await;
    come_and_go(&channel, 2000).await;
    settled(address).await;
    let warm = resident_kib(&process);
    come_and_go(&channel, 6000).await;
    settled(address).await;
    let grown = resident_kib(&process).saturating_sub(warm);
    assert!(grown < 16 * 1024, "{grown} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_tiny_messages_each_way_on_one_connection() {
    const COUNT: u64 = 100_000;
    let bus = Bus::start().await;
    let mut feed = bus.subscribe("t", LATEST).await;
    let reader = tokio::spawn(async move {
        let mut next = 0;
        while next < COUNT {
            for message in feed.take(1).await {
                assert_eq!(number(&message), next);
                next += 1;
            }
        }
    });
    let requests =
        tokio_stream::iter(0..COUNT).map(|n| batch("t", [Bytes::copy_from_slice(&n.to_be_bytes())]));
    let mut answers = bus.client().publish_stream(requests).await.unwrap().into_inner();
    for n in 1..=COUNT {
        let answer = soon(answers.message()).await.unwrap().unwrap();
        assert_eq!((answer.last_sequence, answer.status), (n, None));
    }
    assert!(soon(answers.message()).await.unwrap().is_none());
    soon(reader).await.unwrap();
}

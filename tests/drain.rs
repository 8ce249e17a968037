//! The orderly end: everybody is told, nobody is waited for longer than the grace.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::support::{Process, Running, channel, config, soon};

/// A call that ends only when its client wants: it holds its connection open.
struct Stubborn {
    answers: Streaming<ServerReflectionResponse>,
    _questions: mpsc::Sender<ServerReflectionRequest>,
}

impl Stubborn {
    async fn start(address: SocketAddr) -> Self {
        let (questions, receiver) = mpsc::channel(1);
        let question = MessageRequest::ListServices(String::new());
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        questions.send(request).await.unwrap();
        let mut client = ServerReflectionClient::new(channel(address).await);
        let stream = ReceiverStream::new(receiver);
        let mut answers = client.server_reflection_info(stream).await.unwrap().into_inner();
        assert!(answers.message().await.unwrap().is_some());
        Stubborn { answers, _questions: questions }
    }
}

#[tokio::test]
async fn idle_connections_leave_at_once() {
    let mut config = config();
    config.drain_grace = Duration::from_secs(3600);
    let mut server = Running::start(config).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = HealthClient::new(server.channel().await);
        client.check(HealthCheckRequest::default()).await.unwrap();
        clients.push(client);
    }
    server.stop();
    assert_eq!(server.ended().await.cut, 0);
}

#[tokio::test]
async fn a_call_that_does_not_end_is_cut_after_the_grace() {
    let mut config = config();
    config.drain_grace = Duration::from_millis(100);
    let mut server = Running::start(config).await;
    let mut call = Stubborn::start(server.address).await;
    server.stop();
    assert_eq!(server.ended().await.cut, 1);
    assert!(soon(call.answers.message()).await.is_err());
}

#[tokio::test]
async fn a_call_that_ends_within_the_grace_is_not_cut() {
    let mut config = config();
    config.drain_grace = Duration::from_secs(3600);
    let mut server = Running::start(config).await;
    let mut health = HealthClient::new(server.channel().await);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let call = Stubborn::start(server.address).await;
    watch.message().await.unwrap();
    server.stop();
    assert_eq!(soon(watch.message()).await.unwrap().unwrap().status(), ServingStatus::NotServing);
    drop(call);
    assert_eq!(server.ended().await.cut, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_drains_the_process_and_it_ends_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut process, address) = Process::serve(&["--drain-grace", "1h"]);
        let mut health = HealthClient::new(channel(address).await);
        let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        process.signal(signal);
        assert_eq!(soon(watch.message()).await.unwrap().unwrap().status(), ServingStatus::NotServing);
        assert!(process.ended().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_process_at_once_and_tells() {
    let (mut process, address) = Process::serve(&["--drain-grace", "1h"]);
    let _call = Stubborn::start(address).await;
    process.signal(Signal::TERM);
    process.logs("draining");
    process.signal(Signal::INT);
    let status = process.ended();
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    assert!(process.rest().contains("second signal"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_refused_with_advice() {
    let (_first, address) = Process::serve(&[]);
    let output = Command::new(Process::PATH)
        .args(["serve", "--listen", &address.to_string(), "--metrics", "off"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(text.contains(&address.to_string()) && text.contains("--listen"), "{text}");
}

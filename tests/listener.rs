//! The public listener: silent, slow and too many connections cost nobody else anything.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Process, Running, config, soon};

/// Longer than any test runs: what is set to this must not be what ends the test.
const NEVER: Duration = Duration::from_secs(3600);

async fn healthy(address: SocketAddr) -> bool {
    let Ok(channel) = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await else {
        return false;
    };
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.is_ok()
}

/// Asks on new connections until one is served.
async fn becomes_healthy(address: SocketAddr) {
    soon(async {
        while !healthy(address).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Reads until the server closes the connection; what it says is its own affair.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_connection_that_never_speaks_is_closed_and_one_that_did_stays() {
    let mut config = config();
    config.limits.handshake_deadline = Duration::from_millis(50);
    let server = Running::start(config).await;
    let mut early = HealthClient::new(server.channel().await);
    // Eager clients connect first and ask later, so this one may have to connect a second time.
    soon(async { while early.check(HealthCheckRequest::default()).await.is_err() {} }).await;
    let mut watch = early.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().is_some());

    // Opened later than the other one, so when it is closed the other's deadline is over too.
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    closed(&mut silent).await;
    assert!(early.check(HealthCheckRequest::default()).await.is_ok());
    drop(watch);
}

#[tokio::test]
async fn a_connection_without_a_request_is_told_to_go_away() {
    let mut config = config();
    config.limits.handshake_deadline = Duration::from_millis(50);
    let server = Running::start(config).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    // A GOAWAY without an error ends the connection in good order.
    soon(connection).await.unwrap();
    drop(requests);
}

#[tokio::test]
async fn connections_over_the_cap_are_closed_and_leave_room_when_others_go() {
    let mut config = config();
    config.limits.max_connections = 1;
    let server = Running::start(config).await;
    let mut first = HealthClient::new(server.channel().await);
    first.check(HealthCheckRequest::default()).await.unwrap();

    let mut second = TcpStream::connect(server.address).await.unwrap();
    closed(&mut second).await;
    assert!(first.check(HealthCheckRequest::default()).await.is_ok());

    drop(first);
    becomes_healthy(server.address).await;
}

#[tokio::test]
async fn connections_over_the_handshake_cap_wait_for_their_turn() {
    let mut config = config();
    config.limits.max_handshakes = 1;
    config.limits.handshake_deadline = NEVER;
    let server = Running::start(config).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut waiting = Box::pin(healthy(server.address));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
    assert!(early.is_err(), "it was served beside a handshake that had taken the only place");
    drop(silent);
    assert!(soon(waiting).await);
    // A connection that has asked something holds no place.
    let mut first = HealthClient::new(server.channel().await);
    first.check(HealthCheckRequest::default()).await.unwrap();
    assert!(soon(healthy(server.address)).await);
}

#[tokio::test]
async fn a_connection_that_never_speaks_does_not_hold_up_the_end() {
    let mut config = config();
    config.limits.handshake_deadline = NEVER;
    config.drain_grace = NEVER;
    let mut server = Running::start(config).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    // Accepted in order: when the later one is served, the silent one is in.
    assert!(healthy(server.address).await);
    server.stop();
    closed(&mut silent).await;
    assert_eq!(server.ended().await.cut, 0);
}

#[tokio::test]
async fn what_is_no_http_is_closed() {
    use tokio::io::AsyncWriteExt;
    let server = Running::start(config()).await;
    for noise in [&b"GET / HTTP/9.9\r\n\r\n"[..], &[0_u8; 64], b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(noise).await.unwrap();
        closed(&mut stream).await;
    }
    assert!(healthy(server.address).await);
}

#[tokio::test]
async fn dropping_the_server_closes_its_connections() {
    let server = Running::start(config()).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert!(healthy(server.address).await);
    drop(server);
    closed(&mut silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_out_of_file_descriptors_recovers_when_some_are_free() {
    let script = format!("ulimit -n 40; exec {} serve --listen 127.0.0.1:0 --metrics off", Process::PATH);
    let mut process = Process::start(Command::new("sh").args(["-c", &script]));
    let address = process.address();
    let mut crowd = Vec::new();
    for _ in 0..60 {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    process.logs("cannot accept connections");
    drop(crowd);
    becomes_healthy(address).await;
}

//! Admission: what the server as a whole carries. What is over it is refused before it costs
//! anything, and whoever asks for health is answered all the same.

use std::io::ErrorKind;
use std::time::Duration;

use bugle::config::Size;
use bugle::limits::ADDRESS_BURST_SECONDS;
use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::bus::{Bus, LATEST, batch, reason, request};
use crate::feed::Feed;
use crate::support::{Running, config, soon};

#[tokio::test(flavor = "multi_thread")]
async fn calls_over_the_cap_of_all_connections_are_refused_and_health_is_not() {
    let bus = Bus::with(|config| config.limits.max_streams = 3).await;
    let mut feeds = Vec::new();
    for _ in 0..3 {
        let channel = bus.server.channel().await;
        feeds.push(Feed::open(&channel, request("t", LATEST)).await.unwrap());
    }
    let status = bus.client().publish(batch("t", ["x"])).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "STREAMS"));
    assert!(status.message().contains("limits.max_streams"), "{status:?}");
    assert!(status.get_error_details().retry_info().is_some());
    let mut health = HealthClient::new(bus.channel.clone());
    health.check(HealthCheckRequest::default()).await.unwrap();
    feeds.pop();
    soon(async { while bus.client().publish(batch("t", ["x"])).await.is_err() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_opens_all_it_can_leaves_room_for_others() {
    let bus = Bus::with(|config| config.limits.max_streams = 40).await;
    let mut feeds = Vec::new();
    let refused = loop {
        match Feed::open(&bus.channel, request("t", LATEST)).await {
            Ok(feed) => feeds.push(feed),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::ResourceExhausted, "STREAMS_OF_CONNECTION")
    );
    assert!(refused.get_error_details().retry_info().is_some());
    assert_eq!(feeds.len(), 16);
    let channel = bus.server.channel().await;
    for _ in 0..4 {
        feeds.push(Feed::open(&channel, request("t", LATEST)).await.unwrap());
    }
    feeds.remove(0);
    soon(async { while Feed::open(&bus.channel, request("t", LATEST)).await.is_err() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_never_finished_push_out_nobodys_messages() {
    const MIB: u64 = 1 << 20;
    let bus = Bus::with(|config| {
        config.memory_budget = Size(8 * MIB);
        config.limits.max_publish_bytes_in_flight = Size(2 * MIB);
    })
    .await;
    // As many messages as the budget has room for, and a little less.
    for _ in 0..6 {
        bus.publish("kept", (0..9).map(|_| vec![1; 100_000])).await;
    }
    let kept = bus.broker.budget().evicted();
    let mut halves = Vec::new();
    let refused = loop {
        assert!(halves.len() < 16, "eight MiB of halves were taken");
        let (response, keep) = half(&bus).await;
        match tokio::time::timeout(Duration::from_millis(300), response).await {
            Err(_waiting) => halves.push(keep),
            Ok(status) => break status,
        }
    };
    assert!(!halves.is_empty());
    assert!(refused.contains("limits.max_publish_bytes_in_flight"), "{refused}");
    assert_eq!(bus.broker.budget().evicted(), kept, "messages had to go");
    // Whole requests pass, and places come back when a client gives up.
    bus.publish("t", ["x"]).await;
    drop(halves);
    soon(async { while bus.client().publish(batch("t", [vec![2; 900_000]])).await.is_err() {} }).await;
}

type Half = (h2::SendStream<Bytes>, tokio::task::JoinHandle<()>);

/// A publish of which most has been sent; what the server says to it, and what keeps it open.
async fn half(bus: &Bus) -> (impl Future<Output = String> + use<>, Half) {
    let stream = TcpStream::connect(bus.server.address).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(async move { drop(connection.await) });
    let uri = format!("http://{}/bugle.v1.Bus/Publish", bus.server.address);
    let request =
        http::Request::post(uri).header("content-type", "application/grpc").header("te", "trailers");
    let mut send = send.ready().await.unwrap();
    let (response, mut body) = send.send_request(request.body(()).unwrap(), false).unwrap();
    let mut sent = vec![0];
    sent.extend(1_000_000u32.to_be_bytes());
    sent.resize(800_000, 0);
    body.send_data(sent.into(), false).unwrap();
    let answer = async move {
        let _send = send;
        match response.await {
            Ok(response) => response.headers()["grpc-message"].to_str().unwrap().replace("%20", " "),
            Err(error) => error.to_string(),
        }
    };
    (answer, (body, driver))
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_come_too_often_from_an_address_are_closed_as_they_come() {
    let mut config = config();
    config.limits.connections_per_second_per_address = 1;
    config.metrics.listen = Some(([127, 0, 0, 1], 0).into());
    let server = Running::start(config).await;
    let mut open = Vec::new();
    for _ in 0..ADDRESS_BURST_SECONDS {
        open.push(TcpStream::connect(server.address).await.unwrap());
    }
    // The next one to come within a second, which the burst may have taken.
    let closed = async {
        loop {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let mut byte = [0];
            let read = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut byte)).await;
            match read {
                Ok(Ok(0)) => return,
                Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => return,
                _ => open.push(stream),
            }
        }
    };
    soon(closed).await;
    let (_, metrics) = crate::metrics::get(server.metrics.unwrap(), "GET", "/metrics").await;
    let row = r#"bugle_connections_refused_total{limit="connections_per_second_per_address"} "#;
    let line = metrics.lines().find(|line| line.starts_with(row)).unwrap_or_else(|| panic!("{metrics}"));
    assert_ne!(line.rsplit(' ').next(), Some("0"));
    // A second brings the next place.
    soon(async {
        loop {
            let channel = crate::support::channel(server.address).await;
            if HealthClient::new(channel).check(HealthCheckRequest::default()).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_of_one_address_leave_places_to_others() {
    let mut config = config();
    config.listen = ([0, 0, 0, 0], 0).into();
    // Nobody but this test reaches it for the moment that it takes.
    config.auth.insecure = true;
    config.limits.max_handshakes = 4;
    config.limits.max_handshakes_per_address = 2;
    let server = Running::start(config).await;
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], server.address.port()));
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // Another host, as far as the server can tell.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let stream = soon(socket.connect(address)).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::get(format!("http://{address}/nothing")).body(()).unwrap();
    let mut send = soon(send.ready()).await.unwrap();
    let (response, _) = send.send_request(request, true).unwrap();
    assert_eq!(soon(response).await.unwrap().status(), 404);
    driver.abort();
    // And of the silent address itself, those that wait have their turn when the first are gone.
    let mut waiting = HealthClient::new(crate::support::channel(address).await);
    silent.clear();
    soon(waiting.check(HealthCheckRequest::default())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_refused_again_and_again_is_slowed_down_and_others_are_not() {
    use crate::quotas::namespaces;
    use bugle::limits::{PUBLISH_PIPELINE_MAX, QUOTA_REFUSALS_PER_SECOND};
    use bugle::quota::Limit;
    let rules = vec![namespaces("default", &[(Limit::PublishMessages, 1)])];
    let bus = Bus::with(|config| config.quotas = rules).await;
    let (send, requests) = tokio::sync::mpsc::channel(16);
    let mut client = bus.client();
    let hammer = tokio::spawn(async move { while send.send(batch("t", ["x"])).await.is_ok() {} });
    let answers = client.publish_stream(ReceiverStream::new(requests)).await;
    let mut answers = answers.unwrap().into_inner();
    let (begun, mut refused) = (std::time::Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(3) {
        refused += u64::from(soon(answers.message()).await.unwrap().unwrap().status.is_some());
    }
    // A second's worth at once, and then as many as may wait for a second; counted generously.
    let a_second = (QUOTA_REFUSALS_PER_SECOND + PUBLISH_PIPELINE_MAX as u64) as f64;
    let most = (a_second * (begun.elapsed().as_secs_f64() + 2.0)) as u64;
    assert!(refused > 1 && refused <= most, "{refused} of {most}");
    hammer.abort();
}

//! How traces and metrics are pushed: where to and in what protocol, and that a receiver in trouble
//! changes nothing for clients.

use std::process::Command;

use crate::bus::{Bus, LATEST, batch, number, numbers};
use crate::collector::{Collector, named};
use crate::support::{Process, channel, soon};
use crate::traces::{bus, traced};

#[tokio::test(flavor = "multi_thread")]
async fn otlp_goes_over_http_too_and_metrics_are_pushed() {
    let collector = Collector::http().await;
    let bus = Bus::with(|config| {
        collector.configure(config);
        config.otlp.protocol = "http/protobuf";
    })
    .await;
    soon(bus.client().publish(traced(batch("t", ["x"])))).await.unwrap();
    collector.spans("publish t", 1).await;
    let metric = collector.metric("bugle.published.messages").await;
    assert_eq!(metric.unit, "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_and_metrics_go_to_receivers_of_their_own_and_come_from_one_server() {
    let (traces, metrics) = (Collector::grpc().await, Collector::http().await);
    let bus = Bus::with(|config| {
        traces.configure(config);
        config.otlp.metrics_endpoint = format!("http://{}/v1/metrics", metrics.address);
        config.otlp.metrics_protocol = "http/protobuf";
    })
    .await;
    soon(bus.client().publish(traced(batch("t", ["x"])))).await.unwrap();
    traces.spans("publish t", 1).await;
    metrics.metric("bugle.published.messages").await;
    for key in ["service.name", "service.version", "service.instance.id"] {
        let said = traces.resource(key);
        assert!(said.is_some() && said == metrics.resource(key), "{key}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_sent_when_the_server_ends() {
    let collector = Collector::grpc().await;
    let mut bus = bus(&collector).await;
    soon(bus.client().publish(traced(batch("t", ["x"])))).await.unwrap();
    bus.server.stop();
    bus.server.ended().await;
    let spans = collector.spans("drain", 1).await;
    assert_eq!(named(&spans, "publish t").len(), 1);
}

/// Publishes traced messages to a subscriber while a collector is in trouble: all arrive.
async fn goes_on(bus: &Bus) {
    let mut feed = bus.subscribe("t", LATEST).await;
    for n in 0..50 {
        let request = batch("t", numbers(n * 20..(n + 1) * 20));
        soon(bus.client().publish(traced(request))).await.unwrap();
    }
    let heard: Vec<_> = feed.take(1000).await.iter().map(number).collect();
    assert!(heard.into_iter().eq(0..1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_changes_nothing_for_clients() {
    for collector in [Collector::hanging().await, Collector::hanging_http().await] {
        let mut bus = bus(&collector).await;
        soon(bus.client().publish(traced(batch("first", ["x"])))).await.unwrap();
        collector.anything().await;
        goes_on(&bus).await;
        bus.server.stop();
        assert_eq!(bus.server.ended().await.cut, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_is_given_up_in_time_and_told_with_its_url() {
    for collector in [Collector::hanging().await, Collector::hanging_http().await] {
        let url = format!("http://{}", collector.address);
        let mut command = Command::new(Process::PATH);
        command.args(["serve", "--listen", "127.0.0.1:0", "--metrics", "off", "--set"]);
        command.arg(format!("otlp.protocol={}", collector.protocol)).env("OTEL_EXPORTER_OTLP_TIMEOUT", "100");
        let mut process = Process::start(command.args(["--set", &format!("otlp.endpoint={url}")]));
        let address = process.address();
        process.logs("serving");
        let mut client = bugle::proto::v1::bus_client::BusClient::new(channel(address).await);
        soon(client.publish(traced(batch("t", ["x"])))).await.unwrap();
        let told = tokio::task::spawn_blocking(move || process.logs("not sent over OTLP"));
        let line = soon(told).await.unwrap();
        assert!(line.contains(&url), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_dies_changes_nothing_for_clients_and_what_is_dropped_is_counted() {
    let collector = Collector::grpc().await;
    let bus = bus(&collector).await;
    soon(bus.client().publish(traced(batch("first", ["x"])))).await.unwrap();
    collector.spans("publish first", 1).await;
    drop(collector);
    goes_on(&bus).await;
    let counts = bus.broker.recorder().counts();
    let dropped = async {
        while counts.dropped() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    soon(dropped).await;
}

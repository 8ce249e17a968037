//! Traces as a receiver of OTLP sees them: which spans there are, and how they hang together.

use bugle::proto::v1::{Message, PublishRequest};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tonic::Request;

use crate::bus::{Bus, EARLIEST, LATEST, batch, message};
use crate::collector::{Collector, attribute, named};
use crate::support::soon;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A `traceparent` of the trace, of a span with this number.
fn context(span: u64, is_sampled: bool) -> String {
    format!("00-{TRACE}-{span:016x}-0{}", u8::from(is_sampled))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request of a caller whose trace is recorded.
pub fn traced(request: PublishRequest) -> Request<PublishRequest> {
    let mut request = Request::new(request);
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    request.metadata_mut().insert("tracestate", "vendor=1".parse().unwrap());
    request
}

pub fn is_child(child: &Span, parent: &Span) -> bool {
    child.parent_span_id == parent.span_id && child.trace_id == parent.trace_id
}

pub async fn bus(collector: &Collector) -> Bus {
    Bus::with(|config| collector.configure(config)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_with_two_subscribers_is_one_connected_set_of_spans() {
    let collector = Collector::grpc().await;
    let bus = bus(&collector).await;
    let mut feeds = [bus.subscribe("orders", LATEST).await, bus.subscribe("orders", LATEST).await];
    let request =
        PublishRequest { topic: "orders".into(), messages: vec![message("hello")], ..Default::default() };
    let receipt = soon(bus.client().publish(traced(request))).await.unwrap().into_inner();
    let mut carried = Vec::new();
    for feed in &mut feeds {
        carried.extend(feed.take(1).await);
    }

    let spans = collector.spans("deliver orders", 2).await;
    let publish = named(&spans, "publish orders")[0];
    let fan_out = named(&spans, "fan-out orders")[0];
    let delivers = named(&spans, "deliver orders");
    assert_eq!((spans.len(), delivers.len()), (4, 2), "{spans:?}");
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    assert_eq!(hex(&publish.parent_span_id), CALLER);
    assert!(is_child(fan_out, publish));
    assert!(delivers.iter().all(|deliver| is_child(deliver, fan_out)));
    assert_eq!(publish.kind, SpanKind::Server as i32);
    assert_eq!(fan_out.kind, SpanKind::Internal as i32);
    assert!(delivers.iter().all(|deliver| deliver.kind == SpanKind::Producer as i32));
    // Subscribers can join: the message carries the context of the publish.
    for message in &carried {
        assert_eq!(message.traceparent, format!("00-{TRACE}-{}-01", hex(&publish.span_id)));
        assert_eq!(message.tracestate, "vendor=1");
    }
    let id = uuid::Uuid::from_slice(&carried[0].id).unwrap().to_string();
    let sequence = receipt.first_sequence.to_string();
    for (span, key, expected) in [
        (publish, "messaging.system", "bugle"),
        (publish, "messaging.destination.name", "orders"),
        (publish, "messaging.operation.name", "publish"),
        (publish, "messaging.operation.type", "send"),
        (publish, "messaging.message.id", id.as_str()),
        (publish, "bugle.namespace", "default"),
        (publish, "bugle.sequence.first", sequence.as_str()),
        (publish, "network.peer.address", "127.0.0.1"),
        (publish, "messaging.message.body.size", "5"),
        (fan_out, "bugle.readers.woken", "2"),
        (delivers[0], "messaging.message.id", id.as_str()),
        (delivers[0], "bugle.sequence.last", sequence.as_str()),
    ] {
        assert_eq!(attribute(span, key).as_deref(), Some(expected), "{key} of {}", span.name);
    }
    let told =
        |feed: &crate::feed::Feed| uuid::Uuid::from_slice(&feed.opened.subscription_id).unwrap().to_string();
    let mut subscriptions: Vec<_> = feeds.iter().map(told).collect();
    let mut seen: Vec<_> =
        delivers.iter().map(|deliver| attribute(deliver, "bugle.subscription.id").unwrap()).collect();
    subscriptions.sort();
    seen.sort();
    assert_eq!(seen, subscriptions);
    assert_eq!(collector.resource("service.name").as_deref(), Some("bugle"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contexts_of_messages_are_carried_unchanged_and_linked_up_to_a_limit() {
    let collector = Collector::grpc().await;
    let bus = bus(&collector).await;
    let mut feed = bus.subscribe("t", LATEST).await;
    let made = |span: u64| Message {
        traceparent: context(span, true),
        tracestate: format!("place={span}"),
        ..message("x")
    };
    let messages: Vec<_> = (1..=200).map(made).collect();
    let request = PublishRequest { topic: "t".into(), messages: messages.clone(), ..Default::default() };
    soon(bus.client().publish(request)).await.unwrap();
    for (carried, sent) in feed.take(200).await.iter().zip(&messages) {
        assert_eq!((&carried.traceparent, &carried.tracestate), (&sent.traceparent, &sent.tracestate));
    }
    let spans = collector.spans("deliver t", 1).await;
    for name in ["publish t", "deliver t"] {
        let span = named(&spans, name)[0];
        let links: Vec<_> = span.links.iter().map(|link| hex(&link.span_id)).collect();
        let expected: Vec<_> = (1..=128).map(|span: u64| format!("{span:016x}")).collect();
        assert_eq!(links, expected, "{name}");
        assert_eq!(attribute(span, "messaging.batch.message_count").as_deref(), Some("200"));
    }
    // Nobody else being there, the first message's context is the parent.
    assert_eq!(hex(&named(&spans, "publish t")[0].parent_span_id), format!("{:016x}", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_caller_does_not_record_leaves_no_span() {
    let collector = Collector::grpc().await;
    let bus = bus(&collector).await;
    let mut feed = bus.subscribe("t", LATEST).await;
    let unsampled = Message { traceparent: context(5, false), ..message("quiet") };
    let request =
        PublishRequest { topic: "t".into(), messages: vec![unsampled.clone()], ..Default::default() };
    soon(bus.client().publish(request)).await.unwrap();
    assert_eq!(feed.take(1).await[0].traceparent, unsampled.traceparent);
    bus.publish("t", ["no context"]).await;
    assert_eq!(feed.take(1).await[0].traceparent, "");
    let malformed = Message { traceparent: "00-zz-zz-01".into(), ..message("odd") };
    let request = PublishRequest { topic: "t".into(), messages: vec![malformed], ..Default::default() };
    soon(bus.client().publish(request)).await.unwrap();
    assert_eq!(feed.take(1).await[0].traceparent, "00-zz-zz-01");
    // What comes behind them is recorded: so they would have been seen.
    soon(bus.client().publish(traced(batch("t", ["loud"])))).await.unwrap();
    let spans = collector.spans("deliver t", 1).await;
    assert_eq!((named(&spans, "publish t").len(), named(&spans, "deliver t").len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_parent_a_quiet_topic_is_seen_and_a_loud_one_bounded() {
    let collector = Collector::grpc().await;
    let bus = Bus::with(|config| {
        collector.configure(config);
        (config.traces.ratio, config.traces.topic_floor, config.traces.topic_cap) = (1.0, 1, 3);
    })
    .await;
    let mut feed = bus.subscribe("loud", EARLIEST).await;
    bus.publish("quiet", ["once"]).await;
    let begun = std::time::Instant::now();
    for _ in 0..200 {
        bus.publish("loud", ["again"]).await;
    }
    let seconds = begun.elapsed().as_secs() as usize + 2;
    let heard = feed.take(200).await;
    let spans = collector.spans("publish quiet", 1).await;
    let loud = named(&spans, "publish loud");
    assert!(!loud.is_empty() && loud.len() <= 3 * seconds, "{}", loud.len());
    assert!(loud.iter().all(|span| span.parent_span_id.is_empty()), "they are the roots of their traces");
    let carried = heard.iter().filter(|message| !message.traceparent.is_empty()).count();
    assert!((1..=3 * seconds).contains(&carried), "{carried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_of_a_batch_that_comes_in_several_responses_is_seen() {
    let collector = Collector::grpc().await;
    let bus = bus(&collector).await;
    let mut feed = bus.subscribe("t", LATEST).await;
    soon(bus.client().publish(traced(batch("t", (0..100).map(|_| vec![7; 8 << 10]))))).await.unwrap();
    assert_eq!(feed.take(100).await.len(), 100);
    let spans = collector.spans("deliver t", 4).await;
    let mut parts: Vec<(u64, u64)> = named(&spans, "deliver t")
        .iter()
        .map(|span| {
            let of = |key: &str| attribute(span, key).unwrap().parse().unwrap();
            (of("bugle.sequence.first"), of("bugle.sequence.last"))
        })
        .collect();
    parts.sort();
    assert!(parts.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{parts:?}");
    assert_eq!((parts.first().unwrap().0, parts.last().unwrap().1), (1, 100));
    // One context made all of them: it is linked once.
    assert!(spans.iter().all(|span| span.links.len() <= 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_message_in_a_call_that_is_not_recorded_keeps_to_its_own_trace() {
    let collector = Collector::grpc().await;
    let bus = bus(&collector).await;
    let own = Message { traceparent: context(9, true), ..message("relayed") };
    let mut request =
        Request::new(PublishRequest { topic: "t".into(), messages: vec![own], ..Default::default() });
    let unrecorded = format!("00-{}-{CALLER}-00", "a".repeat(32));
    request.metadata_mut().insert("traceparent", unrecorded.parse().unwrap());
    soon(bus.client().publish(request)).await.unwrap();
    let spans = collector.spans("publish t", 1).await;
    let publish = named(&spans, "publish t")[0];
    assert_eq!(
        (hex(&publish.trace_id).as_str(), hex(&publish.parent_span_id)),
        (TRACE, format!("{:016x}", 9))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_state_of_vendors_is_no_reason_to_refuse_and_costs_no_copy_a_message() {
    let bus = Bus::start().await;
    let mut feed = bus.subscribe("t", LATEST).await;
    let publish = |messages: Vec<Message>| {
        let mut request = traced(PublishRequest { topic: "t".into(), messages, ..Default::default() });
        let long = format!("first=1,long={}", "x".repeat(12_000));
        request.metadata_mut().insert("tracestate", long.parse().unwrap());
        request
    };
    let mine = Message { tracestate: "mine=1".into(), ..message("own state") };
    soon(bus.client().publish(publish(vec![message("none"), mine]))).await.unwrap();
    let heard = feed.take(2).await;
    assert!(heard.iter().all(|message| message.traceparent.starts_with(&format!("00-{TRACE}"))));
    assert_eq!((heard[0].tracestate.as_str(), heard[1].tracestate.as_str()), ("first=1", "mine=1"));
    // Many in one batch are not given any.
    soon(bus.client().publish(publish(vec![message("x"); 1000]))).await.unwrap();
    assert!(feed.take(1000).await.iter().all(|message| message.tracestate.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_of_a_stream_is_not_that_of_its_messages() {
    let collector = Collector::grpc().await;
    let bus = bus(&collector).await;
    let mut feed = bus.subscribe("t", LATEST).await;
    let own = Message { traceparent: context(9, true), ..message("mine") };
    let request = PublishRequest { topic: "t".into(), messages: vec![own], ..Default::default() };
    let mut stream = Request::new(tokio_stream::iter([batch("t", ["none"]), request]));
    stream.metadata_mut().insert("traceparent", context(7, true).parse().unwrap());
    let mut answers = soon(bus.client().publish_stream(stream)).await.unwrap().into_inner();
    while soon(answers.message()).await.unwrap().is_some() {}
    let carried: Vec<_> = feed.take(2).await.into_iter().map(|message| message.traceparent).collect();
    assert_eq!(carried, [String::new(), context(9, true)]);
    let spans = collector.spans("publish t", 1).await;
    assert_eq!(hex(&named(&spans, "publish t")[0].parent_span_id), format!("{:016x}", 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_exporter_nothing_is_recorded_and_a_callers_context_is_passed_on() {
    let bus = Bus::start().await;
    let mut feed = bus.subscribe("t", LATEST).await;
    bus.publish("t", ["plain"]).await;
    soon(bus.client().publish(traced(batch("t", ["traced"])))).await.unwrap();
    let carried: Vec<_> = feed.take(2).await.into_iter().map(|message| message.traceparent).collect();
    assert_eq!(carried, [String::new(), format!("00-{TRACE}-{CALLER}-01")]);
    let counts = bus.broker.recorder().counts();
    assert_eq!(counts.recorded.load(std::sync::atomic::Ordering::Relaxed), 0);
}

//! Spans beside those of messages, as a receiver of OTLP sees them: subscriptions, administration, and
//! trouble, which is seen whatever is sampled.

use bugle::proto::v1::start_position::Start;
use bugle::proto::v1::{DeleteTopicRequest, Position};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::bus::{Bus, LATEST, batch};
use crate::collector::{Collector, attribute, named};
use crate::feed::Heard;
use crate::support::soon;
use crate::traces::{bus, is_child};

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_seen_whatever_is_sampled() {
    let collector = Collector::grpc().await;
    let bus = bus(&collector).await;
    bus.publish("t", ["x"]).await;
    let refused = soon(bus.client().publish(batch("t", [vec![0; 2 << 20]]))).await.unwrap_err();
    let spans = collector.spans("refusal", 1).await;
    let refusal = named(&spans, "refusal Publish")[0];
    assert_eq!(attribute(refusal, "error.type").as_deref(), Some("invalid_argument"));
    assert_eq!(attribute(refusal, "bugle.error.message").as_deref(), Some(refused.message()));
    assert_eq!(attribute(refusal, "rpc.service").as_deref(), Some("bugle.v1.Bus"));
    crate::support::request(bus.server.address, "POST", "/no.Such/Chosen", Some("application/grpc")).await;
    let spans = collector.spans("refusal", 2).await;
    assert_eq!(named(&spans, "refusal").len(), 1, "clients do not choose the names of spans");

    let old = Position { epoch: 1, sequence: 1 };
    let start = Start::After(old);
    let mut feed = bus.subscribe("t", Some(start)).await;
    while !matches!(feed.hear().await.unwrap(), Heard::Gap(_)) {}
    let spans = collector.spans("discontinuity", 1).await;
    let gap = named(&spans, "discontinuity t")[0];
    assert_eq!(attribute(gap, "bugle.discontinuity.reason").as_deref(), Some("reset"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_a_short_span_when_it_opens_and_one_when_it_ends() {
    let collector = Collector::grpc().await;
    let bus = Bus::with(|config| {
        collector.configure(config);
        config.traces.ratio = 1.0;
    })
    .await;
    let feed = bus.subscribe("t", LATEST).await;
    let id = uuid::Uuid::from_slice(&feed.opened.subscription_id).unwrap().to_string();
    drop(feed);
    let spans = collector.spans("subscribe t", 2).await;
    let spans = named(&spans, "subscribe t");
    let event = |event: &str| {
        let is = |span: &&&Span| attribute(span, "bugle.event").as_deref() == Some(event);
        *spans.iter().find(is).unwrap()
    };
    assert!(is_child(event("close"), event("open")));
    assert_eq!(attribute(event("open"), "bugle.subscription.id"), Some(id));
    let receipt = bus.publish("t", ["x"]).await;
    let last = Position { epoch: receipt.epoch, sequence: receipt.last_sequence };
    drop(bus.subscribe("t", Some(Start::After(last))).await);
    let spans = collector.spans("subscribe t", 4).await;
    let resumed = spans.iter().filter(|span| attribute(span, "bugle.event").as_deref() == Some("resume"));
    assert_eq!(resumed.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_administers_what_is_seen() {
    let collector = Collector::grpc().await;
    let bus = Bus::with(|config| {
        collector.configure(config);
        config.traces.ratio = 1.0;
    })
    .await;
    bus.publish("orders", ["x"]).await;
    let delete = DeleteTopicRequest { topic: "orders".into(), ..Default::default() };
    soon(bus.admin().delete_topic(delete.clone())).await.unwrap();
    soon(bus.admin().delete_topic(delete)).await.unwrap_err();
    let spans = collector.spans("admin DeleteTopic", 2).await;
    let deletes = named(&spans, "admin DeleteTopic");
    for span in &deletes {
        assert_eq!(span.kind, SpanKind::Server as i32);
        assert_eq!(attribute(span, "messaging.destination.name").as_deref(), Some("orders"));
        assert_eq!(attribute(span, "rpc.system").as_deref(), Some("grpc"));
    }
    let failed = deletes.iter().filter_map(|span| attribute(span, "error.type"));
    assert_eq!(failed.collect::<Vec<_>>(), ["not_found"]);
}

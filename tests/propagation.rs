//! A trace from a publisher through the real server to its subscribers.

use bugle::client::{Client, Delivery, Start, Subscription};
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt, SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};

use crate::support::{Running, config, soon};

async fn next(subscription: &mut Subscription) -> Delivery {
    soon(subscription.next_message()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_message_published_below_a_span_is_processed_by_everyone_in_its_trace() {
    let server = Running::start(config()).await;
    let exporter = InMemorySpanExporter::default();
    let builder = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOn);
    let provider = builder.with_simple_exporter(exporter.clone()).build();
    let uri = format!("http://{}", server.address);
    let client = Client::builder(uri.clone()).tracer_provider(&provider).connect().await.unwrap();
    let application = Context::new().with_span(provider.tracer("shop").start("place order"));
    let root = application.span().span_context().clone();

    let mut subscriptions = Vec::new();
    for _ in 0..2 {
        subscriptions.push(client.subscribe("orders").open().await.unwrap());
    }
    let publisher = client.publisher().build().unwrap();
    let single = client.publish("orders", "single").with_context(application.clone()).await.unwrap();
    let batched = publisher.publish("orders", "batched").with_context(application.clone()).await.unwrap();
    let batched = soon(batched).await.unwrap();
    for subscription in &mut subscriptions {
        assert_eq!(next(subscription).await.position, single.position());
        assert_eq!(next(subscription).await.position, batched.position());
    }

    let spans = exporter.get_finished_spans().unwrap();
    let of_kind = |kind| spans.iter().filter(|span| span.span_kind == kind).collect::<Vec<&SpanData>>();
    let (sent, processed) = (of_kind(SpanKind::Producer), of_kind(SpanKind::Consumer));
    assert_eq!((sent.len(), processed.len()), (2, 4));
    assert!(spans.iter().all(|span| span.span_context.trace_id() == root.trace_id()), "{spans:?}");
    assert!(sent.iter().all(|span| span.parent_span_id == root.span_id()), "{sent:?}");
    for (place, span) in processed.iter().enumerate() {
        let creator = &sent[place % 2].span_context;
        assert_eq!(span.parent_span_id, creator.span_id());
        assert_eq!(span.links[0].span_context.span_id(), creator.span_id());
    }

    // Whoever is not traced is given the context all the same.
    let untraced = Client::builder(uri).without_tracing().connect().await.unwrap();
    let mut untraced = untraced.subscribe("orders").from(Start::Earliest).open().await.unwrap();
    for creator in sent.iter().map(|span| &span.span_context) {
        let expected = format!("00-{}-{}-01", creator.trace_id(), creator.span_id());
        assert_eq!(next(&mut untraced).await.traceparent(), expected);
    }
    assert_eq!(exporter.get_finished_spans().unwrap().len(), 6);
}

#[test]
fn the_version_of_opentelemetry_that_is_told_is_the_one_in_use() {
    let manifest = include_str!("../Cargo.toml");
    let (_, version) = manifest.split_once("\nopentelemetry = { version = \"").unwrap();
    let version = version.split('"').next().unwrap();
    for (text, told) in [
        (include_str!("../README.md"), format!("version {version} of the crate `opentelemetry`")),
        (include_str!("../src/client.rs"), format!("has to be of `opentelemetry` {version}:")),
        (include_str!("../src/client/options.rs"), format!("`opentelemetry` {version} will do")),
    ] {
        assert!(text.contains(&told), "{told}");
    }
}

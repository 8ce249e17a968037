//! What the spans of the client say, and what messages carry of them: with a provider of the test's
//! own, since the global one belongs to the whole process.

mod process;
mod send;

use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{
    FutureExt, SpanContext, SpanId, SpanKind, Status as SpanStatus, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, Value};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor, TracerProviderBuilder,
};
use uuid::Uuid;

use super::*;
use crate::client::{Delivery, Message, Publisher};

const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A fake server, a client of it that is traced, and the spans that have ended.
struct Traced {
    stage: Arc<Stage>,
    client: Client,
    provider: SdkTracerProvider,
    exporter: InMemorySpanExporter,
}

async fn traced_as(stage: Stage, builder: TracerProviderBuilder) -> Traced {
    let exporter = InMemorySpanExporter::default();
    let provider = builder.with_simple_exporter(exporter.clone()).build();
    let (stage, uri) = serve(stage).await;
    let client = Client::builder(uri).tracer_provider(&provider).connect().await.unwrap();
    Traced { stage, client, provider, exporter }
}

async fn traced(stage: Stage) -> Traced {
    traced_as(stage, SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOn)).await
}

impl Traced {
    /// The context of a span of the application.
    fn application(&self) -> Context {
        Context::new().with_span(self.provider.tracer("application").start("application"))
    }

    fn spans(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().unwrap()
    }

    /// The messages that reached the server.
    fn arrived(&self) -> Vec<wire::Message> {
        let published = self.stage.published.lock().unwrap();
        published.iter().flat_map(|request| request.messages.clone()).collect()
    }

    fn header(&self, call: usize, name: &str) -> String {
        let metadata = self.stage.metadata.lock().unwrap();
        metadata[call].get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

fn span_context(context: &Context) -> SpanContext {
    context.span().span_context().clone()
}

fn traceparent(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags())
}

fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    let mut found = span.attributes.iter().filter(|it| it.key.as_str() == key).map(|it| it.value.clone());
    let value = found.next();
    assert_eq!(found.next(), None, "{key} stands there twice");
    value
}

/// Where its messages stand: the epoch, the first sequence and the last.
fn place(span: &SpanData) -> [Option<Value>; 3] {
    ["bugle.epoch", "bugle.sequence.first", "bugle.sequence.last"].map(|key| attribute(span, key))
}

fn links(span: &SpanData) -> Vec<String> {
    span.links.iter().map(|link| traceparent(&link.span_context)).collect()
}

/// What every span says.
fn assert_says(span: &SpanData, name: &str, kind: SpanKind, uri: &str) {
    let operation = name.split(' ').next().unwrap();
    assert_eq!((span.name.as_ref(), &span.span_kind), (name, &kind));
    assert_eq!(span.instrumentation_scope.name(), "bugle");
    let said = |key| attribute(span, key).map(|value| value.to_string()).unwrap_or_default();
    assert_eq!(said("messaging.system"), "bugle");
    assert_eq!(said("messaging.destination.name"), name.split(' ').next_back().unwrap());
    assert_eq!(
        (said("messaging.operation.name").as_str(), said("messaging.operation.type")),
        (operation, operation.to_owned())
    );
    assert_eq!(said("bugle.namespace"), "default");
    assert_eq!(format!("http://{}:{}", said("server.address"), said("server.port")), uri);
    assert!(matches!(attribute(span, "server.port"), Some(Value::I64(_))));
}

fn assert_failed(span: &SpanData, error_type: &'static str, description: &str) {
    assert_eq!(attribute(span, "error.type"), Some(error_type.into()));
    let SpanStatus::Error { description: said } = &span.status else { panic!("{:?}", span.status) };
    assert!(said.contains(description), "{said}");
}

fn scripted(messages: Vec<wire::Message>) -> Stage {
    let subscription_id = Uuid::from_u128(42).as_bytes().to_vec().into();
    let opened = wire::Opened { epoch: 7, next_sequence: 1, subscription_id };
    let opened = wire::SubscribeResponse { opened: Some(opened), ..Default::default() };
    let messages = wire::SubscribeResponse { messages, ..Default::default() };
    Stage { scripts: Mutex::new([vec![Ok(opened), Ok(messages)]].into()), ..Stage::default() }
}

fn made_in(traceparent: &str) -> wire::Message {
    let id = Uuid::from_u128(1).as_bytes().to_vec().into();
    let (payload, traceparent) = ("hello".into(), traceparent.to_owned());
    wire::Message { sequence: 1, id, payload, traceparent, ..Default::default() }
}

async fn next(subscription: &mut Subscription) -> Delivery {
    subscription.next_message().await.unwrap().unwrap()
}

#[tokio::test]
async fn what_is_not_sampled_is_passed_on_as_not_sampled() {
    let sampler = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff);
    let traced = traced_as(scripted(vec![made_in(GIVEN)]), sampler).await;
    traced.client.publish("orders", "a").await.unwrap();
    let publisher = traced.client.publisher().build().unwrap();
    publisher.publish("orders", "b").await.unwrap().await.unwrap();
    for message in traced.arrived() {
        assert!(message.traceparent.ends_with("-00"), "{}", message.traceparent);
    }
    let mut subscription = traced.client.subscribe("orders").open().await.unwrap();
    let delivery = next(&mut subscription).await;
    assert!(!span_context(&delivery.context()).is_sampled());
    assert_eq!(traceparent(&span_context(&delivery.context()))[..35], GIVEN[..35]);
    drop(delivery);
    assert_eq!(traced.spans().len(), 0);
}

#[tokio::test]
async fn without_spans_messages_carry_nothing_and_deliveries_change_nothing() {
    let spans = SdkTracerProvider::builder().build();
    let application = Context::new().with_span(spans.tracer("application").start("application"));
    let (stage, uri) = serve(scripted(vec![made_in(GIVEN), made_in("")])).await;
    let untraced = Client::builder(uri.clone()).tracer_provider(&NoopTracerProvider::new()).connect();
    let off = Client::builder(uri).tracer_provider(&spans).without_tracing().connect();
    let clients = [untraced.await.unwrap(), off.await.unwrap()];
    let work = async {
        for client in &clients {
            client.publish("orders", "a").await.unwrap();
            let publisher = client.publisher().build().unwrap();
            publisher.publish("orders", "b").await.unwrap().await.unwrap();
        }
        let mut subscription = clients[0].subscribe("orders").open().await.unwrap();
        let delivery = next(&mut subscription).await;
        delivery.mark_failed("ignored", "since nothing is traced");
        assert_eq!(span_context(&delivery.context()), span_context(&Context::current()));
    };
    work.with_context(application).await;
    let published = stage.published.lock().unwrap();
    assert_eq!(published.len(), 4);
    assert!(published.iter().flat_map(|request| &request.messages).all(|it| it.traceparent.is_empty()));
    assert!(stage.metadata.lock().unwrap().iter().all(|it| it.get("traceparent").is_none()));
}

#[tokio::test]
async fn a_provider_that_was_shut_down_stops_the_tracing_and_nothing_else() {
    let traced = traced(scripted(vec![made_in(GIVEN)])).await;
    traced.provider.shutdown().unwrap();
    traced.client.publish("orders", "a").await.unwrap();
    assert_eq!(traced.arrived()[0].traceparent, "");
    let mut subscription = traced.client.subscribe("orders").open().await.unwrap();
    assert_eq!(next(&mut subscription).await.traceparent(), GIVEN);
}

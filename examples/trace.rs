//! One trace from a publisher through the bus to two subscribers.
//!
//! Run `bugle serve`, then `cargo run --example trace`. It prints each span; with
//! OTEL_EXPORTER_OTLP_ENDPOINT set, such as http://127.0.0.1:4317, a collector gets them instead.

use bugle::client::Client;
use opentelemetry::trace::{FutureExt, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, global};
use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Before the client is made, which asks for its tracer once.
    let spans = SdkTracerProvider::builder();
    let provider = match std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT") {
        Some(_) => spans.with_batch_exporter(OtlpExporter::builder().with_tonic().build()?).build(),
        None => spans.with_simple_exporter(Lines).build(),
    };
    global::set_tracer_provider(provider.clone());

    let client = Client::connect("http://127.0.0.1:7600").await?;
    let subscriptions = [client.subscribe("orders").open().await?, client.subscribe("orders").open().await?];

    // Whatever is published below the application's own span belongs to its trace.
    let order = Context::new().with_span(provider.tracer("shop").start("place order"));
    client.publish("orders", "one bugle").with_context(order.clone()).await?;
    order.span().end();

    for mut subscription in subscriptions {
        let Some(message) = subscription.next_message().await else { break };
        let message = message?;
        // What is done below the message's context is a part of processing it.
        let _work = provider.tracer("shop").start_with_context("pack", &message.context());
    }
    // What has not been exported yet is exported now.
    provider.shutdown()?;
    Ok(())
}

/// Prints spans, each on a line.
#[derive(Debug)]
struct Lines;

impl SpanExporter for Lines {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        for SpanData { span_context, parent_span_id, span_kind, name, .. } in spans {
            let (trace, span) = (span_context.trace_id(), span_context.span_id());
            println!("trace {trace}  span {span}  parent {parent_span_id}  {span_kind:<8?}  {name}");
        }
        Ok(())
    }
}

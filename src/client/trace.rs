//! The spans of the client, by the conventions of OpenTelemetry for messaging: `send {topic}` for
//! what is published, `process {topic}` for what a subscription hands out.
//!
//! Only the API of OpenTelemetry is used: which spans are kept, and where they go, is for the
//! tracer provider of the application to say. A client asks for its tracer once, when it is made;
//! where none makes spans (no provider is installed, or tracing is off) there is no [`Trace`], and
//! a message costs one branch. What samplers judge by is given at the start of a span, the rest and
//! the full name only where it is recorded.

mod process;
mod send;
mod traceparent;

use std::sync::Arc;

use opentelemetry::global::{self, BoxedSpan, BoxedTracer, ObjectSafeTracerProvider};
use opentelemetry::trace::{
    Span, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue, Value};
use tonic::metadata::{MetadataMap, MetadataValue};

pub(super) use process::{ProcessSpan, Processing};
pub(super) use send::SendSpan;
#[cfg(all(test, feature = "server"))]
pub(super) use traceparent::read;

/// Who makes the spans of a client; see [`super::ClientBuilder::tracer_provider`].
#[derive(Debug, Clone, Default)]
pub(super) enum Tracing {
    /// The provider that is installed globally when the client is made.
    #[default]
    Global,
    Given(Arc<BoxedTracer>),
    Off,
}

impl Tracing {
    pub(super) fn by(provider: &impl ObjectSafeTracerProvider) -> Self {
        Tracing::Given(Arc::new(BoxedTracer::new(provider.boxed_tracer(scope()))))
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("bugle").with_version(env!("CARGO_PKG_VERSION")).build()
}

/// The tracer of a client and what its spans say about the server.
pub(super) struct Trace {
    tracer: Arc<BoxedTracer>,
    address: Arc<str>,
    port: i64,
}

impl Trace {
    /// `None` where no spans would be made.
    pub(super) fn new(tracing: &Tracing, server: &http::Uri) -> Option<Arc<Self>> {
        let tracer = match tracing {
            Tracing::Global => Arc::new(global::tracer_provider().tracer_with_scope(scope())),
            Tracing::Given(tracer) => Arc::clone(tracer),
            Tracing::Off => return None,
        };
        let address = server.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = i64::from(server.port_u16().unwrap_or(80));
        makes_spans(&tracer).then(|| Arc::new(Trace { tracer, address: Arc::from(address), port }))
    }
}

/// Whether a tracer makes spans, found out without making one that is exported: where telemetry is
/// suppressed an SDK gives a span without a context, while the no-op hands the parent's through.
fn makes_spans(tracer: &BoxedTracer) -> bool {
    let (trace, span, flags) = (TraceId::from(1), SpanId::from(1), TraceFlags::NOT_SAMPLED);
    let parent = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    let suppressed = Context::new().with_remote_span_context(parent.clone()).with_telemetry_suppressed();
    *tracer.start_with_context("bugle", &suppressed).span_context() != parent
}

/// Makes the spans for the topics of one namespace.
#[derive(Clone)]
pub(super) struct Spans {
    trace: Arc<Trace>,
    namespace: Arc<str>,
}

impl Spans {
    pub(super) fn new(trace: Arc<Trace>, namespace: Arc<str>) -> Self {
        Spans { trace, namespace }
    }

    /// What a sampler can judge by: it costs every message, so it is not all that is known. There is
    /// room for what [`Spans::describe`] adds, and for what is only known later.
    fn attributes(&self, operation: &'static str, topic: impl Into<Value>) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(14);
        attributes.extend([
            KeyValue::new("messaging.destination.name", topic),
            KeyValue::new("messaging.operation.name", operation),
            KeyValue::new("messaging.operation.type", operation),
        ]);
        attributes
    }

    /// The rest of what every span says, for those that are recorded.
    fn describe(&self, span: &mut BoxedSpan, operation: &'static str, topic: &str) {
        span.update_name(format!("{operation} {topic}"));
        span.set_attribute(KeyValue::new("messaging.system", "bugle"));
        span.set_attribute(KeyValue::new("bugle.namespace", Arc::clone(&self.namespace)));
        span.set_attribute(KeyValue::new("server.address", Arc::clone(&self.trace.address)));
        span.set_attribute(KeyValue::new("server.port", self.trace.port));
    }
}

/// Puts a context into the metadata of a call, if it is one.
pub(super) fn carry(context: &SpanContext, metadata: &mut MetadataMap) {
    if !context.is_valid() {
        return;
    }
    let headers = [
        ("traceparent", traceparent::traceparent(context)),
        ("tracestate", traceparent::tracestate(context)),
    ];
    for (name, value) in headers.into_iter().filter(|(_, value)| !value.is_empty()) {
        if let Ok(value) = MetadataValue::try_from(value) {
            metadata.insert(name, value);
        }
    }
}

/// The same with the context of the current span.
pub(super) fn carry_current(metadata: &mut MetadataMap) {
    Context::map_current(|current| carry(current.span().span_context(), metadata));
}

/// Says where messages stand, one or many, as the spans of the server do: so one query finds both.
fn place(span: &mut BoxedSpan, epoch: u64, first: u64, last: u64) {
    span.set_attribute(KeyValue::new("bugle.epoch", number(epoch)));
    span.set_attribute(KeyValue::new("bugle.sequence.first", number(first)));
    span.set_attribute(KeyValue::new("bugle.sequence.last", number(last)));
}

/// A number as an attribute: epochs stay below 2^53, and sequences far below 2^63.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

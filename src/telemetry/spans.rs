//! From a span as it is recorded to one as OpenTelemetry's exporters take it, named and described by
//! its conventions for messaging.

use std::net::SocketAddr;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::error::Code;
use crate::topic::{TopicName, TraceContext};
use crate::trace::{Attribute, Operation, Span, Value, system_time};

/// The same span for an exporter.
pub fn export_data(span: Span) -> SpanData {
    let Span { operation, what, topic, context, parent, start, end, links, peer, attributes, error } = span;
    let name = name(operation, topic.as_ref(), &attributes);
    let (parent_span_id, parent_span_is_remote) = parent.unwrap_or_default();
    let mut described = described(operation, what, topic.as_ref(), peer);
    described.extend(attributes.into_iter().map(attribute));
    let mut status = Status::Unset;
    if let Some((code, message)) = error {
        described.push(KeyValue::new("error.type", code.as_str()));
        // What is the client's fault is no error of a server, as the conventions have it.
        match is_ours(code) {
            true => status = Status::error(message),
            false => described.push(KeyValue::new("bugle.error.message", message)),
        }
    }
    let mut span_links = SpanLinks::default();
    span_links.links = links.into_iter().map(|link| Link::with_context(remote(link))).collect();
    SpanData {
        span_context: span_context(context, false),
        parent_span_id: SpanId::from(parent_span_id),
        parent_span_is_remote,
        span_kind: kind(operation),
        name: name.into(),
        start_time: system_time(start),
        end_time: system_time(end),
        attributes: described,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: span_links,
        status,
        instrumentation_scope: scope(),
    }
}

fn is_ours(code: Code) -> bool {
    match code {
        Code::Internal | Code::Unavailable | Code::DeadlineExceeded | Code::Unimplemented => true,
        Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition => false,
        Code::PermissionDenied | Code::Unauthenticated | Code::ResourceExhausted | Code::Cancelled => false,
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("bugle").with_version(env!("CARGO_PKG_VERSION")).build()
}

fn kind(operation: Operation) -> SpanKind {
    match operation {
        Operation::Publish | Operation::Subscribe | Operation::Admin | Operation::Refusal => SpanKind::Server,
        Operation::Push => SpanKind::Client,
        // What the subscriber's own span, of kind consumer, goes with.
        Operation::Deliver => SpanKind::Producer,
        Operation::FanOut | Operation::Discontinuity | Operation::Stall | Operation::Drain => {
            SpanKind::Internal
        }
    }
}

/// The operation and what it was done to: `publish orders`, `admin CreateTopic`.
fn name(operation: Operation, topic: Option<&TopicName>, attributes: &[Attribute]) -> String {
    let method = attributes.iter().find_map(|(key, value)| match value {
        Value::Text(method) if *key == "rpc.method" && method != "_OTHER" => Some(method.as_str()),
        _ => None,
    });
    let object = if operation == Operation::Admin { None } else { topic.map(TopicName::topic) };
    match object.or(method) {
        Some(object) => format!("{} {object}", operation.name()),
        None => operation.name().to_owned(),
    }
}

/// What every span of the bus says.
fn described(
    operation: Operation,
    what: Option<&'static str>,
    topic: Option<&TopicName>,
    peer: Option<SocketAddr>,
) -> Vec<KeyValue> {
    let mut said = vec![
        KeyValue::new("messaging.system", "bugle"),
        KeyValue::new("messaging.operation.name", operation.name()),
    ];
    let kind = match operation {
        Operation::Publish | Operation::Deliver | Operation::Push => Some("send"),
        _ => None,
    };
    said.extend(kind.map(|kind| KeyValue::new("messaging.operation.type", kind)));
    said.extend(what.map(|what| KeyValue::new("bugle.event", what)));
    if let Some(topic) = topic {
        said.push(KeyValue::new("messaging.destination.name", topic.topic().to_owned()));
        said.push(KeyValue::new("bugle.namespace", topic.namespace().to_string()));
    }
    if let Some(peer) = peer {
        said.push(KeyValue::new("network.peer.address", peer.ip().to_string()));
        said.push(KeyValue::new("network.peer.port", i64::from(peer.port())));
    }
    said
}

fn attribute((key, value): Attribute) -> KeyValue {
    match value {
        Value::Word(word) => KeyValue::new(key, word),
        Value::Text(text) => KeyValue::new(key, text),
        Value::Count(count) => KeyValue::new(key, i64::try_from(count).unwrap_or(i64::MAX)),
        Value::Id(id) => KeyValue::new(key, id.to_string()),
    }
}

fn remote(context: TraceContext) -> SpanContext {
    span_context(context, true)
}

fn span_context(context: TraceContext, is_remote: bool) -> SpanContext {
    let TraceContext { trace_id, span_id, flags } = context;
    let (trace_id, span_id) = (TraceId::from(trace_id), SpanId::from(span_id));
    SpanContext::new(trace_id, span_id, TraceFlags::new(flags), is_remote, TraceState::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> TraceContext {
        TraceContext::sampled(7, 8).unwrap()
    }

    fn value(data: &SpanData, key: &str) -> Option<String> {
        data.attributes.iter().find(|it| it.key.as_str() == key).map(|it| it.value.to_string())
    }

    #[test]
    fn a_span_is_named_and_described_by_the_conventions() {
        let topic = TopicName::parse("eu", "orders").unwrap();
        let caller = TraceContext::sampled(7, 9).unwrap();
        let span = Span::new(Operation::Publish, Some(topic), context(), 1_000, 3_000)
            .called_by(Some(caller))
            .linked_to([caller].into_iter())
            .with("bugle.epoch", Value::Count(5))
            .with_peer(Some(([127, 0, 0, 1], 80).into()))
            .failed(Code::NotFound, "no such thing");
        let data = export_data(span);
        assert_eq!((data.name.as_ref(), data.span_kind.clone()), ("publish orders", SpanKind::Server));
        assert_eq!(data.parent_span_id, SpanId::from(9));
        assert!(data.parent_span_is_remote && data.span_context.is_sampled());
        assert_eq!(data.links.links.len(), 1);
        assert_eq!(data.end_time.duration_since(data.start_time).unwrap().as_nanos(), 2_000);
        for (key, expected) in [
            ("messaging.system", "bugle"),
            ("messaging.destination.name", "orders"),
            ("messaging.operation.name", "publish"),
            ("messaging.operation.type", "send"),
            ("bugle.namespace", "eu"),
            ("bugle.epoch", "5"),
            ("network.peer.address", "127.0.0.1"),
            ("error.type", "not_found"),
            ("bugle.error.message", "no such thing"),
        ] {
            assert_eq!(value(&data, key).as_deref(), Some(expected), "{key}");
        }
        assert_eq!(data.status, Status::Unset);
        let span = Span::new(Operation::Publish, None, context(), 1, 2).failed(Code::Internal, "a defect");
        assert_eq!(export_data(span).status, Status::error("a defect"));
    }

    #[test]
    fn a_call_is_named_by_its_method() {
        let span =
            Span::new(Operation::Admin, None, context(), 1, 2).with_method("bugle.v1.Admin/CreateTopic");
        assert_eq!(export_data(span.clone()).name, "admin CreateTopic");
        let span = Span { topic: Some(TopicName::parse("", "orders").unwrap()), ..span };
        let data = export_data(span);
        assert_eq!(data.name, "admin CreateTopic");
        assert_eq!(value(&data, "messaging.destination.name").as_deref(), Some("orders"));
        assert_eq!(value(&data, "rpc.service").as_deref(), Some("bugle.v1.Admin"));
        let unknown = Span::new(Operation::Refusal, None, context(), 1, 2).with_method("_OTHER");
        assert_eq!(export_data(unknown).name, "refusal");
    }
}

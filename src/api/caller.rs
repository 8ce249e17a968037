//! Who calls, as far as a request tells: the address of the other end, and the W3C trace context in
//! the metadata.

use std::net::SocketAddr;

use http::{HeaderMap, Request};

use super::Peer;
use crate::topic::TraceContext;
use crate::trace::TRACE_TARGET;

/// What is known of a call's other end.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Where it is.
    pub peer: Option<SocketAddr>,
    /// The context of its `traceparent`, if that is one.
    pub context: Option<TraceContext>,
    /// Its `tracestate`; empty without a context.
    pub tracestate: String,
}

impl Caller {
    /// The caller of a request.
    pub fn of<B>(request: &Request<B>) -> Caller {
        let peer = request.extensions().get::<Peer>().map(Peer::address);
        let context = text(request.headers(), "traceparent").and_then(TraceContext::parse);
        let tracestate = context.and_then(|_| text(request.headers(), "tracestate"));
        Caller { peer, context, tracestate: tracestate.unwrap_or_default().to_owned() }
    }

    /// The same caller of a stream that outlives what its metadata was about.
    pub fn without_context(self) -> Caller {
        Caller { context: None, tracestate: String::new(), ..self }
    }

    /// The span that has the log's lines say of which trace the work inside it is part.
    pub fn log_span(&self) -> tracing::Span {
        self.context.map_or_else(tracing::Span::none, |TraceContext { trace_id, span_id, .. }| {
            let (trace_id, span_id) = (format!("{trace_id:032x}"), format!("{span_id:016x}"));
            tracing::info_span!(target: TRACE_TARGET, "call", trace_id, span_id)
        })
    }

    /// Whether its trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.context.is_some_and(|context| context.is_sampled())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_context_of_a_call_is_in_its_metadata() {
        let request = Request::builder().header("traceparent", GOOD).header("tracestate", "a=1");
        let caller = Caller::of(&request.body(()).unwrap());
        assert_eq!(caller.context.unwrap().to_string(), GOOD);
        assert!(caller.is_sampled());
        assert_eq!(caller.tracestate, "a=1");
        let caller = caller.without_context();
        assert!(!caller.is_sampled() && caller.tracestate.is_empty());
    }

    #[test]
    fn a_state_without_a_context_is_nothing() {
        let request = Request::builder().header("traceparent", "nonsense").header("tracestate", "a=1");
        let caller = Caller::of(&request.body(()).unwrap());
        assert!(caller.context.is_none() && caller.tracestate.is_empty());
    }
}

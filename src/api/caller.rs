//! Who calls, as far as a request tells: the address of the other end, and the W3C trace context in
//! the metadata.

use std::net::SocketAddr;

use http::{HeaderMap, Request};

use super::Peer;
use crate::topic::TraceContext;
use crate::trace::TRACE_TARGET;

/// What is known of a call's other end. Small, for it is kept while a call is answered, and thousands
/// of those may be open at once.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    peer: Option<Peer>,
    trace: Option<Box<Carried>>,
}

/// What the metadata carries of a trace.
#[derive(Debug, Clone)]
struct Carried {
    context: TraceContext,
    tracestate: String,
}

impl Caller {
    /// The caller of a request.
    pub fn of<B>(request: &Request<B>) -> Caller {
        let peer = request.extensions().get::<Peer>().cloned();
        let context = text(request.headers(), "traceparent").and_then(TraceContext::parse);
        let trace = context.map(|context| {
            let tracestate = text(request.headers(), "tracestate").unwrap_or_default().to_owned();
            Box::new(Carried { context, tracestate })
        });
        Caller { peer, trace }
    }

    /// Its connection.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Where it is.
    pub fn address(&self) -> Option<SocketAddr> {
        self.peer.as_ref().map(Peer::address)
    }

    /// The context of its `traceparent`, if that is one.
    pub fn context(&self) -> Option<TraceContext> {
        self.trace.as_ref().map(|trace| trace.context)
    }

    /// Its `tracestate`; empty without a context.
    pub fn tracestate(&self) -> &str {
        self.trace.as_ref().map_or("", |trace| &trace.tracestate)
    }

    /// The same caller of a stream that outlives what its metadata was about.
    pub fn without_context(self) -> Caller {
        Caller { trace: None, ..self }
    }

    /// The span that has the log's lines say of which trace the work inside it is part.
    pub fn log_span(&self) -> Option<Box<tracing::Span>> {
        let TraceContext { trace_id, span_id, .. } = self.context()?;
        let (trace_id, span_id) = (format!("{trace_id:032x}"), format!("{span_id:016x}"));
        Some(Box::new(tracing::info_span!(target: TRACE_TARGET, "call", trace_id, span_id)))
    }

    /// Whether its trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.context().is_some_and(|context| context.is_sampled())
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
        assert_eq!(caller.context().unwrap().to_string(), GOOD);
        assert!(caller.is_sampled());
        assert_eq!(caller.tracestate(), "a=1");
        let caller = caller.without_context();
        assert!(!caller.is_sampled() && caller.tracestate().is_empty());
    }

    #[test]
    fn a_state_without_a_context_is_nothing() {
        let request = Request::builder().header("traceparent", "nonsense").header("tracestate", "a=1");
        let caller = Caller::of(&request.body(()).unwrap());
        assert!(caller.context().is_none() && caller.tracestate().is_empty());
    }
}

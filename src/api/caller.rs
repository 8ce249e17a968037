//! Who calls, as far as a request tells: the address of the other end, and the W3C trace context in
//! the metadata.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Request};

use super::Peer;
use crate::auth::{Identity, Principal};
use crate::limits::TRACESTATE_BYTES_MAX;
use crate::topic::TraceContext;
use crate::trace::TRACE_TARGET;

/// What is known of a call's other end. Small, for it is kept while a call is answered, and thousands
/// of those may be open at once.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    peer: Option<Peer>,
    /// Nothing where nobody has to say who they are.
    identity: Option<Identity>,
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
        let context = text(request.headers(), "traceparent").and_then(TraceContext::parse);
        let trace =
            context.map(|context| Box::new(Carried { context, tracestate: tracestate(request.headers()) }));
        Caller { trace, ..Caller::known(request.extensions()) }
    }

    /// The caller of whose request these are the extensions, as far as they tell.
    pub fn known(extensions: &http::Extensions) -> Caller {
        let (peer, identity) = (extensions.get().cloned(), extensions.get().cloned());
        Caller { peer, identity, trace: None }
    }

    /// Its connection.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Where it is.
    pub fn address(&self) -> Option<SocketAddr> {
        self.peer.as_ref().map(Peer::address)
    }

    /// Who it is, where it had to say so.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The principal, where it had to say who it is.
    pub fn principal(&self) -> Option<&Principal> {
        self.identity.as_ref().map(Identity::principal)
    }

    /// What its messages say of who published them.
    pub fn publisher(&self) -> Option<&Arc<str>> {
        self.principal().map(Principal::text)
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
        self.context().filter(TraceContext::is_sampled).map(|context| Box::new(log_span(context)))
    }

    /// Whether its trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.context().is_some_and(|context| context.is_sampled())
    }
}

/// The span that has the log's lines say that the work inside it is part of this.
pub fn log_span(context: TraceContext) -> tracing::Span {
    let TraceContext { trace_id, span_id, .. } = context;
    let (trace_id, span_id) = (format!("{trace_id:032x}"), format!("{span_id:016x}"));
    tracing::info_span!(target: TRACE_TARGET, "call", trace_id, span_id)
}

/// The vendors' part of a context: all its lines, and of them as many whole members as a message may
/// carry. It is never a reason to refuse anything.
fn tracestate(headers: &HeaderMap) -> String {
    let lines = headers.get_all("tracestate").into_iter().filter_map(|line| line.to_str().ok());
    let members = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|member| !member.is_empty());
    let mut state = String::new();
    for member in members {
        if state.len() + 1 + member.len() > TRACESTATE_BYTES_MAX {
            break;
        }
        if !state.is_empty() {
            state.push(',');
        }
        state.push_str(member);
    }
    state
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
    fn a_long_state_is_cut_between_its_members() {
        let long = format!("long={}", "x".repeat(500));
        let request = Request::builder().header("traceparent", GOOD);
        let request =
            request.header("tracestate", "a=1, b=2").header("tracestate", "c=3").header("tracestate", long);
        assert_eq!(Caller::of(&request.body(()).unwrap()).tracestate(), "a=1,b=2,c=3");
    }

    #[test]
    fn a_state_without_a_context_is_nothing() {
        let request = Request::builder().header("traceparent", "nonsense").header("tracestate", "a=1");
        let caller = Caller::of(&request.body(()).unwrap());
        assert!(caller.context().is_none() && caller.tracestate().is_empty());
    }
}

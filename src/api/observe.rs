//! What is told of calls that are refused: counted by code, traced within limits, and said in the log
//! to whoever asked for that much. In one place for all services, where a response leaves.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Request, Response};
use tonic::Status;

use super::Route;
use super::caller::Caller;
use super::status::{Refused, own_code};
use crate::broker::Broker;
use crate::error::Code;
use crate::metrics::Metrics;
use crate::store::unix_nanos;
use crate::trace::{Operation, Recorder, Span, cut};

/// Whoever is told.
pub struct Observer {
    metrics: Arc<Metrics>,
    recorder: Arc<Recorder>,
}

impl Observer {
    /// What is told of this broker's work.
    pub fn new(broker: &Broker) -> Observer {
        Observer { metrics: broker.metrics().clone(), recorder: broker.recorder().clone() }
    }

    /// A call, or a part of one, was refused.
    pub fn refused(&self, method: &str, caller: &Caller, code: Code, message: &str) {
        self.metrics.state().refused(code);
        let (peer, code_name) = (caller.address(), code.as_str());
        tracing::debug!(
            method,
            peer = peer.map(tracing::field::display),
            code = code_name,
            why = cut(message),
            "refused"
        );
        let now = unix_nanos();
        let Some(context) = self.recorder.event(Operation::Refusal, now) else { return };
        let span = Span::new(Operation::Refusal, None, context, now, now)
            .linked_to(caller.context().into_iter())
            .with_method(method.trim_start_matches('/'))
            .with_peer(peer)
            .failed(code, message);
        self.recorder.record(span);
    }
}

/// What is called, in words that no client chooses: they name spans.
enum Method {
    /// This gRPC method.
    Grpc(PathAndQuery),
    /// What is at paths of this pattern. Its query may have a credential, and is not kept.
    Http(&'static str),
    /// None of ours.
    Unknown,
}

/// A call that is being answered.
pub struct Call {
    observer: Arc<Observer>,
    method: Method,
    caller: Caller,
    log_span: Option<Box<tracing::Span>>,
}

impl Call {
    /// The call that this request is, to what is at its path.
    pub(super) fn new<B>(observer: &Arc<Observer>, request: &Request<B>, route: Option<Route>) -> Call {
        let method = match (route, request.uri().path_and_query()) {
            (Some(Route::Http(resource)), _) => Method::Http(resource.pattern()),
            (Some(_), Some(path)) if path.query().is_none() => Method::Grpc(path.clone()),
            (Some(_), Some(path)) => {
                PathAndQuery::try_from(path.path()).map_or(Method::Unknown, Method::Grpc)
            }
            _ => Method::Unknown,
        };
        let caller = Caller::of(request);
        let log_span = caller.log_span();
        Call { observer: observer.clone(), method, caller, log_span }
    }

    /// Inside what this gives, the log's lines say of which trace the call is part.
    pub fn enter(&self) -> Option<tracing::span::Entered<'_>> {
        self.log_span.as_ref().map(|span| span.enter())
    }

    /// The answer, as far as its head tells.
    pub fn answered<B>(&self, response: &Response<B>) {
        let method = match &self.method {
            Method::Grpc(path) => path.path(),
            Method::Http(pattern) => pattern,
            Method::Unknown => "_OTHER",
        };
        if let Some(Refused(code, message)) = response.extensions().get() {
            self.observer.refused(method, &self.caller, *code, message);
        } else if let Some(status) = Status::from_header_map(response.headers())
            && status.code() != tonic::Code::Ok
        {
            self.observer.refused(method, &self.caller, own_code(status.code()), status.message());
        }
    }
}

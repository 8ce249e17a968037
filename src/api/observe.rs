//! What is told of calls that are refused: counted by code, traced within limits, and said in the log
//! to whoever asked for that much. In one place for all services, where a response leaves.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Request, Response};
use tonic::Status;

use super::caller::Caller;
use super::status::own_code;
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

/// A call that is being answered.
pub struct Call {
    observer: Arc<Observer>,
    /// The method; nothing where it is none of ours, for clients shall not choose the names of spans.
    path: Option<PathAndQuery>,
    caller: Caller,
    log_span: Option<Box<tracing::Span>>,
}

impl Call {
    /// The call that this request is; `is_known` says that there is such a method.
    pub fn new<B>(observer: &Arc<Observer>, request: &Request<B>, is_known: bool) -> Call {
        let path = request.uri().path_and_query().filter(|_| is_known).cloned();
        let caller = Caller::of(request);
        let log_span = caller.log_span();
        Call { observer: observer.clone(), path, caller, log_span }
    }

    /// Inside what this gives, the log's lines say of which trace the call is part.
    pub fn enter(&self) -> Option<tracing::span::Entered<'_>> {
        self.log_span.as_ref().map(|span| span.enter())
    }

    /// The answer, as far as its head tells.
    pub fn answered<B>(&self, response: &Response<B>) {
        if let Some(status) = Status::from_header_map(response.headers())
            && status.code() != tonic::Code::Ok
        {
            let method = self.path.as_ref().map_or("_OTHER", |path| path.path());
            self.observer.refused(method, &self.caller, own_code(status.code()), status.message());
        }
    }
}

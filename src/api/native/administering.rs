//! The span of a call that administers the bus, or looks at it.

use std::sync::Arc;

use http::{Request, Response};
use tonic::Status;

use super::{Caller, Native};
use crate::api::status::own_code;
use crate::store::unix_nanos;
use crate::topic::TraceContext;
use crate::trace::{Operation, Recorder, Span, Value};

/// A call that is traced.
pub struct Administering {
    recorder: Arc<Recorder>,
    caller: Caller,
    method: String,
    context: TraceContext,
    begun: u64,
}

impl Administering {
    /// Decides whether a call is traced.
    pub fn begin<B>(native: &Native, request: &Request<B>) -> Option<Administering> {
        let (recorder, begun) = (native.broker.recorder(), unix_nanos());
        if !recorder.is_exporting() {
            return None;
        }
        let caller = Caller::of(request);
        let context = recorder.begin(None, caller.context(), caller.is_sampled(), begun)?;
        let method = request.uri().path().trim_start_matches('/').to_owned();
        Some(Administering { recorder: recorder.clone(), caller, method, context, begun })
    }

    /// An answer, and the span of its call where it has one.
    pub async fn around<B, E>(
        span: Option<Administering>,
        answer: impl Future<Output = Result<Response<B>, E>>,
    ) -> Result<Response<B>, E> {
        let response = answer.await?;
        if let Some(span) = span {
            span.end(&response);
        }
        Ok(response)
    }

    /// The call was answered: its span.
    fn end<B>(self, response: &Response<B>) {
        let now = unix_nanos();
        if !self.recorder.admits(self.context.trace_id, now) {
            return;
        }
        let span = Span::new(Operation::Admin, None, self.context, self.begun, now)
            .called_by(self.caller.context())
            .with("rpc.method", Value::Text(self.method))
            .with_peer(self.caller.address());
        self.recorder.record(match Status::from_header_map(response.headers()) {
            Some(status) if status.code() != tonic::Code::Ok => {
                span.failed(own_code(status.code()), status.message())
            }
            _ => span,
        });
    }
}

//! The future of a response: at once, or what a generated service will answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;

use crate::api::body::Body;
use crate::api::observe::Call;

/// What generated services return.
pub(super) type Answer =
    Pin<Box<dyn Future<Output = Result<Response<tonic::body::Body>, Infallible>> + Send>>;

/// The future of a response.
pub struct Reply {
    state: State,
    /// To be told how it was answered.
    call: Option<Box<Call>>,
}

enum State {
    Ready(Option<Box<Response<Body>>>),
    Tonic(Answer),
    Deliveries(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Reply {
    /// A response that is known already.
    pub fn ready(response: Response<Body>) -> Self {
        Reply { state: State::Ready(Some(Box::new(response))), call: None }
    }

    /// The response of a generated service.
    pub(super) fn tonic(answer: Answer) -> Self {
        Reply { state: State::Tonic(answer), call: None }
    }

    /// The response of a subscription.
    pub(super) fn deliveries(answer: Pin<Box<dyn Future<Output = Response<Body>> + Send>>) -> Self {
        Reply { state: State::Deliveries(answer), call: None }
    }

    /// The same reply to a call that is told of it.
    pub(super) fn observed(self, call: Box<Call>) -> Self {
        Reply { call: Some(call), ..self }
    }
}

impl Future for Reply {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Reply { state, call } = &mut *self;
        let call = call.as_deref();
        let _entered = call.map(Call::enter);
        let response = match state {
            State::Ready(response) => match response.take() {
                Some(response) => *response,
                None => return Poll::Pending,
            },
            State::Tonic(answer) => ready!(answer.as_mut().poll(cx))?.map(Body::Tonic),
            State::Deliveries(answer) => ready!(answer.as_mut().poll(cx)),
        };
        if let Some(call) = call {
            call.answered(&response);
        }
        Poll::Ready(Ok(response))
    }
}

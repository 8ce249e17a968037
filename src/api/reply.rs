//! The future of a response: at once, or what a generated service will answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;

use crate::api::body::Body;

/// What generated services return.
pub(super) type Answer =
    Pin<Box<dyn Future<Output = Result<Response<tonic::body::Body>, Infallible>> + Send>>;

/// The future of a response.
pub struct Reply(State);

enum State {
    Ready(Option<Box<Response<Body>>>),
    Tonic(Answer),
    Deliveries(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Reply {
    /// A response that is known already.
    pub fn ready(response: Response<Body>) -> Self {
        Reply(State::Ready(Some(Box::new(response))))
    }

    /// The response of a generated service.
    pub(super) fn tonic(answer: Answer) -> Self {
        Reply(State::Tonic(answer))
    }

    /// The response of a subscription.
    pub(super) fn deliveries(answer: Pin<Box<dyn Future<Output = Response<Body>> + Send>>) -> Self {
        Reply(State::Deliveries(answer))
    }
}

impl Future for Reply {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(*response)),
                None => Poll::Pending,
            },
            State::Tonic(answer) => {
                let response = ready!(answer.as_mut().poll(cx))?;
                Poll::Ready(Ok(response.map(Body::Tonic)))
            }
            State::Deliveries(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}

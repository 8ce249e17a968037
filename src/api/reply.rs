//! The future of a response: at once, or what a service will answer, and whoever is told of it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;

use crate::api::body::Body;
use crate::api::edge::Edge;
use crate::api::observe::Call;

/// What generated services return.
pub(super) type Generated =
    Pin<Box<dyn Future<Output = Result<Response<tonic::body::Body>, Infallible>> + Send>>;

/// Where a response comes from.
pub(super) enum Answer {
    /// It is known already.
    Ready(Option<Response<Body>>),
    /// A generated service makes it.
    Generated(Generated),
    /// A service of ours makes it, such as a subscription.
    Own(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

/// The future of a response. One pointer, because it is part of every stream's task, and that lives
/// as long as a subscription does.
pub struct Reply(Box<Pending>);

struct Pending {
    answer: Answer,
    call: Call,
    edge: Option<Box<Edge>>,
}

impl Reply {
    /// The response to a call, which is told of it.
    pub(super) fn new(answer: Answer, call: Call) -> Self {
        Reply(Box::new(Pending { answer, call, edge: None }))
    }

    /// The same for a client at this edge.
    pub(super) fn at(mut self, edge: Option<Box<Edge>>) -> Self {
        self.0.edge = edge;
        self
    }
}

impl Future for Reply {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Pending { answer, call, edge } = &mut *self.0;
        let _entered = call.enter();
        let response = match answer {
            Answer::Ready(response) => match response.take() {
                Some(response) => response,
                None => return Poll::Pending,
            },
            Answer::Generated(answer) => ready!(answer.as_mut().poll(cx))?.map(Body::Tonic),
            Answer::Own(answer) => ready!(answer.as_mut().poll(cx)),
        };
        call.answered(&response);
        Poll::Ready(Ok(match edge.take() {
            Some(edge) => edge.dress(response),
            None => response,
        }))
    }
}

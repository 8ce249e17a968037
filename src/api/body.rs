//! The body of a response, whichever service it comes from.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame as BodyFrame, SizeHint};

use super::frame::Frame;
use super::native::Deliveries;

/// The body of a response.
#[derive(Default)]
pub enum Body {
    /// Nothing: the status is in the headers.
    #[default]
    Empty,
    /// One piece of text; `None` once it is sent.
    Text(Option<Bytes>),
    /// What a generated service answers.
    Tonic(tonic::body::Body),
    /// A subscription.
    Deliveries(Box<Deliveries>),
    /// What another dialect makes of a subscription, or of anything else that comes bit by bit.
    Boxed(Boxed),
}

/// A body of whatever kind.
pub type Boxed = Pin<Box<dyn http_body::Body<Data = Frame, Error = tonic::Status> + Send>>;

impl From<Deliveries> for Body {
    fn from(deliveries: Deliveries) -> Self {
        Body::Deliveries(Box::new(deliveries))
    }
}

impl Body {
    /// A short text.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Body::Text(Some(text.into()))
    }

    /// Any other body.
    pub fn boxed(body: impl http_body::Body<Data = Frame, Error = tonic::Status> + Send + 'static) -> Self {
        Body::Boxed(Box::pin(body))
    }
}

impl http_body::Body for Body {
    type Data = Frame;
    type Error = tonic::Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Frame>, tonic::Status>>> {
        match self.get_mut() {
            Body::Empty => Poll::Ready(None),
            Body::Text(text) => Poll::Ready(text.take().map(|text| Ok(BodyFrame::data(text.into())))),
            Body::Tonic(body) => Pin::new(body).poll_frame(cx).map_ok(|frame| frame.map_data(Frame::from)),
            Body::Deliveries(body) => Pin::new(&mut **body).poll_frame(cx),
            Body::Boxed(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Text(text) => text.is_none(),
            Body::Tonic(body) => body.is_end_stream(),
            Body::Deliveries(body) => body.is_end_stream(),
            Body::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Body::Tonic(body) => body.size_hint(),
            Body::Deliveries(_) => SizeHint::default(),
            Body::Boxed(body) => body.size_hint(),
        }
    }
}

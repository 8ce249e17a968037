//! The body of a Subscribe: a subscription whose messages go out as slices of the log.
//!
//! The body *is* the subscription. hyper polls it when the client can take more, so a slow client
//! is simply not asked; when the client leaves, the body is dropped, and with it the registration.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body::Frame as BodyFrame;
use hyper::body::Incoming;
use prost::Message;
use tonic::Status;

use super::{Caller, Intake, Native, convert};
use crate::api::Body;
use crate::api::frame::{Frame, prefix};
use crate::api::host::Opened;
use crate::api::status::status;
use crate::broker::Delivery;
use crate::error::{Error, Result};
use crate::proto::v1::{SubscribeRequest, SubscribeResponse};
use crate::store::unix_nanos;

/// A subscription as a response body.
pub struct Deliveries {
    opened: Opened,
    /// What was found behind notices and waits for its own frame.
    next: Option<Box<BodyFrame<Frame>>>,
    ended: bool,
}

/// Answers a Subscribe. What of the request is not needed goes before the first wait: a client that
/// opens thousands of subscriptions at once should not cost the memory of thousands of requests.
pub fn subscribe(
    native: Native,
    request: Request<Incoming>,
) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
    let (begun, caller) = (unix_nanos(), Caller::of(&request));
    let body = Intake::single(request.into_body(), &native);
    Box::pin(async move {
        match body.message().await {
            // Opening waits for a store, which most do not have to: a box of its own for the rest.
            Ok(request) => Box::pin(answer(native, caller, request, begun)).await,
            Err(status) => status.into_http(),
        }
    })
}

async fn answer(native: Native, caller: Caller, request: SubscribeRequest, begun: u64) -> Response<Body> {
    match open(&native, caller, request, begun).await {
        Ok(opened) => {
            let body = Deliveries { opened, next: None, ended: false };
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            response
        }
        Err(error) => status(error).into_http(),
    }
}

async fn open(native: &Native, caller: Caller, request: SubscribeRequest, begun: u64) -> Result<Opened> {
    let (name, request) = convert::subscribe(request)?;
    native.subscribe(&name, request, &caller, begun).await
}

impl http_body::Body for Deliveries {
    type Data = Frame;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Frame>, Status>>> {
        let this = self.get_mut();
        if let Some(frame) = this.next.take() {
            return Poll::Ready(Some(Ok(*frame)));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        // Notices come in twos and threes when a subscription opens: each as a frame of its own
        // would cost a slot in the connection's buffers for as long as it lives.
        let mut notices = Vec::new();
        loop {
            let frame = match Pin::new(&mut this.opened).poll_next(cx) {
                Poll::Pending if notices.is_empty() => return Poll::Pending,
                Poll::Pending | Poll::Ready(None) => break,
                Poll::Ready(Some(Ok(Delivery::Messages(mut run)))) => {
                    let written = this.opened.written(&mut run);
                    BodyFrame::data(Frame::message(run.slices, run.bytes).telling(written))
                }
                Poll::Ready(Some(Ok(delivery))) => {
                    convert::notice(delivery).iter().for_each(|notice| put(&mut notices, notice));
                    continue;
                }
                Poll::Ready(Some(Err(error))) => {
                    this.ended = true;
                    BodyFrame::trailers(trailers(error))
                }
            };
            if notices.is_empty() {
                return Poll::Ready(Some(Ok(frame)));
            }
            this.next = Some(Box::new(frame));
            break;
        }
        let notices = (!notices.is_empty()).then(|| Ok(BodyFrame::data(Bytes::from(notices).into())));
        Poll::Ready(notices)
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.next.is_none()
    }
}

/// Appends a notice as a gRPC message.
fn put(out: &mut Vec<u8>, notice: &SubscribeResponse) {
    out.extend_from_slice(&prefix(notice.encoded_len()));
    // A vector grows as it has to, so this cannot fail.
    let _ = notice.encode(out);
}

/// The end of the stream, with its reason.
fn trailers(error: Error) -> HeaderMap {
    let status = status(error);
    let mut trailers = HeaderMap::new();
    if let Err(error) = status.add_header(&mut trailers) {
        tracing::error!(%error, "a status could not be encoded");
    }
    trailers
}

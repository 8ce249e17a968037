//! The body of a Subscribe: a subscription whose messages go out as slices of the log.
//!
//! The body *is* the subscription. hyper polls it when the client can take more, so a slow client
//! is simply not asked; when the client leaves, the body is dropped, and with it the registration.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body::Frame as BodyFrame;
use hyper::body::Incoming;
use prost::Message;
use tonic::Status;

use super::intake::Intake;
use super::subscribing::Subscribing;
use super::written::{Recipient, Written};
use super::{Caller, Native, convert};
use crate::api::Body;
use crate::api::frame::{Frame, prefix};
use crate::api::rights::Stay;
use crate::api::status::status;
use crate::auth::{Action, Resource};
use crate::broker::{Delivery, Subscription};
use crate::error::{Error, Result};
use crate::proto::v1::{SubscribeRequest, SubscribeResponse};
use crate::store::unix_nanos;
use crate::topic::Run;
use crate::trace::Recorder;

/// A subscription as a response body.
pub struct Deliveries {
    subscription: Subscription,
    recorder: Arc<Recorder>,
    /// Its caller's leave to go on, where that had to say who it is.
    stay: Option<Stay>,
    /// Its trace, where it has one.
    subscribing: Option<Box<Subscribing>>,
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
        Ok((subscription, subscribing, stay)) => {
            let recorder = native.broker.recorder().clone();
            let body = Deliveries { subscription, recorder, stay, subscribing, next: None, ended: false };
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            response
        }
        Err(error) => status(error).into_http(),
    }
}

type Opened = (Subscription, Option<Box<Subscribing>>, Option<Stay>);

async fn open(native: &Native, caller: Caller, request: SubscribeRequest, begun: u64) -> Result<Opened> {
    let (name, mut request) = convert::subscribe(request)?;
    if let Some(peer) = caller.peer().cloned() {
        request.peer = Some(peer.address());
        request.eject = Some(Box::new(move || peer.close()));
    }
    native.may(&caller, Action::Subscribe, Resource::Topic(&name))?;
    let account = native.account(&caller);
    request.by = Some(account.clone());
    let subscribing = Subscribing::begin(native.broker.recorder(), &name, &request, &caller, begun);
    let outcome = native.broker.subscribe(&name, request).await;
    let subscribing = subscribing.and_then(|subscribing| subscribing.opened(&outcome));
    match outcome {
        Ok(subscription) => {
            let stay = native.rights.stay(caller.identity(), Action::Subscribe, &name);
            Ok((subscription, subscribing, stay))
        }
        Err(error) => Err(native.admission.in_turn(error, name.namespace(), &account).await),
    }
}

impl Deliveries {
    /// The end of the stream, with its reason.
    fn end(&mut self, error: Error) -> HeaderMap {
        self.ended = true;
        if let Some(subscribing) = self.subscribing.take() {
            subscribing.ended(&error);
        }
        trailers(error)
    }

    /// The frame of a run, which tells of its traced messages when it is written.
    fn frame(&self, mut run: Run) -> BodyFrame<Frame> {
        let written = Written::of(&self.recorder, &mut run, || Recipient {
            topic: self.subscription.topic().clone(),
            epoch: self.subscription.epoch(),
            subscription: self.subscription.id(),
            peer: self.subscription.peer(),
        });
        BodyFrame::data(Frame::message(run.slices, run.bytes).telling(written))
    }
}

impl http_body::Body for Deliveries {
    type Data = Frame;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Frame>, Status>>> {
        let this = self.get_mut();
        let log_span = this.subscribing.as_ref().map(|subscribing| subscribing.log_span().clone());
        let _entered = log_span.as_ref().map(tracing::Span::enter);
        if let Some(frame) = this.next.take() {
            return Poll::Ready(Some(Ok(*frame)));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        if let Some(error) = this.stay.as_ref().and_then(|stay| stay.poll_over(cx)) {
            return Poll::Ready(Some(Ok(BodyFrame::trailers(this.end(error)))));
        }
        // Notices come in twos and threes when a subscription opens: each as a frame of its own
        // would cost a slot in the connection's buffers for as long as it lives.
        let mut notices = Vec::new();
        loop {
            let frame = match Pin::new(&mut this.subscription).poll_next(cx) {
                Poll::Pending if notices.is_empty() => return Poll::Pending,
                Poll::Pending | Poll::Ready(None) => break,
                Poll::Ready(Some(Ok(Delivery::Messages(run)))) => this.frame(run),
                Poll::Ready(Some(Ok(delivery))) => {
                    convert::notice(delivery).iter().for_each(|notice| put(&mut notices, notice));
                    continue;
                }
                Poll::Ready(Some(Err(error))) => {
                    let trailers = this.end(error);
                    BodyFrame::trailers(trailers)
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

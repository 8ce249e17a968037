//! The body of a Subscribe: items encoded from the shared log, many in one frame.
//!
//! The body *is* the subscription, as that of the native API is. What it has encoded and the client has
//! not taken is one buffer of a bounded size, which stands in the memory budget until it is written.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use futures::Stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body::Frame as BodyFrame;
use hyper::body::Incoming;
use prost::Message;
use tonic::Status;

use super::item::{self, OVERHEAD_BYTES};
use super::refusal::refused;
use super::{Caller, Momento, convert};
use crate::api::Body;
use crate::api::frame::{Frame, prefix};
use crate::api::host::Opened;
use crate::api::intake::Intake;
use crate::api::reply::Answer;
use crate::broker::Delivery;
use crate::error::{Code, Error, Result};
use crate::proto::momento::cache_client::pubsub::{
    Discontinuity as WireDiscontinuity, Heartbeat, SubscriptionItem, SubscriptionRequest,
    subscription_item::Kind,
};
use crate::store::unix_nanos;
use crate::topic::{Discontinuity, Run, record};

/// A subscription as a response body.
struct Deliveries {
    opened: Opened,
    momento: Momento,
    /// The end, where it waits behind what came before it.
    end: Option<Box<HeaderMap>>,
    ended: bool,
}

/// Answers a Subscribe. What its metadata say of a timeout is for calls that end.
pub fn subscribe(momento: Momento, request: Request<Incoming>) -> Answer {
    let (begun, caller) = (unix_nanos(), Caller::of(&request));
    let body = Intake::single(request.into_body(), &momento.host);
    Answer::Own(Box::pin(async move {
        match body.message().await {
            // Opening waits for a store, which most do not have to: a box of its own for the rest.
            Ok(request) => Box::pin(answer(momento, caller, request, begun)).await,
            Err(status) => refused(status.into()).into_http(),
        }
    }))
}

async fn answer(
    momento: Momento,
    caller: Caller,
    request: SubscriptionRequest,
    begun: u64,
) -> Response<Body> {
    match open(&momento, &caller, request, begun).await {
        Ok(opened) => {
            let body = Deliveries { opened, momento, end: None, ended: false };
            let mut response = Response::new(Body::boxed(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            response
        }
        Err(error) => refused(error.into()).into_http(),
    }
}

async fn open(
    momento: &Momento,
    caller: &Caller,
    request: SubscriptionRequest,
    begun: u64,
) -> Result<Opened> {
    let (name, request) = convert::subscribe(request, &momento.options)?;
    momento.host.subscribe(&name, request, caller, begun).await
}

impl Deliveries {
    /// The frame of a run, behind the notices that are there already.
    /// Errors: the memory budget has no room for it, and the client has to resume.
    fn frame(&self, mut out: Vec<u8>, mut run: Run) -> Result<Frame> {
        let written = self.opened.written(&mut run);
        let page = self.opened.subscription().epoch();
        out.reserve(run.bytes + OVERHEAD_BYTES);
        for slice in &run.slices {
            record::messages(slice).for_each(|view| item::put(&mut out, &view, page));
        }
        Ok(self.opened.hold(out)?.telling(written))
    }

    /// The end of the stream, for a client that decides by the code whether to come back: a topic that is
    /// gone while its cache is there is only a new page of it.
    fn end(&mut self, error: Error) -> HeaderMap {
        let topic = self.opened.subscription().topic();
        let is_new_page =
            error.code() == Code::NotFound && self.momento.host.broker.has_namespace(topic.namespace());
        let error = match is_new_page {
            true => {
                Error::new(Code::Unavailable, "the topic was deleted; subscribe again for a new page of it")
                    .reason("TOPIC_DELETED")
            }
            false => error,
        };
        self.ended = true;
        let mut trailers = HeaderMap::new();
        if let Err(error) = refused(error.into()).add_header(&mut trailers) {
            tracing::error!(%error, "a status could not be encoded");
        }
        trailers
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
        if let Some(trailers) = this.end.take() {
            return Poll::Ready(Some(Ok(BodyFrame::trailers(*trailers))));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        let mut bytes = Vec::new();
        loop {
            match Pin::new(&mut this.opened).poll_next(cx) {
                Poll::Pending if bytes.is_empty() => return Poll::Pending,
                Poll::Pending | Poll::Ready(None) => break,
                Poll::Ready(Some(Ok(Delivery::Messages(run)))) => {
                    let frame = this.frame(bytes, run).map(BodyFrame::data);
                    let frame = frame.unwrap_or_else(|error| BodyFrame::trailers(this.end(error)));
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(Some(Ok(notice))) => put_notice(&mut bytes, &notice),
                Poll::Ready(Some(Err(error))) => {
                    let trailers = this.end(error);
                    if bytes.is_empty() {
                        return Poll::Ready(Some(Ok(BodyFrame::trailers(trailers))));
                    }
                    this.end = Some(Box::new(trailers));
                    break;
                }
            }
        }
        if bytes.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(BodyFrame::data(Bytes::from(bytes).into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.end.is_none()
    }
}

/// Appends what clients are told beside items; of the rest they know nothing.
fn put_notice(out: &mut Vec<u8>, notice: &Delivery) {
    let kind = match notice {
        Delivery::Opened { .. } | Delivery::Heartbeat(..) => Kind::Heartbeat(Heartbeat {}),
        Delivery::Discontinuity(gap) => Kind::Discontinuity(discontinuity(gap)),
        Delivery::Messages(_) | Delivery::CaughtUp(_) | Delivery::Draining(_) => return,
    };
    let item = SubscriptionItem { kind: Some(kind) };
    out.put_slice(&prefix(item.encoded_len()));
    out.put_slice(&item.encode_to_vec());
}

/// Clients resume at the new sequence, or one behind it: it is the last that will not come.
pub fn discontinuity(gap: &Discontinuity) -> WireDiscontinuity {
    let Discontinuity { reason: _, last_delivered, next } = gap;
    WireDiscontinuity {
        last_topic_sequence: last_delivered.map_or(0, |last| last.sequence),
        new_topic_sequence: next.sequence.saturating_sub(1),
        new_sequence_page: next.epoch,
    }
}

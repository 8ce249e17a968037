//! Publish and PublishStream.
//!
//! A stream's requests are worked on in the order they come in and answered in that order, one
//! response each; a refused batch is a response too, and the stream lives on.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::{self, BoxStream, Stream, StreamExt};
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::codec::BufferSettings;
use tonic::codegen::Service;
use tonic::server::Grpc;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use super::{Caller, Intake, Native, convert};
use crate::api::caller::log_span;
use crate::api::observe::Observer;
use crate::api::status::{message, own_code, readable, status, undecoded};
use crate::error::{Code, Result};
use crate::limits::{PUBLISH_BUFFER_BYTES, PUBLISH_PIPELINE_MAX, PUBLISH_YIELD_BYTES};
use crate::proto::v1::{PublishRequest, PublishResponse};
use crate::store::{Receipt, unix_nanos};
use crate::topic::{TopicName, TraceContext};

type Answer<T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send>>;
type Prost = ProstCodec<PublishResponse, PublishRequest>;

/// Prost's codec, with buffers that are small until a message needs more.
struct Codec;

impl tonic::codec::Codec for Codec {
    type Encode = PublishResponse;
    type Decode = PublishRequest;
    type Encoder = <Prost as tonic::codec::Codec>::Encoder;
    type Decoder = <Prost as tonic::codec::Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        Prost::raw_encoder(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        Prost::raw_decoder(buffers())
    }
}

/// What is read and written at first, and how much is written at once.
fn buffers() -> BufferSettings {
    BufferSettings::new(PUBLISH_BUFFER_BYTES, PUBLISH_YIELD_BYTES)
}

/// Answers a Publish.
pub async fn publish(
    native: Native,
    request: Request<Incoming>,
) -> Result<Response<tonic::body::Body>, Infallible> {
    let caller = Caller::of(&request);
    let request = request.map(|body| Intake::single(body, &native));
    Ok(readable(grpc(&native).unary(Publish(native, caller), request).await))
}

/// Answers a PublishStream.
pub async fn publish_stream(
    native: Native,
    request: Request<Incoming>,
) -> Result<Response<tonic::body::Body>, Infallible> {
    // The context of a stream that may live for months is not that of each message in it.
    let caller = Caller::of(&request).without_context();
    let method = request.uri().path().to_owned();
    let request = request.map(|body| Intake::stream(body, &native));
    let (grpc, observer) = (grpc(&native), Observer::new(&native.broker));
    let line = Arc::new(Line { native, caller, method, observer });
    Ok({ grpc }.streaming(PublishStream(line), request).await)
}

fn grpc(native: &Native) -> Grpc<Codec> {
    Grpc::new(Codec).max_decoding_message_size(native.max_message_bytes)
}

struct Publish(Native, Caller);

impl Service<tonic::Request<PublishRequest>> for Publish {
    type Response = tonic::Response<PublishResponse>;
    type Error = Status;
    type Future = Answer<PublishResponse>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<PublishRequest>) -> Self::Future {
        let (native, caller) = (self.0.clone(), self.1.clone());
        Box::pin(async move {
            let (outcome, _) = append(&native, request.into_inner(), &caller).await;
            let receipt = outcome.map_err(status)?;
            Ok(tonic::Response::new(response(receipt)))
        })
    }
}

struct PublishStream(Arc<Line>);

/// What all requests of a stream have in common.
struct Line {
    native: Native,
    caller: Caller,
    method: String,
    observer: Observer,
}

impl Line {
    /// The response to one request; the status where the stream cannot go on.
    async fn answer(&self, request: Result<PublishRequest, Status>) -> Result<PublishResponse, Status> {
        let refused = |context: Option<TraceContext>, code, message: &str| {
            let _entered = context.map(|context| log_span(context).entered());
            self.observer.refused(&self.method, &self.caller, code, message);
        };
        let request = request.map_err(|failure| {
            let failure = undecoded(failure);
            refused(None, own_code(failure.code()), failure.message());
            failure
        })?;
        match append(&self.native, request, &self.caller).await {
            (Ok(receipt), _) => Ok(response(receipt)),
            // What proves the caller has expired: nothing that it sends on this stream can be accepted.
            (Err(error), _) if error.code() == Code::Unauthenticated => Err(status(error)),
            (Err(error), context) => {
                refused(context, error.code(), error.message());
                Ok(PublishResponse { status: Some(message(error)), ..Default::default() })
            }
        }
    }
}

impl Service<tonic::Request<Streaming<PublishRequest>>> for PublishStream {
    type Response = tonic::Response<BoxStream<'static, Result<PublishResponse, Status>>>;
    type Error = Status;
    type Future = Answer<BoxStream<'static, Result<PublishResponse, Status>>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Streaming<PublishRequest>>) -> Self::Future {
        let line = self.0.clone();
        let goodbye = goodbye(line.native.clone());
        let requests = until_drained(request.into_inner(), &line.native);
        let answers = requests.map(move |request| {
            let line = line.clone();
            async move { line.answer(request).await }
        });
        let answers = answers.buffered(PUBLISH_PIPELINE_MAX).chain(goodbye).boxed();
        Box::pin(async move { Ok(tonic::Response::new(answers)) })
    }
}

/// The requests of a stream until the broker drains. A client that sends nothing would otherwise
/// hold up the end of the server.
fn until_drained(
    mut requests: Streaming<PublishRequest>,
    native: &Native,
) -> impl Stream<Item = Result<PublishRequest, Status>> + Send + use<> {
    let mut drained = Box::pin(native.broker.drained());
    stream::poll_fn(move |cx| match requests.poll_next_unpin(cx) {
        Poll::Pending => drained.as_mut().poll(cx).map(|()| None),
        next => next,
    })
}

/// The end of a stream: its reason, if the broker drains.
fn goodbye(native: Native) -> impl Stream<Item = Result<PublishResponse, Status>> + Send {
    let reason = async move { native.broker.check_open().err().map(|error| Err(status(error))) };
    stream::once(reason).filter_map(std::future::ready)
}

/// Publishes; and the context of the publish's span, where it is traced.
async fn append(
    native: &Native,
    request: PublishRequest,
    caller: &Caller,
) -> (Result<Receipt>, Option<TraceContext>) {
    let accepted = unix_nanos();
    let PublishRequest { namespace, topic, messages } = request;
    let name = match TopicName::parse(&namespace, &topic) {
        Ok(name) => name,
        Err(error) => return (Err(error), None),
    };
    native.publish(&name, convert::messages(messages, caller.publisher()), caller, accepted).await
}

fn response(receipt: Receipt) -> PublishResponse {
    let Receipt { epoch, first, last, bytes: _ } = receipt;
    PublishResponse { epoch, first_sequence: first, last_sequence: last, status: None }
}

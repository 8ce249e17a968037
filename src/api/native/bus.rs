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
use tonic::codegen::Service;
use tonic::server::Grpc;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use super::intake::Intake;
use super::publishing::Publishing;
use super::{Caller, Native, convert};
use crate::api::observe::Observer;
use crate::api::status::{message, readable, status, undecoded};
use crate::error::Result;
use crate::limits::PUBLISH_PIPELINE_MAX;
use crate::metrics::Durations;
use crate::proto::v1::{PublishRequest, PublishResponse};
use crate::store::{Receipt, unix_nanos};
use crate::topic::TopicName;

type Answer<T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send>>;
type Codec = ProstCodec<PublishResponse, PublishRequest>;

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
    Ok(grpc(&native).streaming(PublishStream { native, caller, method }, request).await)
}

fn grpc(native: &Native) -> Grpc<Codec> {
    Grpc::new(Codec::default()).max_decoding_message_size(native.max_message_bytes)
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
            let receipt = append(&native, request.into_inner(), &caller).await.map_err(status)?;
            Ok(tonic::Response::new(response(receipt)))
        })
    }
}

struct PublishStream {
    native: Native,
    caller: Caller,
    method: String,
}

impl Service<tonic::Request<Streaming<PublishRequest>>> for PublishStream {
    type Response = tonic::Response<BoxStream<'static, Result<PublishResponse, Status>>>;
    type Error = Status;
    type Future = Answer<BoxStream<'static, Result<PublishResponse, Status>>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Streaming<PublishRequest>>) -> Self::Future {
        let native = self.native.clone();
        let goodbye = goodbye(native.clone());
        let line = Arc::new((native.clone(), self.caller.clone(), self.method.clone()));
        let answers = until_drained(request.into_inner(), &native).map(move |request| {
            let line = line.clone();
            async move {
                let (native, caller, method) = &*line;
                match append(native, request.map_err(undecoded)?, caller).await {
                    Ok(receipt) => Ok(response(receipt)),
                    Err(error) => {
                        let observer = Observer::new(&native.broker);
                        observer.refused(method, caller, error.code(), error.message());
                        Ok(PublishResponse { status: Some(message(error)), ..Default::default() })
                    }
                }
            }
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

async fn append(native: &Native, request: PublishRequest, caller: &Caller) -> Result<Receipt> {
    let (accepted, broker) = (unix_nanos(), &*native.broker);
    let PublishRequest { namespace, topic, mut messages } = request;
    let name = TopicName::parse(&namespace, &topic)?;
    let publishing = Publishing::begin(broker, &name, &mut messages, caller, accepted);
    let batch = convert::batch(messages).map(|batch| {
        let carried = publishing.as_ref().map(|publishing| publishing.carried(broker, &name));
        batch.accepted_at(accepted).traced_by(carried)
    });
    let outcome = match &batch {
        Ok(batch) => broker.publish(&name, batch).await,
        Err(error) => Err(error.clone()),
    };
    Durations::record(&broker.metrics().durations().publish, accepted, unix_nanos());
    if let Some(publishing) = publishing {
        publishing.end(broker, &name, batch.as_ref().ok(), &outcome, caller);
    }
    outcome
}

fn response(receipt: Receipt) -> PublishResponse {
    let Receipt { epoch, first, last, bytes: _ } = receipt;
    PublishResponse { epoch, first_sequence: first, last_sequence: last, status: None }
}

//! A call with one message each way: decoded, handed to its handler, answered.

use std::future::ready;

use bytes::{BufMut, Bytes};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use prost::Message;

use super::refusal::refused;
use super::{Caller, Momento};
use crate::api::Body;
use crate::api::frame::{Frame, PREFIX_BYTES, prefix};
use crate::api::intake::Intake;
use crate::api::reply::Answer;
use crate::error::Result;
use crate::store::unix_nanos;

/// What a handler knows of its call, beside the message.
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// When it came, unix nanoseconds.
    pub begun: u64,
    /// Where it went: host and port, as the client has it.
    pub authority: String,
}

/// Answers a call with what the handler makes of its message.
pub fn answer<Q, A, F>(
    momento: Momento,
    request: Request<Incoming>,
    handler: impl FnOnce(Momento, Call, Q) -> F + Send + 'static,
) -> Answer
where
    Q: Message + Default + 'static,
    A: Message,
    F: Future<Output = Result<A>> + Send,
{
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let call = Call { caller: Caller::of(&request), begun: unix_nanos(), authority };
    let body = Intake::single(request.into_body(), &momento.host);
    Answer::Own(Box::pin(async move {
        let message = match body.message::<Q>().await {
            Ok(message) => message,
            Err(status) => return refused(status.into()).into_http(),
        };
        match handler(momento, call, message).await {
            Ok(answer) => response(&answer),
            Err(error) => refused(error.into()).into_http(),
        }
    }))
}

fn response(message: &impl Message) -> Response<Body> {
    let bytes = message.encoded_len();
    let mut encoded = Vec::with_capacity(PREFIX_BYTES + bytes);
    encoded.put_slice(&prefix(bytes));
    encoded.put_slice(&message.encode_to_vec());
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Frame::from(Bytes::from(encoded)))
        .map_err(|never| match never {})
        .with_trailers(ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::boxed(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

//! Momento's HTTP: `POST /topics/{cache}/{topic}` publishes what the body is, and `GET` waits until there
//! is something behind the sequence that is asked for.

use std::pin::Pin;
use std::task::Poll;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::Stream;
use futures::future::poll_fn;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::convert;
use super::deliveries::discontinuity;
use super::item::{is_text, publisher_id};
use crate::api::Body;
use crate::api::caller::Caller;
use crate::api::host::{Host, Opened};
use crate::api::http::{Query, body, topic_name};
use crate::broker::{Delivery, Subscribe};
use crate::error::{Error, Result};
use crate::limits::MOMENTO_BATCH_BYTES;
use crate::proto::momento::cache_client::pubsub::{
    Discontinuity as WireDiscontinuity, PublishRequest, TopicValue, topic_value::Kind,
};
use crate::store::unix_nanos;
use crate::topic::media::media_type;
use crate::topic::record::View;
use crate::topic::{Message, TopicName, record};

/// Answers a request of one of the two methods. A long poll without a place begins with the newest message.
pub async fn answer(host: Host, request: Request<Incoming>) -> Result<Response<Body>> {
    let name = topic_name(request.uri().path())?;
    if request.uri().path().starts_with("/topics//") {
        return Err(Error::field("cache_name", "has to be given"));
    }
    match *request.method() {
        Method::POST => publish(host, name, request).await,
        _ => poll(host, name, request).await,
    }
}

async fn publish(host: Host, name: TopicName, request: Request<Incoming>) -> Result<Response<Body>> {
    let (accepted, caller) = (unix_nanos(), Caller::of(&request));
    let (head, sent) = request.into_parts();
    Query::parse(&head.uri, &[])?;
    let kind = kind(&head.headers)?;
    let value = Some(TopicValue { kind: Some(kind(body::read(&host, sent).await?)?) });
    let (cache_name, topic) = (name.namespace().to_string(), name.topic().to_owned());
    let (name, message) = convert::publish(PublishRequest { cache_name, topic, value })?;
    let messages = vec![Message { publisher: caller.publisher().cloned(), ..message }];
    host.publish(&name, Ok(messages), &caller, accepted).await.0?;
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// What the body is, as its type says.
fn kind(headers: &HeaderMap) -> Result<fn(Bytes) -> Result<Kind>> {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match media_type(text).to_ascii_lowercase().as_str() {
        "text/plain" => Ok(|body| match String::from_utf8(body.into()) {
            Ok(text) => Ok(Kind::Text(text)),
            Err(_) => Err(Error::field("body", "has to be UTF-8; send application/octet-stream otherwise")),
        }),
        "application/octet-stream" => Ok(|body| Ok(Kind::Binary(body))),
        _ => Err(Error::field("content-type", "has to be text/plain or application/octet-stream")),
    }
}

async fn poll(host: Host, name: TopicName, request: Request<Incoming>) -> Result<Response<Body>> {
    let (begun, caller) = (unix_nanos(), Caller::of(&request));
    let query = Query::parse(request.uri(), &["sequence_number", "sequence_page"])?;
    let number = |name| query.read::<u64>(name, "a number of 0 or more").map(Option::unwrap_or_default);
    let start = convert::start(number("sequence_number")?, number("sequence_page")?, true);
    let wishes = Subscribe { start, max_batch_bytes: Some(MOMENTO_BATCH_BYTES), ..Subscribe::default() };
    let mut opened = host.subscribe(&name, wishes, &caller, begun).await?;
    let items = news(&mut opened).await?;
    let mut response = Response::new(Body::text(json!({ "items": items }).to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// What there is to tell, once there is something.
async fn news(opened: &mut Opened) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let page = opened.subscription().epoch();
    poll_fn(move |cx| {
        loop {
            match Pin::new(&mut *opened).poll_next(cx) {
                Poll::Pending | Poll::Ready(None) if !items.is_empty() => break,
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => break,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(Some(Ok(Delivery::Discontinuity(gap)))) => {
                    let WireDiscontinuity { last_topic_sequence, new_topic_sequence, new_sequence_page } =
                        discontinuity(&gap);
                    items.push(json!({ "discontinuity": {
                        "last_topic_sequence": last_topic_sequence,
                        "new_topic_sequence": new_topic_sequence,
                        "new_sequence_page": new_sequence_page,
                    }}));
                }
                Poll::Ready(Some(Ok(Delivery::Messages(mut run)))) => {
                    // An answer is no stream whose writing could be followed.
                    if let Some(written) = opened.written(&mut run) {
                        written.done();
                    }
                    let views = run.slices.iter().flat_map(|slice| record::messages(slice));
                    items.extend(views.map(|view| item(&view, page)));
                    break;
                }
                Poll::Ready(Some(Ok(_))) => {}
            }
        }
        Poll::Ready(Ok(std::mem::take(&mut items)))
    })
    .await
}

fn item(view: &View<'_>, page: u64) -> Value {
    let value = match view.text().filter(|_| is_text(view)) {
        Some(text) => json!({ "text": text }),
        None => json!({ "binary": STANDARD.encode(view.payload) }),
    };
    let mut item = json!({ "topic_sequence_number": view.sequence, "sequence_page": page, "value": value });
    let publisher = publisher_id(view.publisher);
    if !publisher.is_empty() {
        item["publisher_id"] = publisher.into();
    }
    json!({ "item": item })
}

//! `POST /v1/{namespace}/{topic}`: publishes what the body is.
//!
//! One message, whose payload is the body and whose other parts are headers; one or a list in JSON; or
//! CloudEvents 1.0, in binary mode (`ce-…` headers), structured, or as a batch.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::media::Form;
use super::message::{Event, Written, event, many, one};
use super::{Query, body, topic_name};
use crate::api::Body;
use crate::api::caller::Caller;
use crate::api::host::Host;
use crate::error::{Error, Result};
use crate::store::{Receipt, unix_nanos};
use crate::topic::{Message, Position, TopicName, cloudevent};

const KEY: &str = "bugle-key";
const ID: &str = "bugle-id";
const ATTRIBUTE: &str = "bugle-attribute-";
const EVENT: &str = "ce-specversion";

/// Where what was published is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Published {
    /// Which history of the topic.
    pub epoch: u64,
    /// The sequence of the first message.
    pub first: u64,
    /// The sequence of the last message.
    pub last: u64,
    /// The position of the last message, behind which a reader can go on.
    pub position: String,
}

/// Publishes, and says where it is.
pub async fn answer(host: Host, request: Request<Incoming>) -> Result<Response<Body>> {
    let (accepted, caller) = (unix_nanos(), Caller::of(&request));
    let (head, sent) = request.into_parts();
    let name = topic_name(head.uri.path())?;
    Query::parse(&head.uri, &[])?;
    check(&head.headers)?;
    let payload = body::read(&host, sent).await?;
    let published = publish(&host, &name, messages(&head, payload), &caller, accepted).await?;
    let mut response = Response::new(Body::text(serde_json::to_vec(&published).unwrap_or_default()));
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

/// Publishes these messages of a caller.
pub async fn publish(
    host: &Host,
    name: &TopicName,
    messages: Result<Vec<Message>>,
    caller: &Caller,
    accepted: u64,
) -> Result<Published> {
    let by = |message| Message { publisher: caller.publisher().cloned(), ..message };
    let messages = messages.map(|messages| messages.into_iter().map(by).collect());
    let Receipt { epoch, first, last, bytes: _ } = host.publish(name, messages, caller, accepted).await.0?;
    Ok(Published { epoch, first, last, position: Position::new(epoch, last).to_string() })
}

/// Whether a body with these headers can be read. Errors: it is compressed.
fn check(headers: &HeaderMap) -> Result<()> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            let description = "compressed bodies are not taken; send it uncompressed";
            Err(Error::field("content-encoding", description).reason("CONTENT_TYPE"))
        }
        _ => Ok(()),
    }
}

fn messages(head: &Parts, body: bytes::Bytes) -> Result<Vec<Message>> {
    let content_type = text(&head.headers, CONTENT_TYPE.as_str())?.unwrap_or_default();
    let numbered = |field: &str, all: Vec<Result<Message>>| {
        let under =
            |(at, one): (usize, Result<Message>)| one.map_err(|error| error.under(&format!("{field}[{at}]")));
        all.into_iter().enumerate().map(under).collect()
    };
    match Form::of(&content_type) {
        Form::Message => Ok(vec![one::<Written>(&body)?.message()?]),
        Form::Messages => {
            numbered("messages", many::<Written>(&body)?.into_iter().map(Written::message).collect())
        }
        Form::Event => Ok(vec![event(one::<Event>(&body)?)?]),
        Form::Events => numbered("events", many::<Event>(&body)?.into_iter().map(event).collect()),
        Form::Payload if head.headers.contains_key(EVENT) => {
            Ok(vec![cloudevent::message(prefixed(&head.headers, cloudevent::PREFIX)?, content_type, body)?])
        }
        Form::Payload => Ok(vec![single(&head.headers, content_type, body)?]),
        Form::Unknown => {
            let description = format!(
                "is {content_type:.80?}; CloudEvents are understood as application/cloudevents+json, \
                 application/cloudevents-batch+json, or with ce- headers"
            );
            Err(Error::field("content-type", description).reason("CONTENT_TYPE"))
        }
    }
}

/// The message whose payload is a body, and whose other parts are headers.
fn single(headers: &HeaderMap, content_type: String, payload: bytes::Bytes) -> Result<Message> {
    let id = text(headers, ID)?.map(|id| id.parse::<Uuid>()).transpose();
    let id = id.map_err(|_| Error::field(ID, "has to be a UUID, or be left out"))?;
    let (key, attributes) = (text(headers, KEY)?.unwrap_or_default(), prefixed(headers, ATTRIBUTE)?);
    let attributes = attributes.into_iter().collect();
    Ok(Message { id, key, attributes, payload, content_type, ..Message::default() })
}

/// The value of a header, percent-decoded. Errors: it is there twice, or no text.
fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| decoded(name, value)).transpose()?;
    if values.next().is_some() {
        return Err(Error::field(name, "is there twice; send it once"));
    }
    Ok(value)
}

/// The headers whose names begin so, each once: the rest of its name, and its value.
fn prefixed(headers: &HeaderMap, prefix: &str) -> Result<Vec<(String, String)>> {
    let named = headers.keys().filter_map(|name| Some((name, name.as_str().strip_prefix(prefix)?)));
    let pairs =
        named.map(|(name, rest)| Ok((rest.to_owned(), text(headers, name.as_str())?.unwrap_or_default())));
    pairs.collect()
}

fn decoded(name: &str, value: &http::HeaderValue) -> Result<String> {
    let wrong = || Error::field(name, "has to be ASCII, with anything else percent-encoded as UTF-8");
    let text = value.to_str().map_err(|_| wrong())?;
    if name == CONTENT_TYPE.as_str() {
        return Ok(text.to_owned());
    }
    percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).map_err(|_| wrong())
}

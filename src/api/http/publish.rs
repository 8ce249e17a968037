//! `POST /v1/{namespace}/{topic}`: publishes what the body is.

use http::{Request, Response};
use hyper::body::Incoming;

use super::{Query, body, topic_name};
use crate::api::Body;
use crate::api::caller::Caller;
use crate::api::host::Host;
use crate::error::{Error, Result};
use crate::store::{Receipt, unix_nanos};
use crate::topic::{Message, Position};

/// Publishes, and says where it is.
pub async fn answer(host: Host, request: Request<Incoming>) -> Result<Response<Body>> {
    let (accepted, caller) = (unix_nanos(), Caller::of(&request));
    let (head, sent) = request.into_parts();
    let name = topic_name(head.uri.path())?;
    Query::parse(&head.uri, &[])?;
    let payload = body::read(&host, sent).await?;
    let content_type = match head.headers.get(http::header::CONTENT_TYPE) {
        Some(value) => {
            value.to_str().map_err(|_| Error::field("content-type", "has to be ASCII"))?.to_owned()
        }
        None => String::new(),
    };
    let message =
        Message { payload, content_type, publisher: caller.publisher().cloned(), ..Message::default() };
    let (outcome, _) = host.publish(&name, Ok(vec![message]), &caller, accepted).await;
    let Receipt { epoch, first, last, bytes: _ } = outcome?;
    let text = format!(
        "{{\"first\":\"{}\",\"last\":\"{}\"}}\n",
        Position::new(epoch, first),
        Position::new(epoch, last)
    );
    let mut response = Response::new(Body::text(text));
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}

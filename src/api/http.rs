//! What is asked for in HTTP and is no call of gRPC: which path is whose.
//!
//! Whoever answers makes [`Answer`]s of its own; refusals are [`status::http`].

mod body;
mod media;
mod message;
mod path;
mod publish;

use http::{Method, Request};
use hyper::body::Incoming;

pub use path::{Query, token, topic_name};

use super::host::Host;
use super::reply::Answer;
use super::status;
use crate::error::{Code, Error};

/// What lies under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A topic: publish, and subscribe.
    Topic,
}

impl Resource {
    /// What lies under this path, if that is anything.
    pub fn at(path: &str) -> Option<Resource> {
        path.starts_with("/v1/").then_some(Resource::Topic)
    }

    /// Whether it answers only to those who say who they are.
    pub fn wants_to_know(self) -> bool {
        match self {
            Resource::Topic => true,
        }
    }

    /// How its paths look, for metrics and traces.
    pub fn pattern(self) -> &'static str {
        match self {
            Resource::Topic => "/v1/{namespace}/{topic}",
        }
    }
}

/// Answers a request for what lies there.
pub fn answer(host: Host, resource: Resource, request: Request<Incoming>) -> Answer {
    match (resource, request.method()) {
        (Resource::Topic, &Method::POST) => {
            Answer::Own(Box::pin(
                async move { publish::answer(host, request).await.unwrap_or_else(status::http) },
            ))
        }
        (Resource::Topic, _) => wrong_method("POST"),
    }
}

/// The refusal of a method that a resource has not, with those that it has.
fn wrong_method(allowed: &'static str) -> Answer {
    let message = format!("this is asked for with {allowed}");
    let mut response = status::http(Error::new(Code::Unimplemented, message).reason("METHOD_NOT_ALLOWED"));
    response.headers_mut().insert(http::header::ALLOW, http::HeaderValue::from_static(allowed));
    Answer::Ready(Some(response))
}

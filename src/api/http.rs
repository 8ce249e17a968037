//! What is asked for in HTTP and is no call of gRPC: which path is whose.
//!
//! Whoever answers makes [`Answer`]s of its own; refusals are [`status::http`].

pub mod body;
mod description;
mod events;
mod json;
mod media;
mod message;
mod path;
mod publish;
mod socket;

use std::pin::Pin;

use http::{Method, Request, Response};
use hyper::body::Incoming;

pub use json::time;
pub use path::{Query, token, topic_name};

use super::console::Console;
use super::host::Host;
use super::reply::Answer;
use super::{Body, momento, status};
use crate::error::{Code, Error, Result};

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>>> + Send>>;

/// What lies under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A topic: publish, and subscribe.
    Topic,
    /// The same as clients of Momento's HTTP have it.
    Momento,
    /// A file of the console's page.
    Page,
    /// What the console shows, as JSON.
    Shown,
    /// What is here, for programs that read OpenAPI.
    Description,
}

impl Resource {
    /// What lies under this path, if that is anything.
    pub fn at(path: &str) -> Option<Resource> {
        match path {
            "/" => Some(Resource::Page),
            "/openapi.json" => Some(Resource::Description),
            _ if path.starts_with("/v1/") => Some(Resource::Topic),
            _ if path.starts_with("/topics/") => Some(Resource::Momento),
            _ if path.starts_with("/console/") => Some(Resource::Page),
            _ if path.starts_with("/admin/v1/") => Some(Resource::Shown),
            _ => None,
        }
    }

    /// Whether it answers only to those who say who they are.
    pub fn wants_to_know(self) -> bool {
        match self {
            Resource::Topic | Resource::Momento | Resource::Shown => true,
            Resource::Page | Resource::Description => false,
        }
    }

    /// How its paths look, for metrics and traces.
    pub fn pattern(self) -> &'static str {
        match self {
            Resource::Topic => "/v1/{namespace}/{topic}",
            Resource::Momento => "/topics/{cache}/{topic}",
            Resource::Page => "/console/{file}",
            Resource::Shown => "/admin/v1/{resource}",
            Resource::Description => "/openapi.json",
        }
    }
}

/// Answers a request for what lies there.
pub fn answer(host: &Host, console: &Console, resource: Resource, request: Request<Incoming>) -> Answer {
    let host = host.clone();
    let answering: Answering = match (resource, request.method()) {
        (Resource::Topic, &Method::POST) => Box::pin(publish::answer(host, request)),
        (Resource::Topic, &Method::GET) if socket::is_asked_for(request.headers()) => {
            Box::pin(socket::answer(host, request))
        }
        (Resource::Topic, &Method::GET) => Box::pin(events::answer(host, request)),
        (Resource::Momento, &Method::GET | &Method::POST) => Box::pin(momento::http::answer(host, request)),
        (Resource::Topic | Resource::Momento, _) => return wrong_method("GET, POST"),
        (Resource::Page, &Method::GET | &Method::HEAD) => return ready(console.page(&request)),
        (Resource::Shown, &Method::GET | &Method::HEAD) => return ready(console.shown(&request)),
        (Resource::Description, &Method::GET | &Method::HEAD) => {
            return Answer::Ready(Some(description::answer()));
        }
        (Resource::Page | Resource::Shown | Resource::Description, _) => return wrong_method("GET, HEAD"),
    };
    Answer::Own(Box::pin(async move { answering.await.unwrap_or_else(status::http) }))
}

/// An answer that is known already.
fn ready(outcome: Result<Response<Body>>) -> Answer {
    Answer::Ready(Some(outcome.unwrap_or_else(status::http)))
}

/// The refusal of a method that a resource has not, with those that it has.
fn wrong_method(allowed: &'static str) -> Answer {
    let message = format!("this is asked for with {allowed}");
    let mut response = status::http(Error::new(Code::Unimplemented, message).reason("METHOD_NOT_ALLOWED"));
    response.headers_mut().insert(http::header::ALLOW, http::HeaderValue::from_static(allowed));
    Answer::Ready(Some(response))
}

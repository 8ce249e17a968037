//! The console: a page at `/` that shows the topics as they live, and the JSON it is made of, under
//! `/admin/v1`.
//!
//! The page is in the binary, asks nobody but this server, and is shown to everybody: it holds nothing.
//! What it asks for is answered as the services Admin and Monitor answer it, to those who may see it.

mod asked;
mod file;
mod shown;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use serde::Serialize;

use super::body::Body;
use super::native::{Asked as Call, Native};
use crate::error::{Code, Error, Result};
use crate::proto::v1::{GetTopicRequest, ListNamespacesRequest, ListSubscriptionsRequest, ListTopicsRequest};
use asked::Asked;
use file::Files;

/// Where the JSON is.
const DATA: &str = "/admin/v1/";

/// The console of a server. The page can be switched off; the JSON is there in any case, as the services
/// are that say the same.
pub struct Console {
    native: Native,
    files: Option<Files>,
}

impl Console {
    /// On these services, with its page or without.
    pub fn new(native: Native, has_page: bool) -> Console {
        Console { native, files: has_page.then(Files::new) }
    }

    /// A file of the page, which needs no credential; `None` where the path is none of them.
    pub fn page<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let file = self.files.as_ref()?.find(request.uri().path())?;
        Some(match *request.method() {
            Method::GET | Method::HEAD => file.answer(request),
            _ => only_get(),
        })
    }

    /// Whether this is a path of the JSON, which only those are answered who may see what they ask for.
    pub fn has(path: &str) -> bool {
        path.starts_with(DATA)
    }

    /// Answers a request for JSON, whose caller is known.
    pub fn data<B>(&self, request: &Request<B>) -> Result<Response<Body>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(only_get());
        }
        let (path, native) = (request.uri().path(), &self.native);
        let call = Call::by(native, request.extensions());
        let asked = Asked::read(path.strip_prefix(DATA).unwrap_or_default(), request.uri().query())?;
        let Asked { path: names, prefix, page_size, page_token } = asked;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match names[..] {
            ["server"] => json(&shown::server(native.server(&call)?)),
            ["namespaces"] => {
                let request = ListNamespacesRequest { page_size, page_token };
                json(&shown::namespaces(native.namespaces(&call, request)?))
            }
            ["topics", namespace] => {
                let namespace = namespace.to_owned();
                let request = ListTopicsRequest { namespace, prefix, page_size, page_token };
                json(&shown::topics(native.topics(&call, request)?))
            }
            ["topics", namespace, ref topic @ ..] => {
                let (namespace, topic) = (namespace.to_owned(), topic.join("/"));
                json(&shown::topic(native.topic(&call, GetTopicRequest { namespace, topic })?))
            }
            ["subscriptions", namespace, ref topic @ ..] if !topic.is_empty() => {
                let (namespace, topic) = (namespace.to_owned(), topic.join("/"));
                let request = ListSubscriptionsRequest { namespace, topic, page_size };
                json(&shown::subscriptions(native.subscriptions(&call, request)?))
            }
            _ => Err(unknown(path)),
        }
    }
}

fn json(shown: &impl Serialize) -> Result<Response<Body>> {
    let text = serde_json::to_vec(shown).map_err(|error| {
        Error::new(Code::Internal, "what was asked for could not be written as JSON").because(error)
    })?;
    let mut response = Response::new(Body::text(text));
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    set(&mut response, headers);
    Ok(response)
}

/// Headers of a response.
fn set<const COUNT: usize>(response: &mut Response<Body>, headers: [(HeaderName, &'static str); COUNT]) {
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

fn only_get() -> Response<Body> {
    let mut response = Response::new(Body::text("This is to be read: ask for it with GET.\n"));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    set(&mut response, [(ALLOW, "GET, HEAD"), (CONTENT_TYPE, "text/plain; charset=utf-8")]);
    response
}

fn unknown(path: &str) -> Error {
    let message = format!(
        "{path} is not here; there are /admin/v1/server, /admin/v1/namespaces, /admin/v1/topics/NAMESPACE, \
         /admin/v1/topics/NAMESPACE/TOPIC and /admin/v1/subscriptions/NAMESPACE/TOPIC"
    );
    Error::new(Code::NotFound, message).reason("PATH_NOT_FOUND")
}

//! The console: a page at `/` that shows the topics as they live, and the JSON it is made of, under
//! `/admin/v1`.
//!
//! The page is in the binary, asks nobody but this server, and is shown to everybody: it holds nothing.
//! What it asks for is answered as the services Admin and Monitor answer it, to those who may see it.

mod asked;
mod file;
pub mod shown;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Request, Response};
use serde::Serialize;

use super::body::Body;
use super::host::Host;
use super::native::{Asked as Call, Native};
use crate::error::{Code, Error, Result};
use crate::proto::v1::{
    GetTopicRequest, ListNamespacesRequest, ListSubscriptionsRequest, ListTopicsRequest, ListWebhooksRequest,
};
use asked::Asked;
use file::Files;

/// The console of a server. The page can be switched off; the JSON is there in any case, as the services
/// are that say the same.
pub struct Console {
    native: Native,
    files: Option<Files>,
}

impl Console {
    /// On this host, with its page or without.
    pub fn new(host: Host, has_page: bool) -> Console {
        Console { native: Native::new(host), files: has_page.then(Files::new) }
    }

    /// A file of the page, which needs no credential.
    pub fn page<B>(&self, request: &Request<B>) -> Result<Response<Body>> {
        let path = request.uri().path();
        let missing = |message: String| Error::new(Code::NotFound, message).reason("PATH_NOT_FOUND");
        let files = self
            .files
            .as_ref()
            .ok_or_else(|| missing("this server shows no console (http.console)".to_owned()))?;
        let file =
            files.find(path).ok_or_else(|| missing(format!("{path} is not here; the console is at /")))?;
        Ok(file.answer(request))
    }

    /// Answers a request for JSON, whose caller is known.
    pub fn shown<B>(&self, request: &Request<B>) -> Result<Response<Body>> {
        let (path, native) = (request.uri().path(), &self.native);
        let call = Call::by(native, request.extensions());
        let asked = Asked::read(request.uri())?;
        let Asked { path: names, prefix, page_size, page_token } = asked;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match names[..] {
            ["server"] => json(&shown::server(native.server(&call)?)),
            ["namespaces"] => {
                let request = ListNamespacesRequest { page_size, page_token };
                json(&shown::namespaces(native.namespaces(&call, request)?))
            }
            ["webhooks", namespace] => {
                let request = ListWebhooksRequest { namespace: namespace.to_owned(), page_size, page_token };
                json(&shown::webhooks(native.webhooks(&call, request)?))
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

fn unknown(path: &str) -> Error {
    let message = format!(
        "{path} is not here; there are /admin/v1/server, /admin/v1/namespaces, /admin/v1/topics/NAMESPACE, \
         /admin/v1/topics/NAMESPACE/TOPIC, /admin/v1/subscriptions/NAMESPACE/TOPIC and /admin/v1/webhooks/NAMESPACE"
    );
    Error::new(Code::NotFound, message).reason("PATH_NOT_FOUND")
}

//! What browsers need beside an answer: leave for pages of other origins to read it (CORS), and gRPC in the
//! form that they can read (gRPC-Web).
//!
//! A page of an origin that is not allowed is refused, whatever it asks for: a browser sends some requests
//! without asking first, and a server without authentication would answer them. gRPC-Web is gRPC whose trailers
//! are a last frame of the body; its requests are framed as gRPC's.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::Frame as BodyFrame;
use tonic::Status;

use super::frame::Frame;
use super::{Body, status};
use crate::error::{Code, Error};

/// Origins that may use the server, beside its own pages.
pub struct Origins(Vec<String>);

/// How a request is met.
pub enum Met {
    /// It needs nothing.
    Plain,
    /// Its answer is to be dressed.
    Edge(Box<Edge>),
    /// It is answered here.
    Answered(Box<Response<Body>>),
}

/// What an answer needs.
#[derive(Default)]
pub struct Edge {
    /// The page's origin, where that is another and allowed.
    origin: Option<HeaderValue>,
    /// It is gRPC-Web, of this content type.
    web: Option<HeaderValue>,
}

/// How media types of gRPC-Web begin.
const WEB: &str = "application/grpc-web";
const EXPOSED: &str = "grpc-status, grpc-message, grpc-status-details-bin, retry-after, www-authenticate";
/// How long a browser need not ask again, seconds.
const MAX_AGE: &str = "600";

impl Origins {
    /// These.
    pub fn new(origins: Vec<String>) -> Origins {
        Origins(origins)
    }

    /// Meets a request. One in gRPC-Web goes on as gRPC.
    pub fn meet<B>(&self, request: &mut Request<B>) -> Met {
        let web = web(request.headers());
        let origin = request.headers().get(ORIGIN).filter(|origin| !is_own(origin, request)).cloned();
        if origin.is_none() && web.is_none() {
            return Met::Plain;
        }
        if let Some(origin) = origin.as_ref().filter(|origin| !self.allow(origin)) {
            return Met::Answered(Box::new(status::http(refused(origin))));
        }
        if let Some(origin) = &origin
            && request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Met::Answered(Box::new(preflight(origin, request.headers())));
        }
        if let Some(media) = &web {
            if media.as_bytes().starts_with(b"application/grpc-web-text") {
                let description = "application/grpc-web-text is not taken; use application/grpc-web+proto";
                let error = Error::field("content-type", description).reason("CONTENT_TYPE");
                return Met::Answered(Box::new(status::http(error)));
            }
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            // Only gRPC itself needs what HTTP/1 has not.
            *request.version_mut() = Version::HTTP_2;
        }
        Met::Edge(Box::new(Edge { origin, web }))
    }

    fn allow(&self, origin: &HeaderValue) -> bool {
        let allows = |own: &String| own == "*" || origin.as_bytes().eq_ignore_ascii_case(own.as_bytes());
        self.0.iter().any(allows)
    }
}

/// Whether a page was served by whom it asks.
fn is_own<B>(origin: &HeaderValue, request: &Request<B>) -> bool {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let host = authority.or_else(|| request.headers().get(HOST)?.to_str().ok());
    let of_page = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1));
    of_page.zip(host).is_some_and(|(page, host)| page.eq_ignore_ascii_case(host))
}

fn web(headers: &HeaderMap) -> Option<HeaderValue> {
    let is_web = |media: &&HeaderValue| {
        let rest = media.as_bytes().strip_prefix(WEB.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-text") || b"+; ".contains(&rest[0]))
    };
    headers.get(CONTENT_TYPE).filter(is_web).cloned()
}

fn refused(origin: &HeaderValue) -> Error {
    let origin = origin.to_str().unwrap_or_default();
    let message = format!(
        "pages of {origin:.200?} may not use this server from a browser; give it the origin in http.cors_origins"
    );
    Error::new(Code::PermissionDenied, message).reason("ORIGIN")
}

/// The answer to a browser that asks whether it may ask.
fn preflight(origin: &HeaderValue, asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    headers.insert(VARY, HeaderValue::from_static("origin, access-control-request-headers"));
    if let Some(asked) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    response
}

impl Edge {
    /// The answer as the client needs it.
    pub fn dress(self, mut response: Response<Body>) -> Response<Body> {
        if let Some(origin) = self.origin {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        let is_grpc = |headers: &HeaderMap| {
            headers.get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"application/grpc"))
        };
        match self.web {
            Some(media) if is_grpc(response.headers()) => {
                response.headers_mut().insert(CONTENT_TYPE, media);
                response.map(|body| Body::boxed(Web(body)))
            }
            _ => response,
        }
    }
}

/// A body of gRPC whose trailers are its last frame.
struct Web(Body);

impl http_body::Body for Web {
    type Data = Frame;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Frame>, Status>>> {
        Pin::new(&mut self.get_mut().0).poll_frame(cx).map_ok(|frame| match frame.into_trailers() {
            Ok(trailers) => BodyFrame::data(last(&trailers).into()),
            Err(frame) => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// Trailers as the last frame of a body.
fn last(trailers: &HeaderMap) -> Bytes {
    const TRAILERS: u8 = 0x80;
    let mut text = BytesMut::new();
    for (name, value) in trailers {
        text.put_slice(name.as_str().as_bytes());
        text.put_slice(b": ");
        text.put_slice(value.as_bytes());
        text.put_slice(b"\r\n");
    }
    let mut frame = BytesMut::with_capacity(5 + text.len());
    frame.put_u8(TRAILERS);
    // Trailers are bounded as headers are, far below 4 GiB.
    frame.put_u32(text.len() as u32);
    frame.put(text);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(origins: &[&str], method: &str, headers: &[(&str, &str)]) -> Met {
        let mut request = Request::builder().method(method).uri("/v1/default/t");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let origins = Origins::new(origins.iter().map(|origin| (*origin).to_owned()).collect());
        origins.meet(&mut request.body(()).unwrap())
    }

    #[test]
    fn pages_of_other_origins_are_refused_unless_they_are_allowed() {
        let page = ("origin", "https://app.example");
        let own = [("host", "app.example"), page];
        assert!(matches!(meet(&[], "GET", &[]), Met::Plain));
        assert!(matches!(meet(&[], "GET", &own), Met::Plain));
        let Met::Answered(refused) = meet(&["https://other.example"], "GET", &[page]) else { panic!("met") };
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        for allowed in ["https://app.example", "*"] {
            let Met::Edge(edge) = meet(&[allowed], "GET", &[page]) else { panic!("not met") };
            let response = edge.dress(Response::new(Body::Empty));
            assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], page.1);
        }
        let asks =
            [page, ("access-control-request-method", "POST"), ("access-control-request-headers", "x-a")];
        let Met::Answered(response) = meet(&["*"], "OPTIONS", &asks) else { panic!("not met") };
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "x-a");
    }

    #[test]
    fn trailers_are_the_last_frame() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        assert_eq!(&last(&trailers)[..], b"\x80\0\0\0\x10grpc-status: 0\r\n");
    }
}

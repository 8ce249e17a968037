//! Answers to what is no call of a method we have, in the dialect of the one who asked.
//!
//! A gRPC client gets a gRPC status; everybody else gets an HTTP status and a sentence. The rules
//! are those of the gRPC over HTTP/2 specification.

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use tonic::Status;

use crate::api::body::Body;
use crate::topic::media::media_type;

/// Whether the request can be a gRPC call; `known` says that its path is a method.
pub fn check<B>(request: &Request<B>, known: bool) -> Result<(), Box<Response<Body>>> {
    let dialect = Dialect::of(request.headers().get(CONTENT_TYPE));
    let refused = match dialect {
        Dialect::Grpc | Dialect::OtherCodec(_) if request.method() != Method::POST => {
            let mut response =
                http_error(StatusCode::METHOD_NOT_ALLOWED, "gRPC methods are called with POST.\n".to_owned());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            response
        }
        Dialect::Grpc if request.version() < Version::HTTP_2 => http_error(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "gRPC is spoken over HTTP/2. Over HTTP/1.1, POST to /v1/{namespace}/{topic} publishes, and GET \
             subscribes.\n"
                .to_owned(),
        ),
        Dialect::Grpc => return Ok(()),
        Dialect::OtherCodec(codec) => Status::unimplemented(format!(
            "messages encoded as {codec:?} are not understood; use the content type application/grpc"
        ))
        .into_http(),
        Dialect::None if known => http_error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "This is a gRPC method: call it with POST and the content type application/grpc.\n".to_owned(),
        ),
        Dialect::None => http_error(
            StatusCode::NOT_FOUND,
            format!(
                "{} is not here. This server speaks gRPC, whose methods its reflection service lists; over HTTP, \
                 POST to /v1/{{namespace}}/{{topic}} publishes, and GET subscribes.\n",
                request.uri().path()
            ),
        ),
    };
    Err(Box::new(refused))
}

/// UNIMPLEMENTED, naming the method.
pub fn unknown_method(path: &str) -> Response<Body> {
    let method = path.trim_start_matches('/');
    Status::unimplemented(format!(
        "there is no method {method:?} here; the server's reflection service lists all there are"
    ))
    .into_http()
}

fn http_error(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// What a content type says about the body.
#[derive(Debug, PartialEq, Eq)]
enum Dialect<'a> {
    Grpc,
    /// gRPC with messages that are not protobuf.
    OtherCodec(&'a str),
    None,
}

impl Dialect<'_> {
    fn of(content_type: Option<&HeaderValue>) -> Dialect<'_> {
        let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or("");
        match media_type(text).strip_prefix("application/grpc") {
            Some("" | "+proto") => Dialect::Grpc,
            Some(rest) => match rest.strip_prefix('+') {
                Some(codec) => Dialect::OtherCodec(codec),
                None => Dialect::None,
            },
            None => Dialect::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_told_apart() {
        for (text, dialect) in [
            ("application/grpc", Dialect::Grpc),
            ("application/grpc+proto", Dialect::Grpc),
            ("application/grpc; charset=utf-8", Dialect::Grpc),
            ("application/grpc+json", Dialect::OtherCodec("json")),
            ("application/grpc-web", Dialect::None),
            ("application/json", Dialect::None),
            ("", Dialect::None),
        ] {
            assert_eq!(Dialect::of(Some(&HeaderValue::from_static(text))), dialect, "{text}");
        }
        assert_eq!(Dialect::of(None), Dialect::None);
    }
}

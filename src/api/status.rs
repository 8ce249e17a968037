//! The one place where an [`Error`] becomes a gRPC status, or an HTTP one with the same in JSON.
//!
//! The details are the canonical ones of `google.rpc`: BadRequest for fields, ErrorInfo for a
//! machine-readable reason, QuotaFailure for a quota, RetryInfo for when to come back. Internal errors are logged here, and
//! their cause is not told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use tonic::{Code as GrpcCode, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::Body;
use crate::error::{Code, Error, Violation};

/// The domain of our reasons in `ErrorInfo`.
const DOMAIN: &str = "bugle";

/// The status of a refusal.
pub fn status(error: Error) -> Status {
    if error.code() == Code::Internal {
        tracing::error!(?error, "internal error");
    }
    let mut details = ErrorDetails::new();
    for violation in error.violations() {
        details.add_bad_request_violation(&violation.field, &violation.description);
    }
    if let Some(reason) = error.reason_code() {
        let metadata = error.metadata().iter().map(|(key, value)| (key.to_string(), value.clone()));
        details.set_error_info(reason, DOMAIN, metadata.collect::<HashMap<_, _>>());
    }
    if let Some(Violation { field, description }) = error.exceeded() {
        details.add_quota_failure_violation(field, description);
    }
    if let Some(delay) = error.retry_delay() {
        details.set_retry_info(Some(delay));
    }
    Status::with_error_details(grpc_code(error.code()), error.message(), details)
}

/// The same as an HTTP response, whose body is `{"error": {"code", "message", …}}`. The code and the message
/// are among its extensions too, for whoever is told of refusals.
pub fn http(error: Error) -> Response<Body> {
    if error.code() == Code::Internal {
        tracing::error!(?error, "internal error");
    }
    let mut response = Response::new(Body::text(serde_json::to_vec(&json(&error)).unwrap_or_default()));
    *response.status_mut() = http_status(&error);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(delay) = error.retry_delay() {
        headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
    }
    if error.code() == Code::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response.extensions_mut().insert(Refused(error.code(), error.message().into()));
    response
}

/// What a response refuses, and why.
#[derive(Debug, Clone)]
pub struct Refused(pub Code, pub Arc<str>);

/// What a refusal is in JSON.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refusal {
    error: Told,
}

/// Why it was refused.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Told {
    /// The canonical code of gRPC, such as `NOT_FOUND`.
    code: String,
    /// What to change.
    message: String,
    /// For programs, such as `TOPIC_NOT_FOUND`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What of the request is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<Wrong>,
    /// What belongs to the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    details: BTreeMap<String, String>,
    /// When to come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<f64>,
}

/// A part of a request that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
struct Wrong {
    field: String,
    description: String,
}

/// An error in JSON.
pub fn json(error: &Error) -> Refusal {
    let wrong = |Violation { field, description }: &Violation| Wrong {
        field: field.clone(),
        description: description.clone(),
    };
    let details = error.metadata().iter().map(|(name, value)| (name.to_string(), value.clone()));
    Refusal {
        error: Told {
            code: error.code().as_str().to_ascii_uppercase(),
            message: error.message().to_owned(),
            reason: error.reason_code().map(str::to_owned),
            violations: error.violations().iter().map(wrong).collect(),
            details: details.collect(),
            retry_after_seconds: error.retry_delay().map(|delay| delay.as_secs_f64()),
        },
    }
}

fn http_status(error: &Error) -> StatusCode {
    match (error.code(), error.reason_code()) {
        (Code::InvalidArgument, Some("MESSAGE_TOO_LARGE")) => StatusCode::PAYLOAD_TOO_LARGE,
        (_, Some("METHOD_NOT_ALLOWED")) => StatusCode::METHOD_NOT_ALLOWED,
        (Code::InvalidArgument, Some("CONTENT_TYPE")) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        (Code::InvalidArgument, _) => StatusCode::BAD_REQUEST,
        (Code::NotFound, _) => StatusCode::NOT_FOUND,
        (Code::AlreadyExists, _) => StatusCode::CONFLICT,
        (Code::PermissionDenied, _) => StatusCode::FORBIDDEN,
        (Code::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
        (Code::ResourceExhausted, _) => StatusCode::TOO_MANY_REQUESTS,
        (Code::FailedPrecondition, _) => StatusCode::PRECONDITION_FAILED,
        (Code::Unavailable, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Code::DeadlineExceeded, _) => StatusCode::GATEWAY_TIMEOUT,
        (Code::Cancelled, _) => StatusCode::REQUEST_TIMEOUT,
        (Code::Unimplemented, _) => StatusCode::NOT_IMPLEMENTED,
        (Code::Internal, _) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The same as the message that `PublishResponse.status` carries.
pub fn message(error: Error) -> tonic_types::Status {
    use prost::Message;
    let status = status(error);
    // The details of a status are this very message, encoded; without details there is none.
    tonic_types::Status::decode(status.details()).unwrap_or_default().named(&status)
}

/// The refusal of a request whose bytes are not the message they should be: tonic calls that its own
/// failure. Any other status as it is.
pub fn undecoded(failure: Status) -> Status {
    const BEGINNING: &str = "failed to decode Protobuf message: ";
    match failure.message().strip_prefix(BEGINNING) {
        Some(cause) if failure.code() == GrpcCode::Internal => status(not_a_message(cause)),
        _ => failure,
    }
}

/// The refusal of bytes that cannot be decoded, and why they cannot.
pub fn not_a_message(cause: impl std::fmt::Display) -> Error {
    let description =
        format!("is not the message that this method takes ({cause}); make it from the server's proto file");
    Error::field("request", description).reason("NOT_A_MESSAGE")
}

/// The response of a generated service, with what [`undecoded`] says in it.
pub fn readable(response: http::Response<tonic::body::Body>) -> http::Response<tonic::body::Body> {
    match Status::from_header_map(response.headers()) {
        Some(failure) if failure.code() == GrpcCode::Internal => undecoded(failure).into_http(),
        _ => response,
    }
}

/// Code and message, in case the encoded details were empty.
trait Named {
    fn named(self, status: &Status) -> Self;
}

impl Named for tonic_types::Status {
    fn named(mut self, status: &Status) -> Self {
        self.code = status.code() as i32;
        self.message = status.message().to_owned();
        self
    }
}

/// Our code for one of gRPC's; what we never say ourselves is a defect.
pub fn own_code(code: GrpcCode) -> Code {
    Code::ALL.into_iter().find(|own| grpc_code(*own) == code).unwrap_or(Code::Internal)
}

fn grpc_code(code: Code) -> GrpcCode {
    match code {
        Code::InvalidArgument => GrpcCode::InvalidArgument,
        Code::NotFound => GrpcCode::NotFound,
        Code::AlreadyExists => GrpcCode::AlreadyExists,
        Code::PermissionDenied => GrpcCode::PermissionDenied,
        Code::Unauthenticated => GrpcCode::Unauthenticated,
        Code::ResourceExhausted => GrpcCode::ResourceExhausted,
        Code::FailedPrecondition => GrpcCode::FailedPrecondition,
        Code::Unavailable => GrpcCode::Unavailable,
        Code::DeadlineExceeded => GrpcCode::DeadlineExceeded,
        Code::Cancelled => GrpcCode::Cancelled,
        Code::Unimplemented => GrpcCode::Unimplemented,
        Code::Internal => GrpcCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_refusal_carries_its_details() {
        let error = Error::field("topic", "has to be given")
            .reason("TEST")
            .with("key", 7)
            .exceeds("namespace:eu", "topics is 3")
            .retry_after(Duration::from_secs(2));
        let status = status(error);
        assert_eq!(status.code(), GrpcCode::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "topic");
        assert_eq!(details.error_info().unwrap().reason, "TEST");
        assert_eq!(details.error_info().unwrap().metadata["key"], "7");
        assert_eq!(details.quota_failure().unwrap().violations[0].subject, "namespace:eu");
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_refusal_in_a_stream_says_the_same() {
        let message = message(Error::field("messages", "has to be given"));
        assert_eq!(message.code, GrpcCode::InvalidArgument as i32);
        assert_eq!(message.message, "messages: has to be given");
        assert_eq!(message.details.len(), 1);
    }
}

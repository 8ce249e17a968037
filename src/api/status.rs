//! The one place where an [`Error`] becomes a gRPC status.
//!
//! The details are the canonical ones of `google.rpc`: BadRequest for fields, ErrorInfo for a
//! machine-readable reason, QuotaFailure for a quota, RetryInfo for when to come back. Internal errors are logged here, and
//! their cause is not told.

use std::collections::HashMap;

use tonic::{Code as GrpcCode, Status};
use tonic_types::{ErrorDetails, StatusExt};

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

/// TEMPORARY until the edge lands.
pub fn http(error: Error) -> http::Response<super::Body> {
    let code = match error.code() {
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::InvalidArgument => 400,
        _ => 500,
    };
    let violations: Vec<_> = error
        .violations()
        .iter()
        .map(|v| serde_json::json!({"field": v.field, "description": v.description}))
        .collect();
    let body = serde_json::json!({"error": {"code": error.code().as_str(), "message": error.message(), "reason": error.reason_code(), "violations": violations}});
    let mut response = http::Response::new(super::Body::text(body.to_string()));
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    response
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

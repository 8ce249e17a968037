//! From what gRPC says to [`Error`]: the one place in the client that knows status codes.
//!
//! A status that the server sent keeps its code, message and details. A failure of the transport
//! (tonic gives it a code of its own guessing) is always [`Code::Unavailable`], and says whether a
//! server is there at all.

use rustls::AlertDescription;
use tonic_types::StatusExt;

use super::handshake;
use crate::error::{Code, Error};

/// Reason of an error when no connection could be made: the server does not run, or it is draining.
pub const UNREACHABLE: &str = "SERVER_UNREACHABLE";
/// Reason of an error when a message was sent and no answer came: it may have been stored, or not.
pub const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";
/// Reason of an error when a message was never sent: it can be published again without a duplicate.
pub const NOT_SENT: &str = "NOT_SENT";

/// Key of the fact that says which server it was, in an error whose connection was made and then broke.
pub const SERVER: &str = "server";

/// The error for a status; `last_word` is what the server said over TLS when it ended the latest
/// connection, `uri` names it in what the caller reads.
pub(super) fn to_error(status: tonic::Status, last_word: Option<AlertDescription>, uri: &str) -> Error {
    // Only failures on this side have a source: a status off the wire has none.
    if std::error::Error::source(&status).is_some() {
        return transport(status, last_word, uri);
    }
    let message = match status.message() {
        "" => format!("the server answered {:?} without a word", status.code()),
        message => message.to_owned(),
    };
    let mut error = Error::new(code(status.code()), message);
    let details = status.get_error_details();
    for violation in details.bad_request().map(|it| it.field_violations.as_slice()).unwrap_or_default() {
        error = error.violation(&violation.field, &violation.description);
    }
    if let Some(quota) = details.quota_failure().and_then(|it| it.violations.first()) {
        error = error.exceeds(&quota.subject, &quota.description);
    }
    if let Some(info) = details.error_info() {
        error = error.reason(info.reason.clone());
        for (key, value) in &info.metadata {
            error = error.with(key.clone(), value);
        }
    }
    match details.retry_info().and_then(|it| it.retry_delay) {
        Some(delay) => error.retry_after(delay),
        None => error,
    }
}

/// The error for a `google.rpc.Status` inside a response.
pub(super) fn from_wire(status: tonic_types::Status, uri: &str) -> Error {
    let details = prost::Message::encode_to_vec(&status);
    let status =
        tonic::Status::with_details(tonic::Code::from_i32(status.code), status.message, details.into());
    to_error(status, None, uri)
}

/// The error for a failure of the connection.
pub(super) fn transport(
    source: impl std::error::Error + Send + Sync + 'static,
    last_word: Option<AlertDescription>,
    uri: &str,
) -> Error {
    let causes: Vec<_> = chain(&source).collect();
    if let Some(error) = handshake::failure(&causes, last_word, uri) {
        return error.with(SERVER, uri).because(source);
    }
    if never_connected(&source) {
        // A server that drains has closed its listener, so the two look the same from here.
        let message = format!(
            "nobody answers at {uri}: it is not running (start one with `bugle serve`), or it is draining"
        );
        return Error::new(Code::Unavailable, message).reason(UNREACHABLE).because(source);
    }
    let message = format!("the connection to {uri} failed: {}", root(&source));
    Error::new(Code::Unavailable, message).with(SERVER, uri).because(source)
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    chain(error).any(|error| error.is::<tonic::ConnectError>())
}

fn root(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// Every code there is. What the bus never says itself comes from a proxy or from a connection
/// that ended without trailers: not now, but perhaps later.
fn code(code: tonic::Code) -> Code {
    match code {
        tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Code::InvalidArgument,
        tonic::Code::NotFound => Code::NotFound,
        tonic::Code::AlreadyExists => Code::AlreadyExists,
        tonic::Code::PermissionDenied => Code::PermissionDenied,
        tonic::Code::Unauthenticated => Code::Unauthenticated,
        tonic::Code::ResourceExhausted => Code::ResourceExhausted,
        tonic::Code::FailedPrecondition => Code::FailedPrecondition,
        tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Aborted => Code::Unavailable,
        tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
        tonic::Code::Cancelled => Code::Cancelled,
        tonic::Code::Unimplemented => Code::Unimplemented,
        tonic::Code::Internal | tonic::Code::DataLoss | tonic::Code::Ok => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tonic_types::ErrorDetails;

    #[test]
    fn details_of_a_refusal_come_through() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("messages[3].id", "has to be 16 bytes, or empty");
        details.set_error_info("TOO_MANY", "bugle", [("limit".to_owned(), "5".to_owned())]);
        details.add_quota_failure_violation("namespace:eu", "topics is 3");
        details.set_retry_info(Some(Duration::from_secs(2)));
        let status = tonic::Status::with_error_details(tonic::Code::InvalidArgument, "no", details);
        let error = to_error(status, None, "http://x");
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(error.message(), "no");
        assert_eq!(error.violations()[0].field, "messages[3].id");
        assert_eq!(error.reason_code(), Some("TOO_MANY"));
        assert_eq!(error.metadata().get("limit").map(String::as_str), Some("5"));
        assert_eq!(error.exceeded().map(|it| it.field.as_str()), Some("namespace:eu"));
        assert_eq!(error.retry_delay(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_status_inside_a_response_reads_like_one_that_ended_the_call() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("topic", "has to be given");
        let status = tonic::Status::with_error_details(tonic::Code::InvalidArgument, "no", details);
        let wire: tonic_types::Status = prost::Message::decode(status.details()).unwrap();
        assert_eq!(from_wire(wire, "http://x").violations()[0].field, "topic");
    }

    #[test]
    fn a_broken_connection_is_unavailable_whatever_the_transport_called_it() {
        let status = tonic::Status::from_error(std::io::Error::other("reset").into());
        let error = to_error(status, None, "http://x");
        assert_eq!(error.code(), Code::Unavailable);
        assert_eq!(error.message(), "the connection to http://x failed: reset");
        assert_eq!(error.metadata().get(SERVER).map(String::as_str), Some("http://x"));
    }
}

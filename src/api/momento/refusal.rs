//! Refusals as clients of Momento understand them: a limit says which one it is in the metadata `err`,
//! and what is too large is a limit too.

use tonic::metadata::MetadataValue;
use tonic::{Code as GrpcCode, Status};
use tonic_types::StatusExt;

use crate::api::status::status;
use crate::error::Error;

/// What clients look for where the code is RESOURCE_EXHAUSTED.
const LIMIT: &str = "err";

/// Why a call was refused.
pub enum Cause {
    /// The bus refused it.
    Error(Error),
    /// Its request could not be read.
    Status(Box<Status>),
}

impl From<Error> for Cause {
    fn from(error: Error) -> Cause {
        Cause::Error(error)
    }
}

impl From<Status> for Cause {
    fn from(status: Status) -> Cause {
        Cause::Status(Box::new(status))
    }
}

/// The status of a refusal.
pub fn refused(cause: Cause) -> Status {
    let status = match cause {
        Cause::Error(error) => status(error),
        Cause::Status(status) => *status,
    };
    let details = status.get_error_details();
    let Some(info) = details.error_info() else { return status };
    let quota = details.quota_failure().and_then(|failure| failure.violations.first());
    let limit = match info.reason.as_str() {
        "MESSAGE_TOO_LARGE" | "QUOTA_BATCH_TOO_LARGE" => "request_size_limit_exceeded",
        "STREAMS" | "STREAMS_OF_CONNECTION" => "topic_subscriptions_limit_exceeded",
        "PUBLISH_BYTES_IN_FLIGHT" => "throughput_rate_limit_exceeded",
        "QUOTA_EXCEEDED" => {
            match quota.map(|quota| quota.description.split(' ').next().unwrap_or_default()) {
                Some("subscriptions") => "topic_subscriptions_limit_exceeded",
                Some("publish_bytes_per_second") => "throughput_rate_limit_exceeded",
                _ => "operations_rate_limit_exceeded",
            }
        }
        _ => return status,
    };
    let (message, bytes) = (status.message().to_owned(), bytes::Bytes::copy_from_slice(status.details()));
    let mut limited = Status::with_details(GrpcCode::ResourceExhausted, message, bytes);
    limited.metadata_mut().insert(LIMIT, MetadataValue::from_static(limit));
    limited
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_limit_says_which_one_it_is() {
        let quota = |limit: &str| {
            let error = Error::new(Code::ResourceExhausted, "no").reason("QUOTA_EXCEEDED");
            error.exceeds("namespace:eu", format!("{limit} is 5"))
        };
        for (error, limit) in [
            (quota("subscriptions"), "topic_subscriptions_limit_exceeded"),
            (quota("publish_messages_per_second"), "operations_rate_limit_exceeded"),
            (quota("publish_bytes_per_second"), "throughput_rate_limit_exceeded"),
            (Error::field("request", "large").reason("MESSAGE_TOO_LARGE"), "request_size_limit_exceeded"),
        ] {
            let status = refused(error.into());
            assert_eq!(status.code(), GrpcCode::ResourceExhausted);
            assert_eq!(status.metadata().get(LIMIT).unwrap(), limit);
        }
    }

    #[test]
    fn what_is_no_limit_stays_as_it_is() {
        let status = refused(Error::field("topic", "has to be given").into());
        assert_eq!((status.code(), status.metadata().get(LIMIT)), (GrpcCode::InvalidArgument, None));
    }
}

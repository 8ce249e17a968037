//! The one error of the bus: a code from a closed list, a message for the caller that says what to
//! change, and a cause for the log.
//!
//! The code is mapped to gRPC in `api/status.rs` and back in the client; nowhere else. An error is
//! logged once, where it is handled.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The result of whatever can be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was refused: the canonical codes the bus uses, and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request can never succeed as it is.
    InvalidArgument,
    /// The namespace, topic or message named does not exist.
    NotFound,
    /// What is to be created exists.
    AlreadyExists,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// The caller is not known.
    Unauthenticated,
    /// A limit, quota or budget is used up.
    ResourceExhausted,
    /// The state of the system forbids it, and retrying alone does not help.
    FailedPrecondition,
    /// Not now; the same request may succeed later or elsewhere.
    Unavailable,
    /// It took longer than the caller was ready to wait.
    DeadlineExceeded,
    /// The caller gave up.
    Cancelled,
    /// The server does not offer this method.
    Unimplemented,
    /// A defect of the bus; never the caller's fault.
    Internal,
}

impl Code {
    /// Every code, in the order of the declaration.
    pub const ALL: [Code; 12] = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::Unauthenticated,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Unavailable,
        Code::DeadlineExceeded,
        Code::Cancelled,
        Code::Unimplemented,
        Code::Internal,
    ];

    /// Its name as labels and traces have it: `not_found`.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidArgument => "invalid_argument",
            Code::NotFound => "not_found",
            Code::AlreadyExists => "already_exists",
            Code::PermissionDenied => "permission_denied",
            Code::Unauthenticated => "unauthenticated",
            Code::ResourceExhausted => "resource_exhausted",
            Code::FailedPrecondition => "failed_precondition",
            Code::Unavailable => "unavailable",
            Code::DeadlineExceeded => "deadline_exceeded",
            Code::Cancelled => "cancelled",
            Code::Unimplemented => "unimplemented",
            Code::Internal => "internal",
        }
    }
}

/// One field of a request that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, such as `messages[3].id`.
    pub field: String,
    /// What it has to be.
    pub description: String,
}

/// A refusal: see the module. A clone shares the cause: one refused batch fails many receipts.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    message: String,
    reason: Option<Cow<'static, str>>,
    metadata: BTreeMap<Cow<'static, str>, String>,
    violations: Vec<Violation>,
    /// Whose quota is used up, and which: see [`Error::exceeds`].
    exceeded: Option<Violation>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this code; the message is for the caller and says what to change.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            code,
            message: message.into(),
            reason: None,
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            exceeded: None,
            retry_after: None,
            source: None,
        }))
    }

    /// One field of the request is wrong; becomes a `BadRequest` violation.
    pub fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        let (field, description) = (field.into(), description.into());
        let mut error = Error::new(Code::InvalidArgument, format!("{field}: {description}"));
        error.0.violations.push(Violation { field, description });
        error
    }

    /// The same error with `prefix.` before every field it names, so that a part of a request can
    /// be checked without knowing where it stands.
    pub fn under(mut self, prefix: &str) -> Self {
        for violation in &mut self.0.violations {
            violation.field = format!("{prefix}.{}", violation.field);
            self.0.message = format!("{}: {}", violation.field, violation.description);
        }
        self
    }

    /// Adds a machine-readable reason (UPPER_SNAKE_CASE); becomes an `ErrorInfo`.
    pub fn reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    /// Adds one fact to the `ErrorInfo`.
    pub fn with(mut self, key: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        self.0.metadata.insert(key.into(), value.to_string());
        self
    }

    /// Names one more field that is wrong; the message stays as it is.
    pub fn violation(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.0.violations.push(Violation { field: field.into(), description: description.into() });
        self
    }

    /// Says whose quota is used up (`namespace:eu`) and what it is; becomes a `QuotaFailure`.
    pub fn exceeds(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        self.0.exceeded = Some(Violation { field: subject.into(), description: description.into() });
        self
    }

    /// Tells the caller when to come back; becomes a `RetryInfo`.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// The same after so much of the time to come back in has passed.
    pub fn waited(mut self, time: Duration) -> Self {
        self.0.retry_after = self.0.retry_after.map(|delay| delay.saturating_sub(time));
        self
    }

    /// Adds the cause, for the log; the caller does not see it.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What the caller is told.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields that are wrong.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// Whose quota is used up, and what it is, where that is why.
    pub fn exceeded(&self) -> Option<&Violation> {
        self.0.exceeded.as_ref()
    }

    /// The machine-readable reason, where there is one.
    pub fn reason_code(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The facts of the `ErrorInfo`.
    pub fn metadata(&self) -> &BTreeMap<Cow<'static, str>, String> {
        &self.0.metadata
    }

    /// When to come back, where that is known.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.code, self.0.message)?;
        match &self.0.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_where_its_number_says() {
        for (place, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place, "{code:?}");
        }
    }

    #[test]
    fn a_field_of_a_part_is_named_by_its_whole_path() {
        let error = Error::field("id", "has to be 16 bytes, or empty").under("messages[3]");
        assert_eq!(error.violations()[0].field, "messages[3].id");
        assert_eq!(error.to_string(), "messages[3].id: has to be 16 bytes, or empty");
    }
}

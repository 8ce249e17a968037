//! The refusals of those who did not prove who they are, and of those who may not do something.
//!
//! A message never repeats the credential, nor says whether what was asked for exists.

use super::{Action, Identity, Resource};
use crate::error::{Code, Error};

/// No credential, where one is needed.
pub fn missing() -> Error {
    let message = "this server asks who calls: send an API key or a token as `authorization: Bearer …`, or \
                   connect with a client certificate";
    Error::new(Code::Unauthenticated, message).reason("CREDENTIAL_MISSING")
}

/// A credential that proves nothing.
pub fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::Unauthenticated, message).reason("CREDENTIAL_INVALID")
}

/// A credential that proves nothing any more.
pub fn expired(message: &str) -> Error {
    Error::new(Code::Unauthenticated, message).reason("CREDENTIAL_EXPIRED")
}

/// Something that somebody may not do.
pub fn denied(identity: &Identity, action: Action, resource: Resource<'_>) -> Error {
    let (who, what) = (identity.principal(), action.as_str());
    let message = match resource {
        Resource::Server => format!("{who} may not {what} this server; a policy has to allow it"),
        _ => format!("{who} may not {what} on {resource}; a policy has to allow it"),
    };
    policy(message)
}

/// Something that no policy allows.
pub fn policy(message: impl Into<String>) -> Error {
    Error::new(Code::PermissionDenied, message).reason("POLICY")
}

/// Something for which it has to be known who calls.
pub fn off() -> Error {
    let message = "authentication is off, so there are no keys and tokens; set auth.enabled = true";
    Error::new(Code::FailedPrecondition, message).reason("AUTHENTICATION_OFF")
}

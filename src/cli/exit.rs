//! How an error is told to the user, once, and the exit code for it.

use std::fmt::Write;
use std::process::ExitCode;

use super::dialect;
use crate::client::UNREACHABLE;
use crate::error::{Code, Error};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NO_SERVER: u8 = 3;
/// What shells give for a command that a signal ended: a server that was not left to drain.
const INTERRUPTED: u8 = 130;

/// Reason of an error that clap could not find but that is one of usage all the same.
pub(super) const USAGE_REASON: &str = "USAGE";

/// Prints the error to standard error and gives the exit code.
pub(super) async fn report(error: &Error) -> ExitCode {
    let hint = match hint(error) {
        None => dialect::hint(error).await,
        known => known,
    };
    eprint!("{}", text(error, hint.as_deref()));
    ExitCode::from(code(error))
}

fn code(error: &Error) -> u8 {
    match error.reason_code() {
        Some(UNREACHABLE) => NO_SERVER,
        Some(USAGE_REASON) => USAGE,
        _ if error.code() == Code::Cancelled => INTERRUPTED,
        _ => FAILED,
    }
}

fn text(error: &Error, hint: Option<&str>) -> String {
    let mut text = format!("error: {error}\n");
    let told = |violation: &&crate::error::Violation| !error.message().contains(&violation.description);
    for violation in error.violations().iter().filter(told) {
        let _ = writeln!(text, "  {}: {}", violation.field, violation.description);
    }
    if let Some(hint) = hint {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

fn hint(error: &Error) -> Option<String> {
    if let Some(delay) = error.retry_delay() {
        return Some(format!("try again in {}", super::units::duration(delay)));
    }
    match error.code() {
        Code::NotFound => {
            Some("`bugle topics list` and `bugle namespaces list` show what is there".to_owned())
        }
        Code::Unimplemented => Some("is the server a bugle server, and of this version?".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn text(error: &Error) -> String {
        super::text(error, hint(error).as_deref())
    }

    #[test]
    fn an_error_is_one_line_and_what_helps() {
        let error = Error::field("topic", "has to be given");
        assert_eq!(text(&error), "error: topic: has to be given\n");
        let error = Error::new(Code::ResourceExhausted, "too much").retry_after(Duration::from_secs(2));
        assert_eq!(text(&error), "error: too much\nhint: try again in 2s\n");
        let error = Error::new(Code::InvalidArgument, "two fields are wrong")
            .violation("a", "has to be given")
            .violation("b", "has to be short");
        assert_eq!(text(&error), "error: two fields are wrong\n  a: has to be given\n  b: has to be short\n");
    }

    #[test]
    fn a_missing_server_has_a_code_of_its_own() {
        assert_eq!(code(&Error::new(Code::Unavailable, "x").reason(UNREACHABLE)), NO_SERVER);
        assert_eq!(code(&Error::new(Code::Unavailable, "x")), FAILED);
    }
}

//! Says in the log that sending fails, and that it works again: once each, however often it is tried.

use super::otlp::Target;

/// A link to a receiver.
pub struct Link {
    what: &'static str,
    url: String,
    hint: Option<&'static str>,
    failures: u64,
}

impl Link {
    /// A link for this to there, which works.
    pub fn new(what: &'static str, target: &Target) -> Link {
        Link { what, url: target.url.clone(), hint: target.hint(), failures: 0 }
    }

    /// It was tried, with this outcome.
    pub fn note(&mut self, outcome: Result<(), String>) {
        let Link { what, url, hint, failures } = self;
        match outcome {
            Ok(()) => {
                if let failures @ 1.. = std::mem::take(failures) {
                    tracing::info!(what, url, failures, "sent over OTLP again");
                }
            }
            Err(error) => {
                if *failures == 0 {
                    tracing::warn!(
                        what,
                        url,
                        error,
                        hint,
                        "not sent over OTLP; the bus goes on, and what is not sent is dropped"
                    );
                }
                *failures += 1;
            }
        }
    }
}

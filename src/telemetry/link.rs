//! Says in the log that sending fails, and that it works again: once each, however often it is tried.

/// A link to a receiver.
pub struct Link {
    what: &'static str,
    failures: u64,
}

impl Link {
    /// A link for this, which works.
    pub fn new(what: &'static str) -> Link {
        Link { what, failures: 0 }
    }

    /// It was tried, with this outcome.
    pub fn note(&mut self, outcome: Result<(), String>) {
        let what = self.what;
        match outcome {
            Ok(()) => {
                if let failures @ 1.. = std::mem::take(&mut self.failures) {
                    tracing::info!(what, failures, "sent over OTLP again");
                }
            }
            Err(error) => {
                if self.failures == 0 {
                    tracing::warn!(
                        what,
                        error,
                        "not sent over OTLP; the bus goes on, and what is not sent is dropped"
                    );
                }
                self.failures += 1;
            }
        }
    }
}

//! The filter of the log, to be read and changed while the server runs.
//!
//! It does not know the library that logs, so that a server can be embedded without it: who starts
//! the log says in a closure how a filter is put into effect. The command line hands one to the
//! server, which offers it to operators.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Filter;
use crate::error::{Error, Result};

/// The filter of a log. A clone is the same filter.
#[derive(Clone)]
pub struct Logging(Arc<Inner>);

type Apply = dyn Fn(&Filter) -> Result<()> + Send + Sync;

struct Inner {
    /// What is in effect; held while that is changed, so that two changes do not mix.
    filter: Mutex<Filter>,
    apply: Box<Apply>,
}

impl Logging {
    /// A log in which this filter is in effect; `apply` puts another one into effect.
    pub fn new(filter: Filter, apply: impl Fn(&Filter) -> Result<()> + Send + Sync + 'static) -> Self {
        Logging(Arc::new(Inner { filter: Mutex::new(filter), apply: Box::new(apply) }))
    }

    /// The filter that is in effect.
    pub fn filter(&self) -> String {
        self.current().to_string()
    }

    /// Puts another filter into effect, at once.
    ///
    /// # Errors
    /// `InvalidArgument` for the field `filter`, when the text is none; what is in effect stays.
    pub fn set_filter(&self, text: &str) -> Result<()> {
        let filter = Filter::parse(text)
            .ok_or_else(|| Error::field("filter", format!("has to be {}", Filter::SHAPE)))?;
        let mut current = self.current();
        if *current == filter {
            return Ok(());
        }
        (self.0.apply)(&filter)?;
        let before = std::mem::replace(&mut *current, filter.clone());
        drop(current);
        tracing::info!(%before, after = %filter, "the filter of the log was changed");
        Ok(())
    }

    fn current(&self) -> MutexGuard<'_, Filter> {
        self.0.filter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Logging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Logging").field(&self.filter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_filter_is_applied_once_and_nonsense_changes_nothing() {
        let applied = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&applied);
        let logging = Logging::new(Filter::parse("info").unwrap(), move |filter| {
            seen.lock().unwrap().push(filter.to_string());
            Ok(())
        });
        logging.set_filter("debug, h2=trace").unwrap();
        logging.clone().set_filter("debug,h2=trace").unwrap();
        let error = logging.set_filter("loud").unwrap_err();
        assert_eq!((error.code(), error.violations()[0].field.as_str()), (Code::InvalidArgument, "filter"));
        assert!(error.message().contains("info,bugle::broker=debug"), "{error}");
        assert_eq!(logging.filter(), "debug,h2=trace");
        assert_eq!(*applied.lock().unwrap(), ["debug,h2=trace"]);
    }

    #[test]
    fn a_filter_that_cannot_be_applied_is_not_in_effect() {
        let refuse = |_: &Filter| Err(Error::new(Code::FailedPrecondition, "no"));
        let logging = Logging::new(Filter::parse("info").unwrap(), refuse);
        assert!(logging.set_filter("debug").is_err());
        assert_eq!(logging.filter(), "info");
    }
}

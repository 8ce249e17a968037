//! What goes on with a connection of HTTP/1 when another protocol has been agreed on: work that a service
//! leaves behind, and the task of the connection does once the answer is sent.
//!
//! So it has that task as its owner: it is counted, listed and ended as every connection is.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// The work that is to be done.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The place for it, one a connection. A clone is a reference.
#[derive(Clone, Default)]
pub struct Takeover(Arc<Mutex<Option<Work>>>);

impl Takeover {
    /// Leaves the work of a connection that is taken over.
    pub fn leave(&self, work: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(work));
    }

    /// The work, for whoever has the connection.
    pub fn take(&self) -> Option<Work> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

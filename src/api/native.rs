//! The native API, `bugle.v1`: the services Bus, Admin, Access and Monitor on the broker.
//!
//! Requests are decoded by tonic and converted in `convert`; a subscription is answered with a body
//! of our own, whose frames are slices of the log.

mod accessing;
mod admin;
mod administering;
mod bus;
mod convert;
mod deliveries;
#[cfg(fuzzing)]
pub mod fuzz;
mod intake;
mod monitor;
mod probe;
mod publishing;
mod subscribing;
mod written;

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;

use super::admission::Admission;
use super::caller::Caller;
use super::reply::Answer;
use super::rights::Rights;
use super::{Logging, Options};
use crate::auth::{Action, Resource};
use crate::broker::Broker;
use crate::error::Result;
use crate::quota::Account;
pub use deliveries::Deliveries;
pub use written::Written;

/// The native services. A clone is a reference.
#[derive(Clone)]
pub struct Native(Arc<Shared>);

/// What all calls share.
pub struct Shared {
    broker: Arc<Broker>,
    rights: Rights,
    admission: Admission,
    max_message_bytes: usize,
    logging: Option<Arc<dyn Logging>>,
}

impl Native {
    /// The services on this broker.
    pub fn new(broker: Arc<Broker>, rights: Rights, admission: Admission, options: &Options) -> Native {
        let (max_message_bytes, logging) = (options.max_message_bytes, options.logging.clone());
        Native(Arc::new(Shared { broker, rights, admission, max_message_bytes, logging }))
    }

    /// Whether this caller may do this. Errors: UNAUTHENTICATED where what proved it has expired,
    /// PERMISSION_DENIED otherwise.
    fn may(&self, caller: &Caller, action: Action, resource: Resource<'_>) -> Result<()> {
        self.rights.check(caller.identity(), caller.address(), action, resource)
    }

    /// What whoever calls uses counts for this.
    fn account(&self, caller: &Caller) -> Arc<Account> {
        self.admission.account(caller.peer(), caller.principal())
    }

    /// Answers a call of Bus.
    pub fn bus(&self, request: Request<Incoming>) -> Answer {
        match request.uri().path().rsplit('/').next() {
            Some("Publish") => Answer::Generated(Box::pin(bus::publish(self.clone(), request))),
            Some("PublishStream") => Answer::Generated(Box::pin(bus::publish_stream(self.clone(), request))),
            _ => Answer::Deliveries(deliveries::subscribe(self.clone(), request)),
        }
    }

    /// Answers a call of Admin.
    pub fn admin(&self, request: Request<Incoming>) -> Answer {
        admin::answer(self.clone(), request)
    }

    /// Answers a call of Access.
    pub fn access(&self, request: Request<Incoming>) -> Answer {
        accessing::answer(self.clone(), request)
    }

    /// Answers a call of Monitor.
    pub fn monitor(&self, request: Request<Incoming>) -> Answer {
        monitor::answer(self.clone(), request)
    }
}

impl std::ops::Deref for Native {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

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
mod looking;
mod monitor;
mod probe;
mod webhooks;

use http::Request;
use hyper::body::Incoming;

use super::caller::Caller;
use super::host::Host;
use super::intake::Intake;
use super::reply::Answer;
pub use administering::Asked;
pub use deliveries::Deliveries;

/// The native services. A clone is a reference.
#[derive(Clone)]
pub struct Native(Host);

impl Native {
    /// The services on this host.
    pub fn new(host: Host) -> Native {
        Native(host)
    }

    /// Answers a call of Bus.
    pub fn bus(&self, request: Request<Incoming>) -> Answer {
        match request.uri().path().rsplit('/').next() {
            Some("Publish") => Answer::Generated(Box::pin(bus::publish(self.clone(), request))),
            Some("PublishStream") => Answer::Generated(Box::pin(bus::publish_stream(self.clone(), request))),
            _ => Answer::Own(deliveries::subscribe(self.clone(), request)),
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
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.0
    }
}

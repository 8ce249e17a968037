//! The native API, `bugle.v1`: the services Bus and Admin on the broker.
//!
//! Requests are decoded by tonic and converted in `convert`; a subscription is answered with a body
//! of our own, whose frames are slices of the log.

mod admin;
mod bus;
mod convert;
mod deliveries;
mod intake;

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;

use super::Options;
use super::reply::Reply;
use crate::broker::Broker;
pub use deliveries::Deliveries;

/// The native services. A clone is a reference.
#[derive(Clone)]
pub struct Native {
    broker: Arc<Broker>,
    max_message_bytes: usize,
}

impl Native {
    /// The services on this broker.
    pub fn new(broker: Arc<Broker>, options: &Options) -> Native {
        Native { broker, max_message_bytes: options.max_message_bytes }
    }

    /// Answers a call of Bus.
    pub fn bus(&self, request: Request<Incoming>) -> Reply {
        match request.uri().path().rsplit('/').next() {
            Some("Publish") => Reply::tonic(Box::pin(bus::publish(self.clone(), request))),
            Some("PublishStream") => Reply::tonic(Box::pin(bus::publish_stream(self.clone(), request))),
            _ => Reply::deliveries(Box::pin(deliveries::subscribe(self.clone(), request))),
        }
    }

    /// Answers a call of Admin.
    pub fn admin(&self, request: Request<Incoming>) -> Reply {
        admin::answer(self.clone(), request)
    }
}

//! The API that clients of Momento call, on the same broker, log, identities and quotas as the native
//! one: what is published by one is heard through the other.
//!
//! A cache is a namespace, which is never made by using it; a sequence page is an epoch. Requests become
//! the domain's in `convert` and `permissions`; a subscription encodes its items from the shared log in
//! `deliveries`.

mod control;
mod convert;
mod deliveries;
pub mod http;
mod item;
mod permissions;
mod pubsub;
mod refusal;
mod token;
mod unary;

pub use refusal::refused;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ::http::Request;
use hyper::body::Incoming;

use super::caller::Caller;
use super::host::Host;
use super::reply::Answer;
use crate::limits::MOMENTO_HEARTBEAT_DEFAULT;
use crate::proto::momento::cache_client::{PingRequest, PingResponse};

/// How clients of Momento are served.
#[derive(Debug, Clone)]
pub struct Options {
    /// A subscription that waits hears something this often.
    pub heartbeat_interval: Duration,
    /// A fresh subscription begins with the newest message that is retained.
    pub replays_latest: bool,
    /// Where clients find the server, as tokens say; empty is where their call went.
    pub endpoint: String,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            heartbeat_interval: MOMENTO_HEARTBEAT_DEFAULT,
            replays_latest: true,
            endpoint: String::new(),
        }
    }
}

/// The services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Publish and Subscribe.
    Pubsub,
    /// Whether the server answers.
    Ping,
    /// Caches.
    Control,
    /// Disposable tokens.
    Token,
    /// Keys.
    Auth,
}

impl Service {
    /// Whether it answers only to those whose metadata say who they are.
    pub fn wants_to_know(self) -> bool {
        match self {
            Service::Pubsub | Service::Control => true,
            Service::Ping | Service::Token | Service::Auth => false,
        }
    }

    /// Whether who calls may stand in the request instead of the metadata.
    pub fn is_told_in_request(self) -> bool {
        matches!(self, Service::Token | Service::Auth)
    }
}

/// The Momento-compatible services. A clone is a reference.
#[derive(Clone)]
pub struct Momento(Arc<Shared>);

/// What all calls share.
pub struct Shared {
    host: Host,
    options: Options,
}

impl Momento {
    /// The services on this host.
    pub fn new(host: Host, options: Options) -> Momento {
        Momento(Arc::new(Shared { host, options }))
    }

    /// Answers a call of a method that there is.
    pub fn answer(&self, service: Service, request: Request<Incoming>) -> Answer {
        let this = self.clone();
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        match (service, method) {
            (Service::Pubsub, "Subscribe") => deliveries::subscribe(this, request),
            (Service::Pubsub, _) => unary::answer(this, request, pubsub::publish),
            (Service::Ping, _) => {
                unary::answer(this, request, async |_, _, PingRequest {}| Ok(PingResponse {}))
            }
            (Service::Control, "CreateCache") => unary::answer(this, request, control::create),
            (Service::Control, "DeleteCache") => unary::answer(this, request, control::delete),
            (Service::Control, "FlushCache") => unary::answer(this, request, control::flush),
            (Service::Control, _) => unary::answer(this, request, control::list),
            (Service::Token, _) => unary::answer(this, request, token::disposable),
            (Service::Auth, "GenerateApiToken") => unary::answer(this, request, token::api),
            (Service::Auth, _) => unary::answer(this, request, token::refresh),
        }
    }
}

impl Deref for Momento {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

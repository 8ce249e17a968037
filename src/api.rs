//! The enabled services behind one door: takes a request of a connection, finds the service by its
//! path, answers in a way every client understands.
//!
//! The list of methods comes from the descriptors, so what reflection lists is what can be called.
//! The `server` calls it through hyper's `Service`; tests and embedders may use tower's.

mod audit;
mod authenticate;
mod body;
mod caller;
mod frame;
#[cfg(fuzzing)]
pub mod fuzz;
mod health;
mod native;
mod observe;
mod peer;
mod reflection;
mod refusal;
mod reply;
mod rights;
mod status;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::watch;
use tonic::codegen::Service;

pub use audit::AUDIT_TARGET;
pub use body::Body;
pub use health::Phase;
pub use peer::{Asked, Peer};
use reply::Answer;
pub use reply::Reply;
use rights::Rights;

use crate::auth::Access;
use crate::broker::Broker;
use crate::error::Result;

/// What an operator decides about the APIs.
#[derive(Clone)]
pub struct Options {
    /// Largest request, bytes.
    pub max_message_bytes: usize,
    /// Who may do what.
    pub access: Arc<Access>,
    /// The log of the process, where it is the server's to change.
    pub logging: Option<Arc<dyn Logging>>,
}

/// The log of the process.
pub trait Logging: Send + Sync {
    /// What is logged.
    fn filter(&self) -> String;
    /// Changes what is logged, from now on. Errors: a filter that is none, with the field `filter`.
    fn set_filter(&self, filter: &str) -> Result<()>;
}

impl Default for Options {
    fn default() -> Self {
        let access = Arc::new(Access::open());
        Options { max_message_bytes: crate::limits::MESSAGE_BYTES_MAX, access, logging: None }
    }
}

/// All services of one server. A clone is a reference.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    routes: HashMap<String, Route>,
    health: health::Service,
    reflection: reflection::Services,
    rights: Rights,
    native: native::Native,
    observer: Arc<observe::Observer>,
}

/// The service that answers a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Bus,
    Admin,
    Monitor,
    Health,
    ReflectionV1,
    ReflectionV1Alpha,
}

impl Route {
    /// The service of this full name, if it is served here.
    fn of(service: &str) -> Option<Route> {
        match service {
            "bugle.v1.Bus" => Some(Route::Bus),
            "bugle.v1.Admin" => Some(Route::Admin),
            "bugle.v1.Monitor" => Some(Route::Monitor),
            "grpc.health.v1.Health" => Some(Route::Health),
            "grpc.reflection.v1.ServerReflection" => Some(Route::ReflectionV1),
            "grpc.reflection.v1alpha.ServerReflection" => Some(Route::ReflectionV1Alpha),
            _ => None,
        }
    }
}

impl Route {
    /// Whether it answers only to those who say who they are: not health, which balancers ask for, and
    /// reflection, which says what everybody can read in the contract.
    fn wants_to_know(self) -> bool {
        match self {
            Route::Bus | Route::Admin | Route::Monitor => true,
            Route::Health | Route::ReflectionV1 | Route::ReflectionV1Alpha => false,
        }
    }
}

impl Api {
    /// The services on this broker; health follows the phase. Fails only if the descriptors that
    /// are compiled in cannot be read.
    pub fn new(broker: Arc<Broker>, phase: watch::Receiver<Phase>, options: Options) -> Result<Self> {
        let routes = reflection::methods()?
            .into_iter()
            .filter_map(|(service, path)| Some((path, Route::of(&service)?)))
            .collect();
        let rights = Rights::new(options.access.clone());
        Ok(Api(Arc::new(Inner {
            routes,
            health: health::service(phase),
            reflection: reflection::services()?,
            observer: Arc::new(observe::Observer::new(&broker)),
            native: native::Native::new(broker, rights.clone(), &options),
            rights,
        })))
    }

    /// Ends, for ever, streams whose callers may not go on. The server runs it.
    pub async fn watch_rights(&self) {
        self.0.rights.watch().await;
    }

    /// Answers one request. A request that cannot be served is answered too, so this never fails.
    pub fn answer(&self, mut request: Request<Incoming>) -> Reply {
        let inner = &*self.0;
        let route = inner.routes.get(request.uri().path()).copied();
        let identified = match route {
            Some(route) if route.wants_to_know() => authenticate::identify(inner.rights.access(), &request),
            _ => Ok(None),
        };
        if let Ok(Some(identity)) = &identified {
            request.extensions_mut().insert(identity.clone());
        }
        let call = observe::Call::new(&inner.observer, &request, route.is_some());
        let route = match refusal::check(&request, route.is_some()) {
            Ok(()) => route,
            Err(response) => return Reply::new(Answer::Ready(Some(*response)), call),
        };
        if let Err(error) = identified {
            inner.rights.unknown(request.extensions().get::<Peer>().map(Peer::address), &error);
            return Reply::new(Answer::Ready(Some(status::status(error).into_http())), call);
        }
        let answer = match route {
            Some(Route::Health) => Answer::Generated(inner.health.clone().call(request)),
            Some(Route::ReflectionV1) => Answer::Generated((inner.reflection.v1)(request)),
            Some(Route::ReflectionV1Alpha) => Answer::Generated((inner.reflection.v1alpha)(request)),
            Some(Route::Bus) => inner.native.bus(request),
            Some(Route::Admin) => inner.native.admin(request),
            Some(Route::Monitor) => inner.native.monitor(request),
            None => Answer::Ready(Some(refusal::unknown_method(request.uri().path()))),
        };
        Reply::new(answer, call)
    }
}

impl hyper::service::Service<Request<Incoming>> for Api {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Reply;

    fn call(&self, request: Request<Incoming>) -> Reply {
        self.answer(request)
    }
}

impl Service<Request<Incoming>> for Api {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Reply;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Reply {
        self.answer(request)
    }
}

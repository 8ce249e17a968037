//! The enabled services behind one door: takes a request of a connection, finds the service by its
//! path, answers in a way every client understands.
//!
//! The list of methods comes from the descriptors, so what reflection lists is what can be called.
//! The `server` calls it through hyper's `Service`; tests and embedders may use tower's.

mod admission;
mod audit;
mod authenticate;
mod body;
mod caller;
mod console;
mod edge;
mod frame;
#[cfg(fuzzing)]
pub mod fuzz;
mod health;
mod host;
mod http;
mod intake;
mod momento;
mod native;
mod observe;
mod peer;
mod publishing;
mod reflection;
mod refusal;
mod reply;
mod rights;
mod status;
mod subscribing;
mod takeover;
mod written;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::watch;
use tonic::codegen::Service;

pub use audit::AUDIT_TARGET;
pub use body::Body;
use console::Console;
pub use health::Phase;
pub use momento::Options as MomentoOptions;
pub use peer::{Asked, Peer};
use reply::Answer;
pub use reply::Reply;
use rights::Rights;
pub use takeover::Takeover;

use crate::auth::{Access, Identity};
use crate::broker::Broker;
use crate::error::Result;
use crate::limits;
use crate::webhook::Webhooks;
use admission::Admission;
use host::Host;

/// What an operator decides about the APIs.
#[derive(Clone)]
pub struct Options {
    /// Largest request, bytes.
    pub max_message_bytes: usize,
    /// Who may do what.
    pub access: Arc<Access>,
    /// Calls at once on all connections together.
    pub max_streams: u64,
    /// Bytes of requests that have come in part.
    pub max_publish_bytes_in_flight: usize,
    /// The log of the process, where it is the server's to change.
    pub logging: Option<Arc<dyn Logging>>,
    /// The webhooks, where the server has any.
    pub webhooks: Option<Arc<Webhooks>>,
    /// How clients of Momento are served.
    pub momento: MomentoOptions,
    /// Whether there is a page at `/`.
    pub console: bool,
    /// Origins of pages that may use it from a browser.
    pub cors_origins: Vec<String>,
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
        Options {
            max_message_bytes: limits::MESSAGE_BYTES_MAX,
            access: Arc::new(Access::open()),
            max_streams: limits::STREAMS_MAX,
            max_publish_bytes_in_flight: usize::try_from(limits::PUBLISH_BYTES_IN_FLIGHT_MAX)
                .unwrap_or(usize::MAX),
            logging: None,
            webhooks: None,
            momento: MomentoOptions::default(),
            console: true,
            cors_origins: Vec::new(),
        }
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
    momento: momento::Momento,
    host: Host,
    console: Arc<Console>,
    admission: Admission,
    origins: edge::Origins,
    observer: Arc<observe::Observer>,
}

/// The service that answers a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Bus,
    Admin,
    Access,
    Monitor,
    Momento(momento::Service),
    Health,
    ReflectionV1,
    ReflectionV1Alpha,
    Http(http::Resource),
}

impl Route {
    /// The service of this full name, if it is served here.
    fn of(service: &str) -> Option<Route> {
        match service {
            "bugle.v1.Bus" => Some(Route::Bus),
            "bugle.v1.Admin" => Some(Route::Admin),
            "bugle.v1.Access" => Some(Route::Access),
            "bugle.v1.Monitor" => Some(Route::Monitor),
            "cache_client.pubsub.Pubsub" => Some(Route::Momento(momento::Service::Pubsub)),
            "cache_client.Ping" => Some(Route::Momento(momento::Service::Ping)),
            "control_client.ScsControl" => Some(Route::Momento(momento::Service::Control)),
            "token.Token" => Some(Route::Momento(momento::Service::Token)),
            "auth.Auth" => Some(Route::Momento(momento::Service::Auth)),
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
            Route::Bus | Route::Admin | Route::Access | Route::Monitor => true,
            Route::Momento(service) => service.wants_to_know(),
            Route::Health | Route::ReflectionV1 | Route::ReflectionV1Alpha => false,
            Route::Http(resource) => resource.wants_to_know(),
        }
    }
}

impl Route {
    /// Whether the metadata say who calls a method that would ask for it in the request.
    fn is_told<B>(self, request: &Request<B>) -> bool {
        let credential = || authenticate::credential(request.headers());
        matches!(self, Route::Momento(service) if service.is_told_in_request())
            && !matches!(credential(), Ok(None))
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
        let (streams_max, bytes_max) = (options.max_streams, options.max_publish_bytes_in_flight);
        let admission = Admission::new(&broker, streams_max, bytes_max);
        let host = Host::new(broker.clone(), rights.clone(), admission.clone(), &options);
        Ok(Api(Arc::new(Inner {
            routes,
            health: health::service(phase),
            reflection: reflection::services()?,
            observer: Arc::new(observe::Observer::new(&broker)),
            momento: momento::Momento::new(host.clone(), options.momento.clone()),
            native: native::Native::new(host.clone()),
            console: Arc::new(Console::new(host.clone(), options.console)),
            host,
            rights,
            admission,
            origins: edge::Origins::new(options.cors_origins),
        })))
    }

    /// Ends, for ever, streams whose callers may not go on. The server runs it.
    pub async fn watch_rights(&self) {
        self.0.rights.watch().await;
    }

    /// Answers one request. A request that cannot be served is answered too, so this never fails.
    pub fn answer(&self, mut request: Request<Incoming>) -> Reply {
        match self.0.origins.meet(&mut request) {
            edge::Met::Plain => self.route(request),
            edge::Met::Edge(edge) => self.route(request).at(Some(edge)),
            edge::Met::Answered(response) => {
                let call = observe::Call::new(&self.0.observer, &request, None);
                Reply::new(Answer::Ready(Some(*response)), call)
            }
        }
    }

    fn route(&self, mut request: Request<Incoming>) -> Reply {
        let inner = &*self.0;
        let path = request.uri().path();
        let route = inner.routes.get(path).copied().or_else(|| http::Resource::at(path).map(Route::Http));
        let admitted = route.map_or(Ok(()), |route| inner.admit(route, &mut request));
        let call = observe::Call::new(&inner.observer, &request, route);
        if let Some(Route::Http(resource)) = route {
            let answer = match admitted {
                Ok(()) => http::answer(&inner.host, &inner.console, resource, request),
                Err(error) => Answer::Ready(Some(status::http(error))),
            };
            return Reply::new(answer, call);
        }
        let route = match refusal::check(&request, route.is_some()) {
            Ok(()) => route,
            Err(response) => return Reply::new(Answer::Ready(Some(*response)), call),
        };
        if let Err(error) = admitted {
            let status = match route {
                Some(Route::Momento(_)) => momento::refused(error.into()),
                _ => status::status(error),
            };
            return Reply::new(Answer::Ready(Some(status.into_http())), call);
        }
        let answer = match route {
            Some(Route::Health) => Answer::Generated(inner.health.clone().call(request)),
            Some(Route::ReflectionV1) => Answer::Generated((inner.reflection.v1)(request)),
            Some(Route::ReflectionV1Alpha) => Answer::Generated((inner.reflection.v1alpha)(request)),
            Some(Route::Bus) => inner.native.bus(request),
            Some(Route::Admin) => inner.native.admin(request),
            Some(Route::Access) => inner.native.access(request),
            Some(Route::Monitor) => inner.native.monitor(request),
            Some(Route::Momento(service)) => inner.momento.answer(service, request),
            None | Some(Route::Http(_)) => Answer::Ready(Some(refusal::unknown_method(request.uri().path()))),
        };
        Reply::new(answer, call)
    }
}

impl Inner {
    /// Whether a call is looked at, and who makes it. Health is in any case: an orchestrator would end a
    /// server that is only busy.
    fn admit(&self, route: Route, request: &mut Request<Incoming>) -> Result<()> {
        let peer = request.extensions().get::<Peer>();
        self.admission.stream(peer, request.uri().path() == health::CHECK)?;
        if !route.wants_to_know() && !route.is_told(request) {
            return Ok(());
        }
        let identity = authenticate::identify(self.rights.access(), request, matches!(route, Route::Http(_)))
            .inspect_err(|error| self.rights.unknown(peer.map(Peer::address), error))?;
        self.admission.connection(peer, identity.as_ref().map(Identity::payer))?;
        if let Some(identity) = identity {
            request.extensions_mut().insert(identity);
        }
        Ok(())
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

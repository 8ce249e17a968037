//! The life of a server as types: [`Config`] → [`Server::bind`] → [`Server::run`] → [`Drained`].
//!
//! The listener and the shutdown future are arguments, so a test binds port 0 and knows the
//! address, and a program that embeds the bus decides when it ends. Whatever a server has started
//! ends with it: dropping it, or the future of `run`, closes every connection.
//!
//! An orderly end: health says NOT_SERVING, nothing new is accepted, every connection is told to
//! go away, the broker ends its subscriptions; what is still there after the grace is cut.

mod acceptor;
mod connection;
mod connections;
mod endpoint;
mod http1;
mod key_sets;
mod live;
mod origin;
mod pace;
mod protocol;
mod socket;
mod throttle;
mod tls;
mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

pub use live::{Live, create_key_in};

use crate::api::{self, Api, Phase};
use crate::auth::Access;
use crate::broker::{self, Broker};
use crate::config::{self, Config, format_bytes};
use crate::error::{Code, Error, Result};
use crate::limits::LISTEN_BACKLOG;
use crate::metrics::{Metrics, Readers};
use crate::quota::Quotas;
use crate::server::acceptor::Acceptor;
use crate::server::connections::Connections;
use crate::server::key_sets::KeySets;
use crate::store::unix_nanos;
use crate::telemetry::{Exporter, Logging, Signals, Target};
use crate::topic::Retention;
use crate::trace::{Operation, Recorder, Sampling, Span, Value};
use crate::webhook::Webhooks;

/// After the grace, connections that are cut get this long to notice.
const CUT_DEADLINE: Duration = Duration::from_secs(1);

/// How often it is noted how far webhooks are behind.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A server that has its address and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
    broker: Arc<Broker>,
    live: Live,
    phase: watch::Sender<Phase>,
    /// Where metrics and health are served.
    metrics: Option<(TcpListener, SocketAddr)>,
    /// The second listener, for clients of Momento.
    momento: Option<(TcpListener, SocketAddr)>,
    exporter: Option<Exporter>,
    logging: Option<Logging>,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still open after the grace and were cut.
    pub cut: usize,
}

impl Server {
    /// Takes the address of the configuration; port 0 takes a free port.
    pub async fn bind(config: Config) -> Result<Self> {
        let listener = listen(config.listen).map_err(|error| {
            Error::new(
                Code::Unavailable,
                format!("cannot listen on {}: {error}; choose another address with --listen", config.listen),
            )
            .because(error)
        })?;
        Server::with_listener(listener, config)
    }

    /// A server on a listener that is bound already. Has to be called inside a Tokio runtime.
    pub fn with_listener(listener: TcpListener, config: Config) -> Result<Self> {
        let address = listener.local_addr().map_err(|error| {
            Error::new(Code::Internal, format!("the listener has no address: {error}")).because(error)
        })?;
        if !config.auth.enabled && !config.auth.insecure && !address.ip().is_loopback() {
            let message = format!(
                "{address} is open to other machines while nobody has to say who they are; set auth.enabled, or say \
                 that this is meant with --insecure (auth.insecure)"
            );
            return Err(Error::new(Code::FailedPrecondition, message).reason("INSECURE"));
        }
        let (recorder, metrics) = observers(&config)?;
        let endpoint = config.metrics.listen.map(endpoint::bind).transpose()?;
        let momento = config.momento.listen.map(|address| second(address, &config)).transpose()?;
        let exporter = Exporter::start(&config, &recorder, &metrics)?;
        let mut live = Live::new(&config, metrics.state())?;
        let broker = Broker::observed(broker_options(&config, live.quotas.clone()), metrics, recorder);
        live.webhooks = Some(live::webhooks(&config, &broker)?);
        let (phase, _) = watch::channel(Phase::Serving);
        Ok(Server {
            listener,
            address,
            config,
            broker,
            live,
            phase,
            metrics: endpoint,
            momento,
            exporter,
            logging: None,
        })
    }

    /// Lets operators read and change the filter of this log through the API. Without it the API
    /// says that there is none.
    pub fn with_logging(mut self, logging: Logging) -> Self {
        self.logging = Some(logging);
        self
    }

    /// The log whose filter the API changes.
    pub fn logging(&self) -> Option<&Logging> {
        self.logging.as_ref()
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics and health are, if they are served.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// Where clients of Momento find it beside [`Server::local_addr`], if that was asked for.
    pub fn momento_addr(&self) -> Option<SocketAddr> {
        self.momento.as_ref().map(|(_, address)| *address)
    }

    /// The broker, for a program that publishes and subscribes in its own process.
    pub fn broker(&self) -> Arc<Broker> {
        Arc::clone(&self.broker)
    }

    /// What can be changed while it runs.
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// Serves until `shutdown` is ready, then drains: see the module.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Drained> {
        let Server { listener, address, config, broker, live, phase, metrics, momento, exporter, logging } =
            self;
        let metrics_address = metrics.as_ref().map(|(_, address)| *address);
        let _endpoint = metrics.map(|(listener, _)| {
            let endpoint = endpoint::run(listener, broker.metrics().clone(), phase.subscribe());
            AbortOnDropHandle::new(tokio::spawn(endpoint))
        });
        let mut key_sets = KeySets::new(live.access.clone());
        let webhooks = live.webhooks.clone();
        let options = api_options(&config, live.access.clone(), logging, webhooks.clone());
        let api = Api::new(Arc::clone(&broker), phase.subscribe(), options)?;
        let _looks = AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_INTERVAL).await;
                webhooks.iter().for_each(|webhooks| webhooks.look());
            }
        }));
        key_sets.begin().await;
        let _key_sets = AbortOnDropHandle::new(tokio::spawn(key_sets.follow()));
        let connections = Connections::new(&config.limits, broker.metrics().state());
        let rights = api.clone();
        let _rights = AbortOnDropHandle::new(tokio::spawn(async move { rights.watch_rights().await }));
        let _tls = live.tls.clone().map(|tls| AbortOnDropHandle::new(tokio::spawn(tls.watch())));
        let acceptor = Acceptor::new(&config, api.clone(), live.tls.clone(), &connections);
        say_that_it_serves(&config, address, metrics_address, momento.as_ref().map(|(_, address)| *address));
        tokio::select! {
            () = acceptor.run(&listener) => {}
            () = accept_momento(&config, api, live.tls, &connections, momento.as_ref()) => {}
            () = shutdown => {}
        }
        drop((listener, momento));
        tracing::info!(%address, connections = connections.len(), grace = ?config.drain_grace, "draining");
        let begun = unix_nanos();
        phase.send_replace(Phase::Draining);
        broker.drain(config.drain_grace);
        connections.drain();
        let cut = match tokio::time::timeout(config.drain_grace, connections.ended()).await {
            Ok(()) => 0,
            Err(_) => cut(&connections).await,
        };
        tell(broker.recorder(), begun, cut);
        if let Some(exporter) = exporter {
            exporter.end().await;
        }
        Ok(Drained { cut })
    }
}

/// What somebody who reads the log alone has to know of a server that began.
fn say_that_it_serves(
    config: &Config,
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    momento: Option<SocketAddr>,
) {
    let signals = Signals::of(&config.otlp);
    let pushed = |target: Option<&Target>| target.map(|it| format!("{} ({})", it.url, it.protocol()));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %address,
        metrics = metrics.map(tracing::field::display),
        momento = momento.map(tracing::field::display),
        otlp_traces = pushed(signals.traces()),
        otlp_metrics = pushed(signals.metrics()),
        memory_budget = format_bytes(config.memory_budget.0),
        tls = !config.tls.cert.is_empty(),
        authentication = config.auth.enabled,
        "serving"
    );
}

async fn cut(connections: &Connections) -> usize {
    let left = connections.len();
    tracing::warn!(connections = left, "the grace is over; cutting the connections that are left");
    connections.close();
    if tokio::time::timeout(CUT_DEADLINE, connections.ended()).await.is_err() {
        tracing::warn!("some tasks of cut connections have not ended yet");
    }
    left
}

/// A listener with room for a crowd: the standard library's queue holds 128 connections.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

/// Binds the second listener, for clients of Momento.
fn second(address: SocketAddr, config: &Config) -> Result<(TcpListener, SocketAddr)> {
    if config.tls.cert.is_empty() && !address.ip().is_loopback() {
        return Err(Error::new(Code::FailedPrecondition, config::momento_exposed(address)).reason("INSECURE"));
    }
    let bound = listen(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = bound.map_err(|error| {
        let message = format!("cannot listen on {address}: {error}; choose another address with --momento");
        Error::new(Code::Unavailable, message).because(error)
    })?;
    Ok((listener, address))
}

/// Accepts connections on the second listener for ever: without TLS on the loopback address, where the
/// local providers of Momento's clients speak none.
async fn accept_momento(
    config: &Config,
    api: Api,
    tls: Option<Arc<tls::Tls>>,
    connections: &Connections,
    momento: Option<&(TcpListener, SocketAddr)>,
) {
    let Some((listener, address)) = momento else { return std::future::pending().await };
    let tls = tls.filter(|_| !address.ip().is_loopback());
    Acceptor::new(config, api, tls, connections).run(listener).await;
}

/// The span of the drain.
fn tell(recorder: &Recorder, begun: u64, cut: usize) {
    let now = unix_nanos();
    if let Some(context) = recorder.event(Operation::Drain, now) {
        let span = Span::new(Operation::Drain, None, context, begun, now);
        recorder.record(span.with("bugle.connections.cut", Value::Count(cut as u64)));
    }
}

/// What counts and traces the work of this server, as the configuration wants it.
fn observers(config: &Config) -> Result<(Arc<Recorder>, Arc<Metrics>)> {
    let (signals, traces) = (Signals::of(&config.otlp), &config.traces);
    let sampling = Sampling {
        parent_based: traces.parent_based,
        ratio: traces.ratio,
        topic_floor: traces.topic_floor,
        topic_cap: traces.topic_cap,
    };
    let recorder = match signals.traces().is_some() {
        true => Recorder::exporting(sampling, traces.spans_per_second),
        false => Recorder::off(),
    };
    let readers = Readers {
        scraped: config.metrics.listen.is_some(),
        pushed: signals.metrics().is_some(),
        topics: usize::try_from(config.metrics.topics).unwrap_or(usize::MAX),
    };
    let metrics = Metrics::new(readers, &recorder)?;
    Ok((recorder, metrics))
}

fn broker_options(config: &Config, quotas: Arc<Quotas>) -> broker::Options {
    broker::Options {
        memory_budget: config.memory_budget.bytes(),
        auto_create: config.topics.auto_create,
        namespaces: config.namespaces.clone(),
        retention: Retention {
            bytes: config.retention.bytes.0,
            messages: config.retention.messages,
            age: config.retention.age,
        },
        idle_close_after: config.topics.idle_close_after,
        heartbeat_interval: config.delivery.heartbeat_interval,
        stall_timeout: config.delivery.stall_timeout,
        max_batch_bytes: config.delivery.max_batch_bytes.bytes(),
        quotas,
    }
}

fn api_options(
    config: &Config,
    access: Arc<Access>,
    logging: Option<Logging>,
    webhooks: Option<Arc<Webhooks>>,
) -> api::Options {
    let logging = logging.map(|logging| Arc::new(logging) as Arc<dyn api::Logging>);
    let limits = &config.limits;
    api::Options {
        max_message_bytes: limits.max_message_bytes.bytes(),
        max_streams: limits.max_streams,
        max_publish_bytes_in_flight: limits.max_publish_bytes_in_flight.bytes(),
        access,
        logging,
        webhooks,
        momento: api::MomentoOptions {
            heartbeat_interval: config.momento.heartbeat_interval,
            replays_latest: config.momento.replay_on_fresh_subscribe == "latest",
            endpoint: config.momento.endpoint.clone(),
        },
        console: config.http.console,
        cors_origins: config.http.cors_origins.clone(),
    }
}

impl api::Logging for Logging {
    fn filter(&self) -> String {
        Logging::filter(self)
    }

    fn set_filter(&self, filter: &str) -> Result<()> {
        Logging::set_filter(self, filter)
    }
}

//! Every option of the server: what it is, its default, where it may come from.
//!
//! [`OPTIONS`] is the one table that drives the file (`limits.max_connections`), the environment
//! (`BUGLE_LIMITS_MAX_CONNECTIONS`), the flags (`--set limits.max_connections=…`), `serve --check`
//! and the documentation. Later sources win: defaults, file, the `OTEL_` variables that everybody
//! knows, the environment, flags. All mistakes are reported at once, each with the place it stands
//! in.
//!
//! The command line gathers the sources, [`Loaded`] is the outcome, and `server` is bound to a
//! [`Config`].

mod access;
mod filter;
mod issuers;
mod load;
mod loaded;
mod memory;
mod mistake;
mod momento;
mod nearest;
mod quotas;
mod signals;
mod standard;
mod table;
mod tables;
mod units;
mod value;
mod webhooks;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub use access::{Auth, Tls, policy};
pub use filter::Filter;
pub use load::{Setting, Sources};
pub use loaded::Loaded;
pub use mistake::{Mistake, Mistakes, Origin};
pub use momento::{Momento, exposed as momento_exposed};
pub use signals::{Log, Metrics, Otlp, Traces};
pub use standard::PREFIX as STANDARD_PREFIX;
pub use table::{OPTIONS, Opt, option};
pub use tables::{Entries, Wrong};
pub use units::format_bytes;
pub use value::{Field, Kind, Raw, Size, Value};
pub use webhooks::{Endpoint, Webhooks};

use crate::limits;
use crate::topic::Namespace;
use crate::{auth, quota};

/// The port of the bus when nothing else is said.
pub const PORT: u16 = 7600;
/// The port of the metrics when nothing else is said.
pub const METRICS_PORT: u16 = 7601;

/// How a server is set up. The default is what an empty configuration means.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Threads that serve connections.
    pub threads: u64,
    /// Most memory that messages, topics and subscriptions may take.
    pub memory_budget: Size,
    /// From the first signal to the end of the process, at most.
    pub drain_grace: Duration,
    /// Whether a crash of `bugle serve` may leave a core dump.
    pub core_dumps: bool,
    /// Namespaces that exist from the start, beside `default`.
    pub namespaces: Vec<Namespace>,
    /// When topics appear and are closed.
    pub topics: Topics,
    /// What a topic keeps when nothing else is said.
    pub retention: Retention,
    /// How subscriptions are served.
    pub delivery: Delivery,
    /// What clients may use.
    pub limits: Limits,
    /// Encryption.
    pub tls: Tls,
    /// Who calls.
    pub auth: Auth,
    /// Who may do what.
    pub policies: Vec<auth::Rule>,
    /// Names for those who may.
    pub roles: Vec<auth::Role>,
    /// Whose JWTs are taken.
    pub issuers: Vec<auth::Issuer>,
    /// What each namespace or principal may use.
    pub quotas: Vec<quota::Rule>,
    /// Webhooks as a whole.
    pub webhooks: Webhooks,
    /// Webhooks that are there from the start.
    pub endpoints: Vec<Endpoint>,
    /// How clients of Momento are served.
    pub momento: Momento,
    /// How dead peers are found.
    pub keepalive: Keepalive,
    /// What speaks HTTP and no gRPC.
    pub http: Http,
    /// Where the metrics are.
    pub metrics: Metrics,
    /// Where traces and metrics are pushed to.
    pub otlp: Otlp,
    /// What is traced.
    pub traces: Traces,
    /// What is logged.
    pub log: Log,
}

/// The section `topics`.
#[derive(Debug, Clone)]
pub struct Topics {
    /// Whether a topic is made on first use.
    pub auto_create: bool,
    /// An empty topic without subscriptions is closed after this long.
    pub idle_close_after: Duration,
}

/// The section `retention`.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Bytes a topic keeps.
    pub bytes: Size,
    /// Messages a topic keeps.
    pub messages: u64,
    /// How long a topic keeps a message.
    pub age: Duration,
}

/// The section `delivery`.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Upper bound of one response to a subscriber.
    pub max_batch_bytes: Size,
    /// A live subscription hears something this often.
    pub heartbeat_interval: Duration,
    /// A subscriber with data pending and no progress is cut after this long.
    pub stall_timeout: Duration,
}

/// The section `limits`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once.
    pub max_connections: u64,
    /// Connections at once from one IP address.
    pub max_connections_per_address: u64,
    /// Connections at once that have not sent a request yet.
    pub max_handshakes: u64,
    /// Connections at once from one IP address that have not sent a request yet.
    pub max_handshakes_per_address: u64,
    /// Connections a second from one IP address.
    pub connections_per_second_per_address: u64,
    /// From accept to the first request.
    pub handshake_deadline: Duration,
    /// Streams at once on one connection.
    pub max_streams_per_connection: u64,
    /// Streams at once on all connections together.
    pub max_streams: u64,
    /// Largest request.
    pub max_message_bytes: Size,
    /// Bytes of requests that have come in part.
    pub max_publish_bytes_in_flight: Size,
    /// Largest header list of a request.
    pub max_header_bytes: Size,
    /// Flow-control window of a connection.
    pub connection_window: Size,
    /// Flow-control window of a stream.
    pub stream_window: Size,
}

/// The section `http`.
#[derive(Debug, Clone)]
pub struct Http {
    /// Whether the console is at `/`.
    pub console: bool,
    /// Pages of which other origins may ask: `https://app.example`, or `*` for all.
    pub cors_origins: Vec<String>,
}

/// The section `keepalive`.
#[derive(Debug, Clone)]
pub struct Keepalive {
    /// Ping after this long without a frame.
    pub interval: Duration,
    /// A ping not answered in this time ends the connection.
    pub timeout: Duration,
}

/// Half of the cores, and one at least: the kernel's side of the network needs the rest, and every
/// further thread costs wake-ups. On two cores shared with the clients one thread delivered 16.2
/// million single messages a second to 100 subscribers and two 13.4 (medians of three paired runs
/// of `bugle bench --subscribers 100`), and the median latency at 10,000 a second 1 → 1 was 125 µs
/// against 165.
fn threads() -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores as u64 / 2).max(1)
}

impl Default for Config {
    fn default() -> Self {
        let share = memory::available() / limits::MEMORY_BUDGET_DIVISOR;
        // Whole MiB, so that it reads well.
        let budget = (share & !0xf_ffff).max(limits::MEMORY_BUDGET_BYTES_MIN);
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            threads: threads(),
            memory_budget: Size(budget),
            drain_grace: limits::DRAIN_GRACE_DEFAULT,
            core_dumps: false,
            namespaces: Vec::new(),
            topics: Topics { auto_create: true, idle_close_after: limits::IDLE_CLOSE_DEFAULT },
            retention: Retention {
                bytes: Size(limits::RETENTION_BYTES_DEFAULT),
                messages: limits::RETENTION_MESSAGES_DEFAULT,
                age: limits::RETENTION_AGE_DEFAULT,
            },
            delivery: Delivery {
                max_batch_bytes: Size(limits::BATCH_BYTES_DEFAULT as u64),
                heartbeat_interval: limits::HEARTBEAT_DEFAULT,
                stall_timeout: limits::STALL_TIMEOUT_DEFAULT,
            },
            limits: Limits {
                max_connections: limits::CONNECTIONS_MAX as u64,
                max_connections_per_address: limits::CONNECTIONS_MAX as u64,
                max_handshakes: limits::HANDSHAKES_MAX as u64,
                max_handshakes_per_address: limits::HANDSHAKES_PER_ADDRESS_MAX as u64,
                connections_per_second_per_address: limits::CONNECTIONS_PER_SECOND_PER_ADDRESS,
                handshake_deadline: limits::HANDSHAKE_DEADLINE,
                max_streams_per_connection: u64::from(limits::STREAMS_PER_CONNECTION_MAX),
                max_streams: limits::STREAMS_MAX,
                max_message_bytes: Size(limits::MESSAGE_BYTES_MAX as u64),
                max_publish_bytes_in_flight: Size(limits::PUBLISH_BYTES_IN_FLIGHT_MAX),
                max_header_bytes: Size(u64::from(limits::HEADER_LIST_BYTES_MAX)),
                connection_window: Size(u64::from(limits::CONNECTION_WINDOW_BYTES)),
                stream_window: Size(u64::from(limits::STREAM_WINDOW_BYTES)),
            },
            tls: Tls::default(),
            auth: Auth::default(),
            policies: Vec::new(),
            roles: Vec::new(),
            issuers: Vec::new(),
            quotas: Vec::new(),
            webhooks: Webhooks::default(),
            endpoints: Vec::new(),
            keepalive: Keepalive { interval: limits::KEEPALIVE_INTERVAL, timeout: limits::KEEPALIVE_TIMEOUT },
            momento: Momento::default(),
            http: Http { console: true, cors_origins: Vec::new() },
            metrics: Metrics::default(),
            otlp: Otlp::default(),
            traces: Traces::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// What is wrong between options that are each right: pairs of the later key and the reason.
    fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.limits.max_message_bytes > self.memory_budget {
            found.push((
                "limits.max_message_bytes",
                "is larger than memory_budget; the largest request has to fit it".to_owned(),
            ));
        }
        if self.limits.max_message_bytes > self.limits.max_publish_bytes_in_flight {
            found.push((
                "limits.max_publish_bytes_in_flight",
                "is smaller than limits.max_message_bytes; the largest request has to fit it".to_owned(),
            ));
        }
        if self.limits.stream_window > self.limits.connection_window {
            found.push((
                "limits.stream_window",
                "is larger than limits.connection_window; one stream that is not read would block \
                 all others of its connection"
                    .to_owned(),
            ));
        }
        if self.metrics.listen.is_some_and(|metrics| collide(metrics, self.listen)) {
            found.push((
                "metrics.listen",
                format!("takes the port {} of `listen`; give it another one, or off", self.listen.port()),
            ));
        }
        if self.traces.topic_floor > self.traces.topic_cap {
            found.push((
                "traces.topic_floor",
                "is more than traces.topic_cap; what is begun at least cannot be more than what is \
                 begun at most"
                    .to_owned(),
            ));
        }
        if !self.auth.enabled && !self.auth.insecure && !self.listen.ip().is_loopback() {
            found.push((
                "listen",
                format!(
                    "{} is open to other machines while nobody has to say who they are; set auth.enabled, or say \
                     that this is meant with --insecure (auth.insecure)",
                    self.listen
                ),
            ));
        }
        found.extend(self.tls.contradictions());
        found.extend(self.momento.contradictions(self));
        found.extend(quotas::contradiction(&self.quotas).map(|problem| ("quotas", problem)));
        found.extend(access::contradictions(&self.policies, &self.roles));
        found.extend(issuers::contradictions(&self.issuers));
        found.extend(webhooks::contradictions(&self.webhooks, &self.endpoints));
        found
    }
}

/// Whether two addresses cannot be listened on at once.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let is_same_host = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && is_same_host
}

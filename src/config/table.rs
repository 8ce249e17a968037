//! The table of all options. To add one: a field in [`Config`], its default, and a row here.

use std::time::Duration;

use crate::config::Config;
use crate::config::value::{Field, Kind, Value};
use crate::limits;

/// One option.
pub struct Opt {
    /// Its name in the file, with its section: `limits.max_connections`.
    pub key: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// Its value in a configuration.
    pub get: fn(&Config) -> Value,
    /// Sets it in a configuration; whether the value was of the right kind.
    pub put: fn(&mut Config, Value) -> bool,
}

impl Opt {
    /// Its name in the environment: `BUGLE_LIMITS_MAX_CONNECTIONS`.
    pub fn variable(&self) -> String {
        format!("BUGLE_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }
}

/// The option of this key.
pub fn option(key: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.key == key)
}

macro_rules! options {
    ($($($field:ident).+ : $kind:expr, $doc:expr;)*) => {
        /// Every option, in the order of the documentation: first those without a section.
        pub const OPTIONS: &[Opt] = &[$(Opt {
            key: join!($($field).+),
            kind: $kind,
            doc: $doc,
            get: |config| Field::get(&config.$($field).+),
            put: |config, value| Field::put(&mut config.$($field).+, value),
        },)*];
    };
}

macro_rules! join {
    ($key:ident) => {
        stringify!($key)
    };
    ($section:ident . $key:ident) => {
        concat!(stringify!($section), ".", stringify!($key))
    };
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const TIB: u64 = 1024 * 1024 * MIB;
/// How OTLP is spoken.
const PROTOCOLS: &[&str] = &["auto", "grpc", "http/protobuf"];
/// HTTP/2 allows no larger flow-control window.
const WINDOW_MAX: u64 = (1 << 31) - 1;
/// HTTP/2 allows no smaller one by default, and smaller ones only slow things down.
const WINDOW_MIN: u64 = 64 * KIB - 1;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

options! {
    listen: Kind::Address,
        "Where to listen. Port 0 takes a free port.";
    threads: Kind::Count(1, 1024),
        "Threads that serve connections. The default is half of the cores, for the kernel's side of \
         the network needs the rest.";
    memory_budget: Kind::Bytes(limits::MEMORY_BUDGET_BYTES_MIN, 1024 * TIB),
        "Most memory that messages, topics and subscriptions may take. Over it the oldest retained \
         messages go. The default is a quarter of the memory this process may use, control groups \
         included.";
    drain_grace: Kind::Duration(millis(0), days(1)),
        "On SIGTERM or SIGINT clients get this long to leave before their connections are closed.";
    core_dumps: Kind::Switch,
        "Whether a crash may leave a core dump, which has messages, credentials and secrets in it. Unless it \
         may, the server sets its limit for core dumps (RLIMIT_CORE) to 0.";
    namespaces: Kind::Names,
        "Namespaces that exist from the start, beside \"default\".";
    tls.cert: Kind::Path,
        "The certificate of the listener in PEM, followed by those between it and its authority. With it \
         only TLS is spoken. This file and the others of TLS are read again when they change.";
    tls.key: Kind::Path,
        "The private key of the certificate, in PEM.";
    tls.client_ca: Kind::Path,
        "The authorities whose clients are trusted, in PEM.";
    tls.crl: Kind::Path,
        "Lists of certificates that those have revoked, in PEM.";
    tls.client_auth: Kind::Choice(&["off", "optional", "required"]),
        "Whether clients are asked for a certificate. The one that they show proves who they are, by its \
         subject alternative name: the principal cert:NAME.";
    auth.enabled: Kind::Switch,
        "Whether callers have to prove who they are, by an API key, a token, a JWT or a certificate, and \
         may do only what a policy allows.";
    auth.insecure: Kind::Switch,
        "Lets a server that asks nobody who they are listen beyond the loopback address: everybody who \
         reaches it may do everything.";
    auth.keys_file: Kind::Path,
        "The file in which the API keys are kept, hashed; it is made with the first key. Without one they \
         end with the server.";
    auth.token_secret_file: Kind::Path,
        "A file with a secret of 32 bytes or more that disposable tokens are signed with. Without one a \
         secret is made at each start, and tokens end with the server.";
    topics.auto_create: Kind::Switch,
        "Whether a topic is made when somebody first publishes or subscribes to it.";
    topics.idle_close_after: Kind::Duration(secs(1), days(365)),
        "A topic that is empty and has no subscriptions is closed after this long.";
    retention.bytes: Kind::Bytes(KIB, 1024 * TIB),
        "Bytes of messages a topic keeps, unless the topic says otherwise.";
    retention.messages: Kind::Count(1, i64::MAX as u64),
        "Messages a topic keeps, unless the topic says otherwise.";
    retention.age: Kind::Duration(millis(1), days(36_500)),
        "How long a topic keeps a message, unless the topic says otherwise.";
    delivery.max_batch_bytes: Kind::Bytes(KIB, limits::BATCH_BYTES_MAX as u64),
        "Upper bound of one response to a subscriber that does not ask for less.";
    delivery.heartbeat_interval: Kind::Duration(limits::HEARTBEAT_MIN, limits::HEARTBEAT_MAX),
        "A live subscription hears something this often, unless the client asks for another interval.";
    delivery.stall_timeout: Kind::Duration(millis(100), days(1)),
        "A subscriber that has data pending and takes none is cut after this long; it can resume.";
    limits.max_connections: Kind::Count(1, 10_000_000),
        "Connections at once; more are closed as they come.";
    limits.max_connections_per_address: Kind::Count(1, 10_000_000),
        "Connections at once from one IP address; more are closed as they come. Many clients behind \
         one proxy or NAT share an address, so the default leaves this to limits.max_connections.";
    limits.max_handshakes: Kind::Count(1, 1_000_000),
        "Connections at once that have not sent their first request; more have to wait.";
    limits.max_handshakes_per_address: Kind::Count(1, 1_000_000),
        "Connections at once from one IP address (of IPv6: its /64 network) that have not sent their \
         first request; more wait behind them, and those of other addresses pass.";
    limits.connections_per_second_per_address: Kind::Count(1, 10_000_000),
        "Connections a second from one IP address (of IPv6: its /64 network); ten times as many may come \
         at once, more are closed as they come.";
    limits.handshake_deadline: Kind::Duration(millis(10), secs(3600)),
        "A connection that has not sent its first request after this long is closed.";
    limits.max_streams_per_connection: Kind::Count(1, 1_000_000),
        "Calls and subscriptions at once on one connection.";
    limits.max_streams: Kind::Count(1, 100_000_000),
        "Calls and subscriptions at once on all connections together; more are refused.";
    limits.max_message_bytes: Kind::Bytes(KIB, limits::MESSAGE_BYTES_CEILING as u64),
        "Largest request, and so the largest batch of messages.";
    limits.max_publish_bytes_in_flight: Kind::Bytes(KIB, 1024 * TIB),
        "Bytes of requests that have come in part and are not finished, of all connections together; \
         more are refused. They are a part of memory_budget too.";
    limits.max_header_bytes: Kind::Bytes(KIB, MIB),
        "Largest header list of a request.";
    limits.connection_window: Kind::Bytes(WINDOW_MIN, WINDOW_MAX),
        "HTTP/2 flow-control window of a connection. Much larger than that of a stream, so that one \
         stream that is not read blocks no other.";
    limits.stream_window: Kind::Bytes(WINDOW_MIN, WINDOW_MAX),
        "HTTP/2 flow-control window of a stream: what one publisher may have under way.";
    webhooks.max_concurrent: Kind::Count(1, 10_000),
        "Requests to endpoints of webhooks at once, of all webhooks together.";
    webhooks.allow: Kind::Hosts,
        "Networks, addresses and names of hosts that webhooks may talk to beside the public internet. Others \
         that are private, loopback, link-local or otherwise not public are refused, whatever name they have.";
    webhooks.ca: Kind::Path,
        "Authorities of endpoints to trust beside those of the system, in PEM.";
    webhooks.retry_initial: Kind::Duration(millis(1), secs(3600)),
        "Upper bound of the wait behind the first failure of an endpoint; it doubles with each further one.";
    webhooks.retry_max: Kind::Duration(millis(1), days(1)),
        "Upper bound of all such waits; five times as much between the probes of an endpoint that is dead.";
    momento.listen: Kind::AddressOrOff,
        "A second address for clients of Momento, such as 127.0.0.1:8080, where their local providers look. \
         On a loopback address no TLS is spoken, on others that of the main one, which answers them too.";
    momento.heartbeat_interval: Kind::Duration(limits::HEARTBEAT_MIN, limits::HEARTBEAT_MAX),
        "A subscription of a Momento client that waits hears something this often.";
    momento.replay_on_fresh_subscribe: Kind::Choice(&["latest", "none"]),
        "Whether a fresh subscription of a Momento client begins with the newest message that is retained.";
    momento.endpoint: Kind::Path,
        "What tokens that Momento clients ask for name as the server's endpoint, such as bugle.example.com. \
         Empty is where their call went.";
    keepalive.interval: Kind::Duration(millis(100), days(1)),
        "A connection that was silent for this long is pinged.";
    keepalive.timeout: Kind::Duration(millis(100), days(1)),
        "A connection that does not answer a ping in this time is closed.";
    http.console: Kind::Switch,
        "Whether there is a page at / that shows the topics as they live. It is shown to everybody; what it shows \
         is asked for with the credential of whoever looks.";
    http.cors_origins: Kind::Origins,
        "Origins of web pages that may use this server from a browser (CORS), beside those that it serves itself: \
         over HTTP, WebSocket and gRPC-Web.";
    metrics.listen: Kind::AddressOrOff,
        "Where metrics (/metrics, for Prometheus) and health (/healthz, /readyz) are served over HTTP.";
    metrics.topics: Kind::Count(0, limits::METRIC_TOPICS_MAX),
        "So many open topics have metrics of their own; all others are counted together, as \"other\".";
    metrics.push_interval: Kind::Duration(millis(100), days(1)),
        "How often metrics are pushed over OTLP, where otlp names an endpoint.";
    otlp.endpoint: Kind::Url,
        "Where traces and metrics are pushed to over OTLP. With http/protobuf /v1/traces and \
         /v1/metrics are appended. Empty pushes nothing.";
    otlp.traces_endpoint: Kind::Url,
        "Where traces are pushed to instead, with nothing appended. Empty leaves it to otlp.endpoint.";
    otlp.metrics_endpoint: Kind::Url,
        "Where metrics are pushed to instead, with nothing appended. Empty leaves it to otlp.endpoint.";
    otlp.protocol: Kind::Choice(PROTOCOLS),
        "How it is pushed. auto is http/protobuf where the URL has the port 4318 or a path of it \
         (/v1/traces, /v1/metrics), and grpc elsewhere.";
    otlp.traces_protocol: Kind::Choice(PROTOCOLS),
        "How traces are pushed instead; auto leaves it to otlp.protocol.";
    otlp.metrics_protocol: Kind::Choice(PROTOCOLS),
        "How metrics are pushed instead; auto leaves it to otlp.protocol.";
    otlp.traces: Kind::Switch,
        "Whether traces are pushed, where there is an endpoint.";
    otlp.metrics: Kind::Switch,
        "Whether metrics are pushed, where there is an endpoint.";
    traces.ratio: Kind::Ratio,
        "The part of the requests that come without a trace which begin one.";
    traces.parent_based: Kind::Switch,
        "Whether what comes with a trace is traced exactly when its caller is.";
    traces.topic_floor: Kind::Count(0, limits::TOPIC_TRACES_MAX),
        "Traces a second of each topic that are begun whatever the ratio says, so that a quiet topic \
         is seen too.";
    traces.topic_cap: Kind::Count(0, limits::TOPIC_TRACES_MAX),
        "Most traces a second of each topic that are begun without a parent, so that a busy topic \
         does not crowd out the others.";
    traces.spans_per_second: Kind::Count(0, limits::SPANS_PER_SECOND_MAX),
        "Most spans a second that are recorded of requests and deliveries; more are counted and dropped. \
         Probes and the few spans of trouble come beside them.";
    log.level: Kind::Filter,
        "What is logged: of Bugle's own lines those of this level and all before it (error, warn, \
         info, debug, trace); of the libraries below only warnings. It can be changed while the \
         server runs.";
    log.format: Kind::Choice(&["auto", "pretty", "json"]),
        "How it is logged: pretty, json, or auto, which is pretty on a terminal and json otherwise.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Raw;

    #[test]
    fn every_default_is_a_value_its_option_accepts_and_prints() {
        let mut config = Config::default();
        for option in OPTIONS {
            let value = (option.get)(&config);
            let text = value.to_string();
            let raw = match &value {
                Value::Names(_) | Value::Origins(_) => Raw::List(Vec::new()),
                _ => Raw::Text(text.trim_matches('"').to_owned()),
            };
            assert_eq!(option.kind.parse(&raw), Ok(value.clone()), "{}", option.key);
            assert!((option.put)(&mut config, value), "{}", option.key);
        }
    }

    #[test]
    fn keys_and_variables_are_unique() {
        let mut names: Vec<String> = OPTIONS.iter().map(Opt::variable).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), OPTIONS.len());
    }
}

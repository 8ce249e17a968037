//! The sections about what a server tells of itself: `metrics`, `otlp`, `traces` and `log`.
//!
//! The names and meanings are those of OpenTelemetry where it has any, and its environment
//! variables say the same things: see `standard`. Nothing is pushed anywhere by default, and the
//! metrics are open to this machine alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::config::METRICS_PORT;
use crate::limits;

/// The section `metrics`.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Where metrics and health are served over HTTP; `None` is nowhere.
    pub listen: Option<SocketAddr>,
    /// Topics with series of their own; all others share one.
    pub topics: u64,
    /// How often metrics are pushed over OTLP.
    pub push_interval: Duration,
}

/// The section `otlp`. An empty URL is one that was not given.
#[derive(Debug, Clone)]
pub struct Otlp {
    /// Where traces and metrics go.
    pub endpoint: String,
    /// Where traces go instead.
    pub traces_endpoint: String,
    /// Where metrics go instead.
    pub metrics_endpoint: String,
    /// `auto`, `grpc` or `http/protobuf`.
    pub protocol: &'static str,
    /// The same for traces alone; `auto` leaves it to `protocol`.
    pub traces_protocol: &'static str,
    /// The same for metrics alone; `auto` leaves it to `protocol`.
    pub metrics_protocol: &'static str,
    /// Whether traces are pushed, if there is an endpoint.
    pub traces: bool,
    /// Whether metrics are pushed, if there is an endpoint.
    pub metrics: bool,
}

/// The section `traces`.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The part of the calls without a parent that begin a trace.
    pub ratio: f64,
    /// Whether a parent decides for its children.
    pub parent_based: bool,
    /// Traces a second of each topic that are begun whatever the ratio says.
    pub topic_floor: u64,
    /// Most traces a second of each topic that are begun without a parent.
    pub topic_cap: u64,
    /// Most spans a second.
    pub spans_per_second: u64,
}

/// The section `log`.
#[derive(Debug, Clone)]
pub struct Log {
    /// A [`Filter`](crate::config::Filter), as its text.
    pub level: String,
    /// `auto`, `pretty` or `json`.
    pub format: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, METRICS_PORT))),
            topics: limits::METRIC_TOPICS_DEFAULT,
            push_interval: limits::PUSH_INTERVAL_DEFAULT,
        }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Otlp {
            endpoint: String::new(),
            traces_endpoint: String::new(),
            metrics_endpoint: String::new(),
            protocol: "auto",
            traces_protocol: "auto",
            metrics_protocol: "auto",
            traces: true,
            metrics: true,
        }
    }
}

impl Default for Traces {
    fn default() -> Self {
        Traces {
            ratio: limits::TRACE_RATIO_DEFAULT,
            parent_based: true,
            topic_floor: limits::TOPIC_TRACES_FLOOR_DEFAULT,
            topic_cap: limits::TOPIC_TRACES_CAP_DEFAULT,
            spans_per_second: limits::SPANS_PER_SECOND_DEFAULT,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".to_owned(), format: "auto" }
    }
}

//! The exporters of OpenTelemetry's library, made from our options. Headers, time limits and
//! compression are theirs, by the standard `OTEL_EXPORTER_OTLP_…` variables.
//!
//! The thread that pushes makes its own. An endpoint that cannot be used is told when they are made,
//! that is when the server starts.

use std::time::Duration;

use http::Uri;

use opentelemetry_http::HttpClient;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    MetricExporter, OTEL_EXPORTER_OTLP_METRICS_TIMEOUT, OTEL_EXPORTER_OTLP_TIMEOUT,
    OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::SpanExporter as _;

use crate::config::Otlp;
use crate::error::{Code, Error, Result};

/// What is pushed, and where to.
pub struct Signals {
    traces: Option<Target>,
    metrics: Option<Target>,
}

/// Where a signal goes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The whole URL.
    pub url: String,
    /// The option that says so.
    key: &'static str,
    is_grpc: bool,
}

impl Signals {
    /// What the options say.
    pub fn of(otlp: &Otlp) -> Signals {
        let target = |own: &str, key, protocol: &'static str, path: &str| {
            let (url, key) =
                if own.is_empty() { (otlp.endpoint.as_str(), "otlp.endpoint") } else { (own, key) };
            let protocol = if protocol == "auto" { otlp.protocol } else { protocol };
            let is_grpc = protocol == "grpc" || protocol == "auto" && !looks_like_http(url);
            // One URL for all signals is a base, as the specification has it.
            let url = match own.is_empty() && !is_grpc {
                true => format!("{}{path}", url.trim_end_matches('/')),
                false => url.to_owned(),
            };
            Target { url, key, is_grpc }
        };
        let is_pushed = |is_on: bool, own: &str| is_on && !(own.is_empty() && otlp.endpoint.is_empty());
        let (traces, metrics) = (&otlp.traces_endpoint, &otlp.metrics_endpoint);
        Signals {
            traces: is_pushed(otlp.traces, traces)
                .then(|| target(traces, "otlp.traces_endpoint", otlp.traces_protocol, TRACES_PATH)),
            metrics: is_pushed(otlp.metrics, metrics)
                .then(|| target(metrics, "otlp.metrics_endpoint", otlp.metrics_protocol, METRICS_PATH)),
        }
    }

    /// Where spans are pushed to, if they are.
    pub fn traces(&self) -> Option<&Target> {
        self.traces.as_ref()
    }

    /// Where metrics are pushed to, if they are.
    pub fn metrics(&self) -> Option<&Target> {
        self.metrics.as_ref()
    }

    /// Whether nothing is pushed.
    pub fn is_nothing(&self) -> bool {
        self.traces.is_none() && self.metrics.is_none()
    }
}

impl Target {
    /// How it is spoken, as the option has it.
    pub fn protocol(&self) -> &'static str {
        if self.is_grpc { "grpc" } else { "http/protobuf" }
    }

    /// What to try where it is not answered: the two protocols have a port each by custom, and each
    /// looks like a broken connection to the other.
    pub fn hint(&self) -> Option<&'static str> {
        match (self.is_grpc, port(&self.url)) {
            (true, Some(HTTP_PORT)) => Some("port 4318 mostly speaks http/protobuf: set otlp.protocol"),
            (false, Some(GRPC_PORT)) => Some("port 4317 mostly speaks grpc: set otlp.protocol"),
            _ => None,
        }
    }
}

const TRACES_PATH: &str = "/v1/traces";
const METRICS_PATH: &str = "/v1/metrics";
/// The ports of OTLP by its specification.
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

fn port(url: &str) -> Option<u16> {
    url.parse::<Uri>().ok()?.port_u16()
}

fn looks_like_http(url: &str) -> bool {
    let has_path = [TRACES_PATH, METRICS_PATH].iter().any(|path| url.trim_end_matches('/').ends_with(path));
    has_path || port(url) == Some(HTTP_PORT)
}

/// The exporter of spans, if they are pushed.
pub fn spans(signals: &Signals, resource: &Resource) -> Result<Option<SpanExporter>> {
    let Some(target) = &signals.traces else { return Ok(None) };
    let (url, limit) = (&target.url, limit(OTEL_EXPORTER_OTLP_TRACES_TIMEOUT));
    let built = if target.is_grpc {
        let builder = SpanExporter::builder().with_tonic().with_endpoint(url);
        match tls(url) {
            Some(tls) => builder.with_tls_config(tls).build(),
            None => builder.build(),
        }
    } else if is_secure(url) {
        SpanExporter::builder().with_http().with_endpoint(url).with_http_client(secure_client(limit)?).build()
    } else {
        SpanExporter::builder().with_http().with_endpoint(url).with_http_client(client(limit)).build()
    };
    let mut exporter = built.map_err(|error| target.unusable(&error))?;
    exporter.set_resource(resource);
    Ok(Some(exporter))
}

/// The exporter of metrics, if they are pushed.
pub fn metrics(signals: &Signals) -> Result<Option<MetricExporter>> {
    let Some(target) = &signals.metrics else { return Ok(None) };
    let (url, limit) = (&target.url, limit(OTEL_EXPORTER_OTLP_METRICS_TIMEOUT));
    let cumulative = Temporality::Cumulative;
    let built = if target.is_grpc {
        let builder = MetricExporter::builder().with_tonic().with_endpoint(url).with_temporality(cumulative);
        match tls(url) {
            Some(tls) => builder.with_tls_config(tls).build(),
            None => builder.build(),
        }
    } else {
        let builder = MetricExporter::builder().with_http().with_endpoint(url).with_temporality(cumulative);
        match is_secure(url) {
            true => builder.with_http_client(secure_client(limit)?).build(),
            false => builder.with_http_client(client(limit)).build(),
        }
    };
    built.map(Some).map_err(|error| target.unusable(&error))
}

fn is_secure(url: &str) -> bool {
    url.starts_with("https:")
}

/// TLS with the certificates that the system trusts.
fn tls(url: &str) -> Option<ClientTlsConfig> {
    is_secure(url).then(|| ClientTlsConfig::new().with_native_roots())
}

/// Longest that a request over HTTP may take, as the standard variables have it. The library reads
/// them too, but holds only the pauses between its attempts to them.
fn limit(own: &str) -> Duration {
    let said = |name: &str| std::env::var(name).ok()?.trim().parse().ok().map(Duration::from_millis);
    said(own).or_else(|| said(OTEL_EXPORTER_OTLP_TIMEOUT)).unwrap_or(OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT)
}

fn client(limit: Duration) -> HyperClient {
    HyperClient::with_default_connector(limit, None)
}

fn secure_client(limit: Duration) -> Result<impl HttpClient + 'static> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new().with_native_roots();
    let connector = connector.map_err(|error| {
        Error::new(Code::FailedPrecondition, format!("the system's certificates cannot be read: {error}"))
    })?;
    Ok(HyperClient::new(connector.https_or_http().enable_http1().build(), limit, None))
}

impl Target {
    fn unusable(&self, error: &dyn std::fmt::Display) -> Error {
        Error::field(self.key, format!("{} cannot be used: {error}", self.url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn signals(change: impl FnOnce(&mut Otlp)) -> Signals {
        let mut otlp = Config::default().otlp;
        change(&mut otlp);
        Signals::of(&otlp)
    }

    #[test]
    fn nothing_is_pushed_unless_somebody_says_where_to() {
        assert!(signals(|_| ()).is_nothing());
        let off = signals(|otlp| {
            otlp.endpoint = "http://collector:4317".to_owned();
            (otlp.traces, otlp.metrics) = (false, false);
        });
        assert!(off.is_nothing());
    }

    #[test]
    fn one_endpoint_is_the_base_of_all_signals_where_they_have_paths() {
        let base = |otlp: &mut Otlp| otlp.endpoint = "http://collector:4318/".to_owned();
        let http = signals(|otlp| {
            base(otlp);
            otlp.protocol = "http/protobuf";
            otlp.metrics_endpoint = "http://other:1/own".to_owned();
        });
        assert_eq!(http.traces().unwrap().url, "http://collector:4318/v1/traces");
        assert_eq!(http.metrics().unwrap().url, "http://other:1/own");
        let grpc = signals(|otlp| {
            base(otlp);
            otlp.protocol = "grpc";
        });
        assert_eq!(grpc.traces().unwrap().url, "http://collector:4318/");
        assert!(grpc.traces().unwrap().hint().unwrap().contains("4318"));
    }

    #[test]
    fn the_protocol_is_that_of_the_signal_or_of_all_or_of_the_port() {
        let spoken = |url: &str, all, own| {
            let signals = signals(|otlp| {
                otlp.endpoint = url.to_owned();
                (otlp.protocol, otlp.traces_protocol) = (all, own);
            });
            signals.traces().unwrap().protocol()
        };
        for (url, all, own, expected) in [
            ("http://collector:4317", "auto", "auto", "grpc"),
            ("http://collector:4318", "auto", "auto", "http/protobuf"),
            ("https://collector/otlp/v1/traces", "auto", "auto", "http/protobuf"),
            ("http://collector", "auto", "auto", "grpc"),
            ("http://collector:4318", "grpc", "auto", "grpc"),
            ("http://collector:4317", "grpc", "http/protobuf", "http/protobuf"),
        ] {
            assert_eq!(spoken(url, all, own), expected, "{url} {all} {own}");
        }
    }
}

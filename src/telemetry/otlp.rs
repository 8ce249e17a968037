//! The exporters of OpenTelemetry's library, made from our options. Headers, timeouts, compression
//! and certificates are theirs, by the standard `OTEL_EXPORTER_OTLP_…` variables.

use std::time::Duration;

use opentelemetry_http::HttpClient;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::SpanExporter as _;

use crate::config::Otlp;
use crate::error::{Code, Error, Result};

/// What is pushed, and where to.
pub struct Signals {
    /// The URL for spans.
    traces: Option<String>,
    /// The URL for metrics.
    metrics: Option<String>,
    is_grpc: bool,
}

impl Signals {
    /// What the options say.
    pub fn of(otlp: &Otlp) -> Signals {
        let is_grpc = otlp.protocol != "http/protobuf";
        let url = |is_on: bool, own: &str, path: &str| match (is_on, own, otlp.endpoint.as_str()) {
            (false, ..) | (true, "", "") => None,
            (true, "", all) if is_grpc => Some(all.to_owned()),
            // One URL for all signals is a base, as the specification has it.
            (true, "", all) => Some(format!("{}{path}", all.trim_end_matches('/'))),
            (true, own, _) => Some(own.to_owned()),
        };
        Signals {
            traces: url(otlp.traces, &otlp.traces_endpoint, "/v1/traces"),
            metrics: url(otlp.metrics, &otlp.metrics_endpoint, "/v1/metrics"),
            is_grpc,
        }
    }

    /// Whether spans are pushed.
    pub fn has_traces(&self) -> bool {
        self.traces.is_some()
    }

    /// Whether metrics are pushed.
    pub fn has_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    /// Whether nothing is pushed.
    pub fn is_nothing(&self) -> bool {
        self.traces.is_none() && self.metrics.is_none()
    }
}

/// The exporter of spans, if they are pushed.
pub fn spans(signals: &Signals) -> Result<Option<SpanExporter>> {
    let Some(url) = &signals.traces else { return Ok(None) };
    let built = if signals.is_grpc {
        let builder = SpanExporter::builder().with_tonic().with_endpoint(url);
        match tls(url) {
            Some(tls) => builder.with_tls_config(tls).build(),
            None => builder.build(),
        }
    } else if is_secure(url) {
        SpanExporter::builder().with_http().with_endpoint(url).with_http_client(secure_client()?).build()
    } else {
        SpanExporter::builder().with_http().with_endpoint(url).with_http_client(client()).build()
    };
    let mut exporter = built.map_err(|error| unusable("otlp.endpoint", url, &error))?;
    exporter.set_resource(&crate::metrics::resource());
    Ok(Some(exporter))
}

/// The exporter of metrics, if they are pushed.
pub fn metrics(signals: &Signals) -> Result<Option<MetricExporter>> {
    let Some(url) = &signals.metrics else { return Ok(None) };
    let cumulative = Temporality::Cumulative;
    let built = if signals.is_grpc {
        let builder = MetricExporter::builder().with_tonic().with_endpoint(url).with_temporality(cumulative);
        match tls(url) {
            Some(tls) => builder.with_tls_config(tls).build(),
            None => builder.build(),
        }
    } else {
        let builder = MetricExporter::builder().with_http().with_endpoint(url).with_temporality(cumulative);
        match is_secure(url) {
            true => builder.with_http_client(secure_client()?).build(),
            false => builder.with_http_client(client()).build(),
        }
    };
    built.map(Some).map_err(|error| unusable("otlp.endpoint", url, &error))
}

fn is_secure(url: &str) -> bool {
    url.starts_with("https:")
}

/// TLS with the certificates that the system trusts.
fn tls(url: &str) -> Option<ClientTlsConfig> {
    is_secure(url).then(|| ClientTlsConfig::new().with_native_roots())
}

/// Longest that a request may take; the library's own limit, which is what the standard variables
/// set, is shorter.
const REQUEST_MAX: Duration = Duration::from_secs(300);

fn client() -> HyperClient {
    HyperClient::with_default_connector(REQUEST_MAX, None)
}

fn secure_client() -> Result<impl HttpClient + 'static> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new().with_native_roots();
    let connector = connector.map_err(|error| {
        Error::new(Code::FailedPrecondition, format!("the system's certificates cannot be read: {error}"))
    })?;
    Ok(HyperClient::new(connector.https_or_http().enable_http1().build(), REQUEST_MAX, None))
}

fn unusable(key: &str, url: &str, error: &dyn std::fmt::Display) -> Error {
    Error::field(key, format!("{url} cannot be used: {error}"))
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
        assert_eq!(http.traces.as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(http.metrics.as_deref(), Some("http://other:1/own"));
        let grpc = signals(base);
        assert_eq!(grpc.traces.as_deref(), Some("http://collector:4318/"));
    }
}

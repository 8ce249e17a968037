//! Every metric of the server: its name, unit, labels and what it means.
//!
//! The names are OpenTelemetry's; Prometheus sees `bugle.published` in bytes as
//! `bugle_published_bytes_total`. Whoever does the work adds to plain atomics ([`State`], [`Traffic`])
//! or to a histogram that is bound to its labels ([`Durations`]); they are read when somebody asks:
//! a scrape ([`Metrics::encode`]) or the push over OTLP ([`Metrics::collect`]).

mod instruments;
pub mod process;
mod state;
mod traffic;
mod webhooks;

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundHistogram, MeterProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality};

pub use state::{Counter, State};
pub use traffic::{Counted, Traffic};
pub use webhooks::{AllPushes, Pushes, WebhookOutcome};

use crate::error::{Code, Error, Result};
use crate::trace::Recorder;

/// Upper bounds of the buckets of all durations, seconds: from the fastest delivery to the longest
/// stall, five for each power of ten where it matters.
const BOUNDS: [f64; 20] = [
    1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// Who is going to read the metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct Readers {
    /// An endpoint that is scraped.
    pub scraped: bool,
    /// Pushes over OTLP.
    pub pushed: bool,
    /// Topics with labels of their own.
    pub topics: usize,
}

/// The metrics of one server.
pub struct Metrics {
    state: Arc<State>,
    durations: Durations,
    registry: prometheus::Registry,
    pushed: Option<Pushed>,
    resource: Resource,
    /// Ends with the metrics.
    _provider: SdkMeterProvider,
}

/// How long things take, seconds.
pub struct Durations {
    /// From a publish request that is accepted to its answer.
    pub publish: BoundHistogram<f64>,
    /// From a message's being ordered to its being handed to the connection of a live subscriber: one
    /// that has caught up before. Once for each response, for the oldest message in it.
    pub fan_out: BoundHistogram<f64>,
    /// From the message's acceptance to that.
    pub delivery: BoundHistogram<f64>,
    /// From the beginning of a request to an endpoint of a webhook to its answer.
    pub webhook: BoundHistogram<f64>,
}

impl Durations {
    /// Records the time between two times, both unix nanoseconds.
    pub fn record(histogram: &BoundHistogram<f64>, from: u64, to: u64) {
        histogram.record(to.saturating_sub(from) as f64 / 1e9);
    }
}

impl Metrics {
    /// The metrics for these readers. Fails only where the libraries contradict each other.
    pub fn new(readers: Readers, recorder: &Arc<Recorder>) -> Result<Arc<Metrics>> {
        let registry = prometheus::Registry::new();
        let pushed = readers.pushed.then(Pushed::default);
        let who = identity();
        let mut builder = SdkMeterProvider::builder().with_resource(who.clone());
        if readers.scraped {
            let exporter = opentelemetry_prometheus::exporter();
            let exporter = exporter.with_registry(registry.clone()).scope_info_enabled(false).build();
            builder = builder.with_reader(exporter.map_err(internal)?);
        }
        if let Some(pushed) = pushed.clone() {
            builder = builder.with_reader(pushed);
        }
        Ok(Metrics::build(builder.build(), registry, pushed, who, readers.topics, recorder))
    }

    /// Metrics that nobody reads.
    pub fn unread(recorder: &Arc<Recorder>) -> Arc<Metrics> {
        let provider = SdkMeterProvider::builder().build();
        Metrics::build(
            provider,
            prometheus::Registry::new(),
            None,
            Resource::builder_empty().build(),
            0,
            recorder,
        )
    }

    fn build(
        provider: SdkMeterProvider,
        registry: prometheus::Registry,
        pushed: Option<Pushed>,
        resource: Resource,
        topics: usize,
        recorder: &Arc<Recorder>,
    ) -> Arc<Metrics> {
        let (meter, state) = (provider.meter("bugle"), Arc::new(State::new(topics)));
        instruments::build(&meter, &state, recorder);
        let durations = instruments::durations(&meter);
        Arc::new(Metrics { state, durations, registry, pushed, resource, _provider: provider })
    }

    /// Who this server is, for its spans too: two names would be two servers.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The counters and gauges.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// The histograms.
    pub fn durations(&self) -> &Durations {
        &self.durations
    }

    /// All metrics in Prometheus' text format. Takes some milliseconds.
    pub fn encode(&self) -> Result<String> {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(internal)
    }

    /// The metrics as they are to be pushed; an error where nobody pushes them.
    pub fn collect(&self) -> Result<ResourceMetrics> {
        let mut metrics = ResourceMetrics::default();
        let pushed = self.pushed.as_ref().ok_or_else(|| internal("no reader was made for pushing"))?;
        pushed.0.collect(&mut metrics).map_err(internal)?;
        Ok(metrics)
    }
}

/// Who this server is, for tracing and metrics alike: `OTEL_SERVICE_NAME` and
/// `OTEL_RESOURCE_ATTRIBUTES`, and the name "bugle" where they do not say.
fn identity() -> Resource {
    const NAME: &str = "service.name";
    let own = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()),
    ];
    let told = Resource::builder().build().get(&opentelemetry::Key::from_static_str(NAME));
    let is_named = told.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder().with_attributes(own);
    if is_named { builder.build() } else { builder.with_service_name("bugle").build() }
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, format!("metrics: {error}"))
}

/// A reader that is shared between the provider and whoever pushes.
#[derive(Clone, Debug, Default)]
struct Pushed(Arc<ManualReader>);

impl MetricReader for Pushed {
    fn register_pipeline(&self, pipeline: std::sync::Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> opentelemetry_sdk::error::OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> opentelemetry_sdk::error::OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: std::time::Duration) -> opentelemetry_sdk::error::OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::{Reason, TopicName};

    fn metrics(topics: usize) -> Arc<Metrics> {
        let readers = Readers { scraped: true, pushed: true, topics };
        Metrics::new(readers, &Recorder::off()).unwrap()
    }

    #[test]
    fn what_was_counted_is_what_a_scrape_says() {
        let metrics = metrics(10);
        let topic = metrics.state().topic(&TopicName::parse("eu", "orders").unwrap());
        topic.published(3, 300);
        topic.delivered(6, 600);
        metrics.state().discontinuity(Reason::Slow, Some(7));
        metrics.state().refused(Code::NotFound);
        Durations::record(&metrics.durations().publish, 1_000, 2_000_000);
        let text = metrics.encode().unwrap();
        for line in [
            r#"bugle_published_messages_total{namespace="eu",topic="orders"} 3"#,
            r#"bugle_published_bytes_total{namespace="eu",topic="orders"} 300"#,
            r#"bugle_delivered_messages_total{namespace="eu",topic="orders"} 6"#,
            r#"bugle_discontinuities_total{reason="slow"} 1"#,
            r#"bugle_skipped_messages_total{reason="slow"} 7"#,
            r#"bugle_refusals_total{code="not_found"} 1"#,
            r#"bugle_publish_duration_seconds_bucket{le="0.0025"} 1"#,
            "bugle_publish_duration_seconds_count 1",
            r#"bugle_lag_seconds{namespace="eu",topic="orders"} 0"#,
            r#"bugle_delivered_bytes_total{namespace="",topic="other"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_is_pushed_is_there_too() {
        let metrics = metrics(10);
        let collected = metrics.collect().unwrap();
        let names: Vec<_> = collected
            .scope_metrics()
            .flat_map(|scope| scope.metrics())
            .map(|it| it.name().to_owned())
            .collect();
        assert!(names.iter().any(|name| name == "bugle.memory.budget"), "{names:?}");
        assert!(Metrics::unread(&Recorder::off()).collect().is_err());
    }
}

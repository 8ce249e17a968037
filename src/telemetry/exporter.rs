//! Pushes spans and metrics over OTLP, on threads of its own, so that a receiver that hangs or dies
//! changes nothing for clients: what cannot be sent in time is dropped, counted, and said once in
//! the log.
//!
//! Spans are the work of a thread that runs only when nobody else wants the processor; on a machine
//! without any time to spare the second thread, which pushes metrics, helps out when half of the room
//! for spans is used. The server starts both and ends them; dropping this gives up what was not sent.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::otlp::{self, Signals};
use super::priority::{yield_to_everybody, yield_to_the_bus};
use super::spans::export_data;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::limits::{SPANS_EXPORT_INTERVAL, SPANS_EXPORTED_MAX, TELEMETRY_END_MAX};
use crate::metrics::Metrics;
use crate::trace::Recorder;

/// The threads that push.
pub struct Exporter {
    end: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl Exporter {
    /// Starts pushing what the configuration says; `None` where that is nothing. Errors: an endpoint
    /// that cannot be used.
    pub fn start(config: &Config, recorder: &Arc<Recorder>, metrics: &Arc<Metrics>) -> Result<Option<Self>> {
        let signals = Signals::of(&config.otlp);
        if signals.is_nothing() {
            return Ok(None);
        }
        let push = Push {
            recorder: recorder.clone(),
            metrics: metrics.clone(),
            interval: config.metrics.push_interval,
            end: CancellationToken::new(),
        };
        let (end, (done, ended)) = (push.end.clone(), oneshot::channel());
        let (signals, push) = (Arc::new(signals), Arc::new(push));
        if signals.traces().is_some() {
            let (push, signals) = (push.clone(), signals.clone());
            start("bugle-spans", move |runtime, built| {
                yield_to_everybody();
                runtime.block_on(push.spans(&signals, built));
            })?;
        }
        start("bugle-metrics", move |runtime, built| {
            yield_to_the_bus();
            runtime.block_on(push.rest(&signals, built));
            // Whoever waits for it may be gone.
            let _ = done.send(());
        })?;
        Ok(Some(Exporter { end, ended }))
    }

    /// Sends what there is, within a bounded time, and ends.
    pub async fn end(mut self) {
        self.end.cancel();
        if tokio::time::timeout(TELEMETRY_END_MAX, &mut self.ended).await.is_err() {
            tracing::warn!("the last spans and metrics could not be sent in time");
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// Told when the exporters are made, or why they cannot be.
type Built = mpsc::Sender<Result<()>>;

/// Starts a thread with a runtime of its own; waits until it has made its exporters.
fn start(name: &str, work: impl FnOnce(Runtime, Built) + Send + 'static) -> Result<()> {
    let (built, outcome) = mpsc::channel();
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(move || work(runtime, built)).map_err(failed)?;
    outcome.recv().map_err(failed)?
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, format!("the exporter could not be started: {error}"))
}

/// What is pushed, and until when.
struct Push {
    recorder: Arc<Recorder>,
    metrics: Arc<Metrics>,
    interval: Duration,
    end: CancellationToken,
}

/// Longest for the last spans, and for the last metrics.
const LAST_MAX: Duration = Duration::from_millis(TELEMETRY_END_MAX.as_millis() as u64 / 2);

impl Push {
    /// The first thread: spans as they come.
    async fn spans(&self, signals: &Signals, built: Built) {
        let made = otlp::spans(signals, self.metrics.resource());
        let (Some(exporter), Some(target)) = (make(made, &built), signals.traces()) else { return };
        let (waiting, mut link) = (self.recorder.waiting().clone(), Link::new("spans", target));
        let work = async {
            loop {
                tokio::select! {
                    () = waiting.called() => {}
                    () = tokio::time::sleep(SPANS_EXPORT_INTERVAL) => {}
                }
                self.send(&exporter, &mut link).await;
            }
        };
        // What is half sent then is lost; the other thread sends what still waits.
        self.end.run_until_cancelled(work).await;
    }

    /// The second thread: metrics, spans that are too many for the first one, and what is left at
    /// the end of both.
    async fn rest(&self, signals: &Signals, built: Built) {
        let spans = otlp::spans(signals, self.metrics.resource());
        let exporters = spans.and_then(|spans| Ok(Some((spans, otlp::metrics(signals)?))));
        let Some((spans, metrics)) = make(exporters, &built) else { return };
        tokio::join!(
            async {
                if let (Some(exporter), Some(target)) = (spans, signals.traces()) {
                    self.help(&exporter, Link::new("spans", target)).await;
                }
            },
            async {
                if let (Some(exporter), Some(target)) = (metrics, signals.metrics()) {
                    self.metrics(&exporter, Link::new("metrics", target)).await;
                }
            },
        );
    }

    async fn help(&self, exporter: &SpanExporter, mut link: Link) {
        let work = async {
            loop {
                tokio::time::sleep(SPANS_EXPORT_INTERVAL).await;
                if self.recorder.is_crowded() {
                    self.send(exporter, &mut link).await;
                }
            }
        };
        self.end.run_until_cancelled(work).await;
        let _ = tokio::time::timeout(LAST_MAX, self.send(exporter, &mut link)).await;
    }

    /// Sends all spans that wait.
    async fn send(&self, exporter: &SpanExporter, link: &mut Link) {
        loop {
            let spans = self.recorder.waiting().take(SPANS_EXPORTED_MAX);
            if spans.is_empty() {
                return;
            }
            let count = spans.len() as u64;
            let outcome = exporter.export(spans.into_iter().map(export_data).collect()).await;
            if outcome.is_err() {
                self.recorder.counts().dropped_export.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            }
            link.note(outcome.map_err(|error| error.to_string()));
        }
    }

    async fn metrics(&self, exporter: &MetricExporter, mut link: Link) {
        let work = async {
            loop {
                tokio::time::sleep(self.interval).await;
                link.note(self.push(exporter).await);
            }
        };
        self.end.run_until_cancelled(work).await;
        if let Ok(outcome) = tokio::time::timeout(LAST_MAX, self.push(exporter)).await {
            link.note(outcome);
        }
    }

    async fn push(&self, exporter: &MetricExporter) -> Result<(), String> {
        let collected = self.metrics.collect().map_err(|error| error.to_string())?;
        exporter.export(&collected).await.map_err(|error| error.to_string())
    }
}

/// What was made, and whoever waits for it told.
fn make<T>(made: Result<Option<T>>, built: &Built) -> Option<T> {
    let (made, outcome) = match made {
        Ok(made) => (made, Ok(())),
        Err(error) => (None, Err(error)),
    };
    // Whoever started the thread waits for this.
    let _ = built.send(outcome);
    made
}

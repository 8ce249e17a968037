//! Pushes spans and metrics over OTLP, on a thread of its own with less than normal priority, so
//! that a receiver that hangs or dies changes nothing for clients: what cannot be sent in time is
//! dropped, counted, and said once in the log.
//!
//! The server starts it and ends it; dropping it gives up what was not sent.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::otlp::{self, Signals};
use super::spans::export_data;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::limits::{SPANS_EXPORT_INTERVAL, SPANS_EXPORTED_MAX, TELEMETRY_END_MAX};
use crate::metrics::Metrics;
use crate::trace::Recorder;

/// The thread that pushes.
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
        let (built, outcome) = mpsc::channel();
        let thread = move || {
            yield_to_the_bus();
            push.run(&signals, &built);
            // Whoever waits for it may be gone.
            let _ = done.send(());
        };
        std::thread::Builder::new().name("bugle-telemetry".to_owned()).spawn(thread).map_err(failed)?;
        outcome.recv().map_err(failed)??;
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

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, format!("the exporter could not be started: {error}"))
}

/// Work on spans is worth less than work on messages. A thread that may not change its priority
/// works with the usual one.
fn yield_to_the_bus() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 10) {
        tracing::debug!(%error, "the exporter's thread keeps its priority");
    }
}

/// What is pushed, and until when.
struct Push {
    recorder: Arc<Recorder>,
    metrics: Arc<Metrics>,
    interval: Duration,
    end: CancellationToken,
}

impl Push {
    fn run(&self, signals: &Signals, built: &mpsc::Sender<Result<()>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(built.send(Err(failed(error)))),
        };
        runtime.block_on(async {
            // Built here, for what they start runs on this thread.
            let exporters = otlp::spans(signals).and_then(|spans| Ok((spans, otlp::metrics(signals)?)));
            let (spans, metrics) = match exporters {
                Ok(exporters) => exporters,
                Err(error) => return drop(built.send(Err(error))),
            };
            let _ = built.send(Ok(()));
            tokio::join!(
                async {
                    if let Some(exporter) = spans {
                        self.spans(&exporter).await;
                    }
                },
                async {
                    if let Some(exporter) = metrics {
                        self.metrics(&exporter).await;
                    }
                },
            );
        });
    }

    async fn spans(&self, exporter: &SpanExporter) {
        let (waiting, mut line) = (self.recorder.waiting().clone(), Line::new("spans"));
        loop {
            tokio::select! {
                () = self.end.cancelled() => break,
                () = waiting.called() => {}
                () = tokio::time::sleep(SPANS_EXPORT_INTERVAL) => {}
            }
            tokio::select! {
                // What is half sent then is lost; what still waits is tried once more.
                () = self.end.cancelled() => break,
                () = self.send(exporter, &mut line) => {}
            }
        }
        let _ = tokio::time::timeout(TELEMETRY_END_MAX / 2, self.send(exporter, &mut line)).await;
    }

    /// Sends all that waits.
    async fn send(&self, exporter: &SpanExporter, line: &mut Line) {
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
            line.note(outcome.map_err(|error| error.to_string()));
        }
    }

    async fn metrics(&self, exporter: &MetricExporter) {
        let mut line = Line::new("metrics");
        let mut is_last = false;
        while !is_last {
            tokio::select! {
                () = self.end.cancelled() => is_last = true,
                () = tokio::time::sleep(self.interval) => {}
            }
            let push = async {
                let collected = self.metrics.collect().map_err(|error| error.to_string())?;
                exporter.export(&collected).await.map_err(|error| error.to_string())
            };
            let outcome = tokio::select! {
                outcome = push => outcome,
                () = self.late(is_last) => return,
            };
            line.note(outcome);
        }
    }

    /// When a push takes too long: the last one has a bounded time, another one until the end.
    async fn late(&self, is_last: bool) {
        if !is_last {
            self.end.cancelled().await;
        }
        tokio::time::sleep(TELEMETRY_END_MAX / 2).await;
    }
}

/// Says once that sending fails, and once that it works again.
struct Line {
    what: &'static str,
    failures: u64,
}

impl Line {
    fn new(what: &'static str) -> Line {
        Line { what, failures: 0 }
    }

    fn note(&mut self, outcome: Result<(), String>) {
        match outcome {
            Ok(()) if self.failures > 0 => {
                tracing::info!(what = self.what, failures = self.failures, "sent over OTLP again");
                self.failures = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if self.failures == 0 {
                    let what = self.what;
                    tracing::warn!(
                        what,
                        error,
                        "not sent over OTLP; the bus goes on, what is not sent is dropped"
                    );
                }
                self.failures += 1;
            }
        }
    }
}

//! Probes: somebody in the server who wants to see the spans of one trace, exported or not.
//! `bugle trace` is made of one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::span::Span;
use crate::limits::{PROBE_SPANS_MAX, PROBES_MAX};

/// The probes at work, by their trace.
#[derive(Default)]
pub struct Probes(Arc<Inner>);

#[derive(Default)]
struct Inner {
    count: AtomicUsize,
    traces: Mutex<HashMap<u128, mpsc::Sender<Span>>>,
}

/// The spans of one trace, as they are recorded. Ends with its drop.
pub struct Probe {
    probes: Arc<Inner>,
    trace_id: u128,
    spans: mpsc::Receiver<Span>,
}

impl Probes {
    /// Sees the spans of this trace from now on; `None` where there are too many probes.
    pub fn add(&self, trace_id: u128) -> Option<Probe> {
        let (sender, spans) = mpsc::channel(PROBE_SPANS_MAX);
        let mut traces = self.0.traces();
        if traces.len() >= PROBES_MAX {
            return None;
        }
        traces.insert(trace_id, sender);
        self.0.count.store(traces.len(), Relaxed);
        Some(Probe { probes: self.0.clone(), trace_id, spans })
    }

    /// Whether there is a probe for this trace.
    pub fn has(&self, trace_id: u128) -> bool {
        self.0.count.load(Relaxed) > 0 && self.0.traces().contains_key(&trace_id)
    }

    /// Shows a span to its probe, if there is one. What a probe has no room for it does not see.
    pub fn pass(&self, span: &Span) {
        if self.0.count.load(Relaxed) == 0 {
            return;
        }
        let probe = self.0.traces().get(&span.context.trace_id).cloned();
        if let Some(probe) = probe {
            let _ = probe.try_send(span.clone());
        }
    }
}

impl Inner {
    fn traces(&self) -> MutexGuard<'_, HashMap<u128, mpsc::Sender<Span>>> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe {
    /// The next span.
    pub async fn next(&mut self) -> Option<Span> {
        self.spans.recv().await
    }

    /// The next span, if there is one by now.
    pub fn try_next(&mut self) -> Option<Span> {
        self.spans.try_recv().ok()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let mut traces = self.probes.traces();
        traces.remove(&self.trace_id);
        self.probes.count.store(traces.len(), Relaxed);
    }
}
